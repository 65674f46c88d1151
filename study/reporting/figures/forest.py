"""The forest plot: differences from the baseline with their intervals."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from study.reporting.figures.drawing import add_tip, as_svg, label_width, legend_of_types, name_rows, new_figure, shorten
from study.reporting.format import finite, is_finite
from study.reporting.palette import GRID, INK, PAPER, collapse_style


class ForestRow(TypedDict):
    """An arm: its mean difference, the interval's ends and a value a seed, as shares; `text` says it in words."""

    label: str
    type: str | None  # of collapse
    text: str
    mean: float | None
    low: float | None
    high: float | None
    values: Sequence[float]


@as_svg
def forest_plot(rows: Sequence[ForestRow], *, margin: float) -> Figure:
    """Draw differences in points: a dot a seed, the mean with its 95 % interval, a band of ± `margin` (a share).

    The axis spans what healthy arms need; an arm beyond it is an arrow at the edge, its number beside it.
    """
    labels = [shorten(row["label"]) for row in rows]
    figure, axes = new_figure(64 + 19 * max(len(rows), 1), label_width(labels) + 6, 118, bottom=56)
    low, high = _span(rows, margin)
    axes.set_xlim(low, high)
    name_rows(axes, labels)
    axes.axvspan(-100 * margin, 100 * margin, color=GRID, alpha=0.5, linewidth=0, zorder=0)
    axes.axvline(0, color=INK, linewidth=1)
    for y, row in enumerate(rows):
        axes.text(1.03, y, row["text"], transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)
        if row["mean"] is not None and is_finite(row["mean"]):
            place = _within if low <= 100 * row["mean"] <= high else _beyond
            place(axes, y, row, 100 * row["mean"], low, high)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:+g}".replace("-", "−") if v else "0"))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("difference from the baseline, points", fontsize=8.5)
    legend_of_types(figure, [row["type"] for row in rows])
    return figure


def _span(rows: Sequence[ForestRow], margin: float) -> tuple[float, float]:
    """Return the ends of the axis in points: what the healthy arms need, or all where none is healthy."""
    healthy = [row for row in rows if row["type"] == "healthy" and is_finite(row["mean"])]
    shown = healthy or [row for row in rows if is_finite(row["mean"])]
    bounds = [100 * v for row in shown for v in finite([row["low"], row["high"], row["mean"], *row["values"]])]
    low, high = min([*bounds, -200 * margin]), max([*bounds, 200 * margin])
    room = 0.06 * (high - low)
    return low - room, high + room


def _beyond(axes: Axes, y: int, row: ForestRow, mean: float, low: float, high: float) -> None:
    """Draw an arm whose mean lies beyond the axis as an arrow at the edge."""
    colour, marker, _ = collapse_style(row["type"])
    edge = low + 0.025 * (high - low) if mean < low else high - 0.025 * (high - low)
    inwards = edge + (0.05 if mean < low else -0.05) * (high - low)
    (arrow,) = axes.plot(edge, y, "<" if mean < low else ">", color=colour, markersize=6, clip_on=False, zorder=4)
    axes.plot(inwards, y, marker, color=colour, markersize=5, markeredgecolor=PAPER, markeredgewidth=0.6, zorder=4)
    add_tip(arrow, f"{row['label']}: {row['text']}")


def _within(axes: Axes, y: int, row: ForestRow, mean: float, low: float, high: float) -> None:
    """Draw an arm's interval, its seeds and its mean."""
    colour, marker, _ = collapse_style(row["type"])
    if is_finite(row["low"]) and is_finite(row["high"]):
        ends = max(100 * row["low"], low), min(100 * row["high"], high)
        axes.plot(ends, [y, y], color=colour, linewidth=1.6, zorder=2)
        for end, bound, sign in ((ends[0], 100 * row["low"], "<"), (ends[1], 100 * row["high"], ">")):
            if end != bound:  # the interval goes on beyond the axis
                axes.plot(end, y, sign, color=colour, markersize=4, clip_on=False, zorder=3)
    for index, value in enumerate(finite(row["values"])):
        offset = 0.24 + 0.16 * (index / max(len(row["values"]) - 1, 1) - 0.5)
        if low <= 100 * value <= high:
            axes.plot(100 * value, y + offset, "o", color=colour, markersize=2.2, markeredgewidth=0, alpha=0.75, zorder=3)
    (dot,) = axes.plot(mean, y, marker, color=colour, markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6, zorder=4)
    add_tip(dot, f"{row['label']}: {row['text']}")
