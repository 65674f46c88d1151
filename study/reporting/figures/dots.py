"""The dot plot: the accuracy of each arm, a dot a seed."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.reporting.figures.drawing import as_svg, label_width, legend_of_types, new_figure, shorten
from study.reporting.figures.strips import Dot, points_of_means, strip_of_runs
from study.reporting.format import finite, is_finite
from study.reporting.palette import GRID, INK, MUTED, type_label


class DotRow(TypedDict):
    """An arm: `mean` and `values` are shares; `seeds`, `values` and `types` (of collapse) have one entry a seed."""

    label: str
    is_baseline: bool
    is_control: bool
    mean: float | None
    seeds: Sequence[int]
    values: Sequence[float | None]
    types: Sequence[str | None]


@as_svg
def dot_plot(rows: Sequence[DotRow], *, chance: float | None = None) -> Figure:
    """Draw a dot a seed, a tick at each arm's mean, and the controls' means as dashed lines; `chance` is a share."""
    labels = [shorten(row["label"]) for row in rows]
    figure, axes = new_figure(62 + 19 * len(rows), label_width(labels) + 6, 14, bottom=54)
    everything = [100 * value for row in rows for value in finite([*row["values"], row["mean"]])]
    low, high = (min(everything), max(everything)) if everything else (0, 100)
    margin = max(0.06 * (high - low), 0.5)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    dots, means = [], {}
    for y, row in enumerate(rows):
        dots += _dots_of(axes, y, row)
        if mean := finite([row["mean"]]):
            means[y] = 100 * mean[0]
            if row["is_control"]:
                axes.axvline(means[y], color=MUTED, linewidth=0.9, linestyle="--", zorder=1.5)
    strip_of_runs(axes, dots, len(rows), size=5)
    points_of_means(axes, means, len(rows), size=14)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if chance is not None and low - margin < 100 * chance < high + margin:
        axes.axvline(100 * chance, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate("chance", (100 * chance, 0), (2, 0), xycoords=("data", "axes fraction"),
                      textcoords="offset points", fontsize=7.5, color=MUTED)  # fmt: skip
    axes.set_yticks(range(len(rows)), labels, fontsize=8.5)
    for tick, row in zip(axes.get_yticklabels(), rows):
        tick.set_color(INK)
        tick.set_fontweight("bold" if row["is_baseline"] else "normal")
        tick.set_fontstyle("italic" if row["is_control"] else "normal")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=high - low > 6))
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test accuracy, %", fontsize=8.5)
    measured = [zip(row["types"], row["values"]) for row in rows if not row["is_control"]]
    legend_of_types(figure, [name for pairs in measured for name, value in pairs if is_finite(value)])
    return figure


def _dots_of(axes: Axes, y: int, row: DotRow) -> list[Dot]:
    """Return the dots of one arm at height `y`; say so in their place where it has none, and shade the baseline."""
    if row["is_baseline"]:
        axes.axhspan(y - 0.5, y + 0.5, color=GRID, alpha=0.45, linewidth=0)
    found = [(seed, value, name) for seed, value, name in zip(row["seeds"], row["values"], row["types"]) if is_finite(value)]
    if not found:
        axes.text(0.01, y, "no finished run", transform=axes.get_yaxis_transform(), va="center", fontsize=7.5, color=MUTED)
    types = ["untrained" if row["is_control"] else name for _, _, name in found]
    return [
        Dot(
            y,
            lane,
            100 * value,
            name,
            f"{row['label']}, seed {seed}: {100 * value:.2f} %, {type_label(name)}",
            type_label(name),
        )
        for lane, ((seed, value, _), name) in enumerate(zip(found, types))
    ]
