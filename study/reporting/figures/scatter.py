"""The scatter plot of runs or trials."""

from collections.abc import Sequence
from typing import TypedDict

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from study.reporting.figures.drawing import MANY_POINTS, as_svg, legend_of_types, new_figure
from study.reporting.figures.marks import name_mark
from study.reporting.palette import INK, PAPER, collapse_style


class Point(TypedDict):
    """A run or a trial; `y` is None where it came to no value."""

    x: float
    y: float | None
    type: str | None  # of collapse
    tip: str


@as_svg
def scatter_plot(
    points: Sequence[Point], *, xlabel: str, ylabel: str = "test accuracy, %", log_x: bool = False,
    line: Sequence[tuple[float, float]] = (),
) -> Figure:  # fmt: skip
    """Draw points, a cross at the lower edge for one without a y; `line` joins some (x, y) from left to right."""
    figure, axes = new_figure(250, 42, 14, bottom=54)
    for point in points:
        dot = _dot(axes, point)
        if len(points) <= MANY_POINTS:
            name_mark(dot, point["tip"])
    if line:
        axes.plot(*zip(*sorted(line)), color=INK, linewidth=1, zorder=1.5)
    positive = [point["x"] for point in points if point["x"] > 0]
    if log_x and positive:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.set_xlim(min(positive) / 1.15, max(positive) * 1.15)
    axes.set_xlabel(xlabel, fontsize=8.5)
    axes.set_ylabel(ylabel, fontsize=8.5)
    valued = [point["type"] for point in points if point["y"] is not None]
    legend_of_types(figure, valued, no_value=len(valued) < len(points))
    return figure


def _dot(axes: Axes, point: Point) -> Line2D:
    """Draw one point, or the cross of one that has no value."""
    colour, marker, _ = collapse_style(point["type"])
    if point["y"] is None:
        (dot,) = axes.plot(point["x"], 0.02, "x", color=colour, markersize=5, markeredgewidth=1.2,
                           transform=axes.get_xaxis_transform())  # fmt: skip
    else:
        (dot,) = axes.plot(point["x"], point["y"], marker, color=colour, markersize=5, markeredgecolor=PAPER,
                           markeredgewidth=0.5, alpha=0.85)  # fmt: skip
    return dot
