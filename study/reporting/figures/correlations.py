"""Rank correlations of metrics with accuracy, with their intervals."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.reporting.figures.drawing import as_svg, label_width, name_rows, new_figure, shorten
from study.reporting.figures.marks import name_mark
from study.reporting.format import is_finite
from study.reporting.palette import BLUE, INK, PAPER

STYLES = (("spearman", -0.16, BLUE), ("kendall", 0.16, PAPER))  # name, place beside the row's middle, the dot's face


class Correlated(TypedDict):
    """A rank correlation with the ends of its interval, each None where there is none."""

    value: float | None
    low: float | None
    high: float | None


class CorrelationRow(TypedDict):
    """A metric with both of its correlations."""

    label: str
    spearman: Correlated
    kendall: Correlated


@as_svg
def correlation_plot(rows: Sequence[CorrelationRow]) -> Figure:
    """Draw Spearman's (filled) and Kendall's (hollow) correlation of each metric, with 95 % intervals."""
    labels = [shorten(row["label"], 150) for row in rows]
    figure, axes = new_figure(66 + 17 * len(rows), label_width(labels) + 26, 14, bottom=54)
    axes.set_xlim(-1.05, 1.05)
    name_rows(axes, labels, fontsize=8)
    axes.axvline(0, color=INK, linewidth=1)
    for y, row in enumerate(rows):
        _row(axes, y, row["label"], {"spearman": row["spearman"], "kendall": row["kendall"]})
    axes.set_xlabel("rank correlation with test accuracy", fontsize=8.5)
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=4.2, color=BLUE, markerfacecolor=face) for _, _, face in STYLES
    ]
    figure.legend(handles, [name.capitalize() for name, _, _ in STYLES], loc="lower center", ncols=2, frameon=False,
                  fontsize=7.5, handletextpad=0.0, borderpad=0, borderaxespad=0.2, labelcolor=INK)  # fmt: skip
    return figure


def _row(axes: Axes, y: int, label: str, found: Mapping[str, Correlated]) -> None:
    """Draw the correlations of one metric at height `y`."""
    for name, offset, face in STYLES:
        value, low, high = found[name]["value"], found[name]["low"], found[name]["high"]
        if is_finite(low) and is_finite(high):
            axes.plot([low, high], [y + offset] * 2, color=BLUE, linewidth=1.1, zorder=2)
        if is_finite(value):
            (dot,) = axes.plot(value, y + offset, "o", color=BLUE, markerfacecolor=face, markersize=4.2, zorder=3)
            name_mark(dot, f"{label}, {name.capitalize()}: {value:.2f}")
