"""Rank correlations of metrics with accuracy, with their intervals."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.reporting.figures.drawing import as_svg, draw_key, label_width, name_rows, new_figure, shorten
from study.reporting.figures.marks import name_mark, name_marks
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
    axes.axvline(0, color=INK, linewidth=1)
    for name, offset, face in STYLES:
        _points(axes, rows, name, offset, face)
    name_rows(axes, labels, fontsize=8)
    axes.set_xlabel("rank correlation with test accuracy", fontsize=8.5)
    entries: list[tuple[Artist, str]] = [
        (Line2D([], [], linestyle="", marker="o", markersize=4.2, color=BLUE, markerfacecolor=face), name.capitalize())
        for name, _, face in STYLES
    ]
    draw_key(figure, entries)
    return figure


def _points(axes: Axes, rows: Sequence[CorrelationRow], name: str, offset: float, face: str) -> None:
    """Draw one kind of correlation of each metric with its interval, each named."""
    import seaborn

    shown = [(y, row["label"], row["spearman"] if name == "spearman" else row["kendall"]) for y, row in enumerate(rows)]
    for y, _, one in shown:
        if is_finite(one["low"]) and is_finite(one["high"]):
            (line,) = axes.plot([one["low"], one["high"]], [y + offset] * 2, color=BLUE, linewidth=1.1, zorder=2)
            name_mark(line, "", series=name.capitalize())
    known = [(y, label, one["value"]) for y, label, one in shown if is_finite(one["value"])]
    if known:
        seaborn.scatterplot(x=[value for *_, value in known], y=[y + offset for y, *_ in known], color=face, edgecolor=BLUE,
                            linewidth=1, s=18, zorder=3, legend=False, ax=axes)  # fmt: skip
        texts = [f"{label}, {name.capitalize()}: {value:.2f}" for _, label, value in known]
        name_marks(axes.collections[-1], texts, series=name.capitalize())
