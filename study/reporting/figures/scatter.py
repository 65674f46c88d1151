"""The scatter plot of runs or trials, with the line that fits them."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.reporting.figures.drawing import as_svg, legend_of_types, new_figure
from study.reporting.figures.marks import name_mark
from study.reporting.figures.points import Point, draw_points
from study.reporting.figures.ticks import tick_log_axis
from study.reporting.format import finite, is_finite
from study.reporting.palette import INK, MUTED

RESAMPLES = 500  # of the settings, for the band of the fit


@as_svg
def scatter_plot(
    points: Sequence[Point], *, xlabel: str, ylabel: str = "test accuracy, %", log_x: bool = False,
    line: Sequence[tuple[float, float]] = (), settings: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Draw points, a cross at the lower edge for one without a y.

    Args:
        points: what is shown.
        xlabel, ylabel: the axes' names.
        log_x: whether x is logarithmic.
        line: some (x, y), joined from left to right.
        settings: the setting of each point; where they are given a line is fitted, with a band of 95 % over the settings.
    """
    figure, axes = new_figure(250, 42, 14, bottom=54)
    if settings:
        _fit(axes, points, settings, log_x=log_x)
    if line:
        (front,) = axes.plot(*zip(*sorted(line)), color=INK, linewidth=1, zorder=1.5)
        name_mark(front, "", series="front")
    positive = [point["x"] for point in points if point["x"] > 0]
    if log_x and positive:
        low, high = min(positive) / 1.15, max(positive) * 1.15
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        tick_log_axis(axes.xaxis, low, high)
        points = [point if point["x"] > 0 else {**point, "x": low} for point in points]  # zero stands at the edge
    draw_points(axes, points)
    if heights := finite([point["y"] for point in points]):  # the band may reach where no accuracy can
        room = 0.08 * (max(heights) - min(heights)) or 1
        axes.set_ylim(min(heights) - room, max(heights) + room)
    axes.set_xlabel(xlabel, fontsize=8.5)
    axes.set_ylabel(ylabel, fontsize=8.5)
    valued = [point["type"] for point in points if is_finite(point["y"])]
    legend_of_types(figure, valued, no_value=len(valued) < len(points))
    return figure


def _fit(axes: Axes, points: Sequence[Point], settings: Sequence[str], *, log_x: bool) -> None:
    """Draw a least-squares line through the points that have both values; the runs of a setting are resampled as one."""
    import seaborn

    kept = [
        (point["x"], point["y"], setting) for point, setting in zip(points, settings)
        if is_finite(point["y"]) and (point["x"] > 0 or not log_x)
    ]  # fmt: skip
    if len({x for x, _, _ in kept}) < 3:
        return
    x, y, units = zip(*kept)
    seaborn.regplot(
        x=list(x), y=list(y), units=list(units), logx=log_x, scatter=False, ci=95, n_boot=RESAMPLES, seed=0, color=MUTED,
        line_kws={"linewidth": 1.2, "zorder": 1.5}, ax=axes,
    )  # fmt: skip
    for artist in (axes.lines[-1], axes.collections[-1]):
        name_mark(artist, "least squares, with a band of 95 % over settings", series="fit")
