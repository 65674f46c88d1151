"""The forest plot: differences from the baseline with their intervals."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.reporting.figures.broken_axis import Extent, add_panels, panels_of, tick_panels
from study.reporting.figures.drawing import WIDTH, as_svg, label_width, legend_of_types, name_rows, shorten, text_width
from study.reporting.figures.marks import name_mark
from study.reporting.figures.strips import Dot, strip_of_runs
from study.reporting.format import finite, is_finite, signed
from study.reporting.palette import GRID, INK, MUTED, PAPER, collapse_style, type_label
from study.results.comparisons import UNDECIDED

TOP, BOTTOM, ROW = 8.0, 62.0, 19.0  # points
SEEDS_WIDTH = 0.2  # rows over which an arm's seeds spread
SEEDS_LANE = 0.3  # rows below an arm's interval at which its seeds are drawn
HEADROOM = 2.0  # times the margin that the axis reaches at least, so that the margin is seen


class ForestRow(TypedDict):
    """An arm: its mean difference, the interval's ends and a value a seed, as shares; `text` says it in words."""

    label: str
    type: str | None  # of collapse
    text: str
    mean: float | None
    low: float | None
    high: float | None
    seeds: Sequence[int]
    values: Sequence[float]
    decision: str | None


@as_svg
def forest_plot(rows: Sequence[ForestRow], *, margin: float) -> Figure:
    """Draw differences in points: a dot a seed, the mean with its 95 % interval, a band of ± `margin` (a share).

    The axis holds every arm with its interval; where some lie far out it is broken. A hollow mark is undecided.
    """
    labels = [shorten(row["label"]) for row in rows]
    words = [_words(row) for row in rows]
    height = TOP + BOTTOM + ROW * max(len(rows), 1)
    figure = Figure(figsize=(WIDTH / 72, height / 72))
    left, right = label_width(labels) + 6, 6 + max((text_width(word, 8) for word in words), default=0)
    floor = 100 * HEADROOM * margin
    spans = panels_of([extent for row in rows if (extent := _extent(row))], floor)
    panels = add_panels(figure, spans, (left, BOTTOM, WIDTH - left - right - 6, height - TOP - BOTTOM))
    for axes in panels:
        _panel(axes, rows, 100 * margin)
        name_rows(axes, labels if axes is panels[0] else [""] * len(rows))
    tick_panels(panels)
    for y, word in enumerate(words):
        panels[-1].annotate(word, (1, y), (6, 0), xycoords=panels[-1].get_yaxis_transform(), textcoords="offset points",
                            va="center", fontsize=8, color=INK, annotation_clip=False)  # fmt: skip
    broken = ", on an axis that is broken at //" if len(panels) > 1 else ""
    figure.text(0.5, 36 / height, f"points from the baseline{broken}", ha="center", fontsize=8.5)
    legend_of_types(figure, [row["type"] for row in rows], others=_undecided(rows))
    return figure


def _words(row: ForestRow) -> str:
    """Return what stands at the right of an arm: its mean, and what was decided."""
    if not is_finite(row["mean"]):
        return "no result"
    return " ".join([signed(100 * row["mean"]), *([row["decision"]] if row["decision"] else [])])


def _extent(row: ForestRow) -> Extent | None:
    """Return what an arm needs of the axis, in points; None without a mean."""
    if not is_finite(row["mean"]):
        return None
    drawn = [100 * value for value in finite([row["mean"], row["low"], row["high"], *row["values"]])]
    return Extent(100 * row["mean"], min(drawn), max(drawn))


def _undecided(rows: Sequence[ForestRow]) -> list[tuple[Line2D, str]]:
    """Return the entry of the legend for hollow marks, where there are any."""
    hollow = Line2D([], [], linestyle="", marker="o", markersize=5, color=MUTED, markerfacecolor=PAPER)
    return [(hollow, "hollow: undecided")] if any(row["decision"] == UNDECIDED for row in rows) else []


def _panel(axes: Axes, rows: Sequence[ForestRow], margin: float) -> None:
    """Draw all rows, of which the part within the axis is seen."""
    low, high = axes.get_xlim()
    axes.axvspan(max(-margin, low), min(margin, high), color=GRID, alpha=0.5 if low < margin and high > -margin else 0,
                 linewidth=0, zorder=0)  # fmt: skip
    if low <= 0 <= high:
        axes.axvline(0, color=INK, linewidth=1)
    within = [
        Dot(y, lane, 100 * value, row["type"], f"{row['label']}, seed {seed}: {signed(100 * value, '.2f')} points",
            type_label(row["type"]))
        for y, row in enumerate(rows) for lane, (seed, value) in enumerate(zip(row["seeds"], row["values"]))
        if is_finite(value) and low <= 100 * value <= high
    ]  # fmt: skip
    strip_of_runs(axes, within, len(rows), size=3, alpha=0.75, below=SEEDS_LANE, width=SEEDS_WIDTH)
    for y, row in enumerate(rows):
        if is_finite(row["mean"]):
            _arm(axes, y, row, 100 * row["mean"])
    axes.set_xlim(low, high)
    axes.spines["left"].set_visible(False)


def _arm(axes: Axes, y: int, row: ForestRow, mean: float) -> None:
    """Draw an arm's interval with its ends, and its mean."""
    low, high = axes.get_xlim()
    colour, marker, _ = collapse_style(row["type"])
    series, text = (
        type_label(row["type"]),
        f"{row['label']}: {row['text']} points" + (f", {row['decision']}" if row["decision"] else ""),
    )
    if is_finite(row["low"]) and is_finite(row["high"]):
        ends = 100 * row["low"], 100 * row["high"]
        (line,) = axes.plot(ends, [y, y], color=colour, linewidth=1.6, zorder=2)
        name_mark(line, text, series=series)
        caps = [end for end in ends if low <= end <= high]
        (bars,) = axes.plot(caps, [y] * len(caps), "|", color=colour, markersize=6, markeredgewidth=1.4, zorder=2)
        name_mark(bars, text, series=series)
    if low <= mean <= high:
        face, edge, width = (PAPER, colour, 1.3) if row["decision"] == UNDECIDED else (colour, PAPER, 0.6)
        (dot,) = axes.plot(mean, y, marker, color=colour, markersize=6, markerfacecolor=face, markeredgecolor=edge,
                           markeredgewidth=width, zorder=4, clip_on=False)  # fmt: skip
        name_mark(dot, text, series=series)
