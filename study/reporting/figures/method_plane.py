"""Methods on a plane of two measures, each named beside its point."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.reporting.figures.drawing import WIDTH, as_svg, legend_of_types, new_figure, shorten, text_width
from study.reporting.figures.marks import name_mark
from study.reporting.figures.points import Point, draw_points
from study.reporting.figures.ticks import tick_log_axis
from study.reporting.palette import INK, type_label

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 46.0, 14.0, 10.0, 54.0, 300.0  # points
NAME_SIZE, NAME_ROOM, GAP = 7.5, 108.0, 5.0  # points: of a name's text, its width at most, and from its point
Box = tuple[float, float, float, float]  # left, right, lower, upper; points from the corner of the axes


@as_svg
def method_plane(
    points: Sequence[Point], names: Sequence[str], *, xlabel: str, ylabel: str, log_x: bool = False,
    front: Sequence[tuple[float, float]] = (),
) -> Figure:  # fmt: skip
    """Draw a point for each method with its name, and the line of those on the Pareto front.

    Args:
        points: at least one, all of them with a y, and with a positive x where the axis is logarithmic.
        names: one a point.
        xlabel, ylabel: the axes' names.
        log_x: whether x is logarithmic.
        front: (x, y) of the methods on the front, in any order.
    """
    figure, axes = new_figure(HEIGHT, LEFT, RIGHT, top=TOP, bottom=BOTTOM)
    if front:
        (line,) = axes.plot(*zip(*sorted(front)), color=INK, linewidth=1, zorder=1.5)
        name_mark(line, "Pareto front", series="front")
    _scale(axes, points, log_x=log_x)
    draw_points(axes, points)
    _names(axes, points, names)
    axes.set_xlabel(xlabel, fontsize=8.5)
    axes.set_ylabel(ylabel, fontsize=8.5)
    legend_of_types(figure, [point["type"] for point in points])
    return figure


def _scale(axes: Axes, points: Sequence[Point], *, log_x: bool) -> None:
    """Set both axes with room for names at every side."""
    xs, ys = [point["x"] for point in points], [point["y"] or 0.0 for point in points]
    if log_x:
        room = max((max(xs) / min(xs)) ** 0.2, 1.3)
        low, high = min(xs) / room, max(xs) * room
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        tick_log_axis(axes.xaxis, low, high)
    else:
        room = 0.2 * (max(xs) - min(xs)) or 0.1 * abs(xs[0]) or 1
        axes.set_xlim(min(xs) - room, max(xs) + room)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    room = 0.12 * (max(ys) - min(ys)) or 0.1 * abs(ys[0]) or 1
    axes.set_ylim(min(ys) - room, max(ys) + room)


def _names(axes: Axes, points: Sequence[Point], names: Sequence[str]) -> None:
    """Write each name where it covers no point and no other name, the right of its point first."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    to_share = axes.transData + axes.transAxes.inverted()
    places = [to_share.transform((point["x"], point["y"] or 0.0)) * (width, height) for point in points]
    taken: list[Box] = [(x - 3, x + 3, y - 3, y + 3) for x, y in places]
    for point, name, (x, y) in zip(points, names, places):
        text = shorten(name, NAME_ROOM, size=NAME_SIZE)
        long = text_width(text, NAME_SIZE)
        options = [(x + GAP, y), (x - GAP - long, y)]
        options += [(x + dx - long / 2, y + dy) for dy in (9, -9, 18, -18, 27, -27) for dx in (0, long / 2, -long / 2)]
        boxes = [(left, left + long, middle - 4.5, middle + 4.5) for left, middle in options]
        inside = [box for box in boxes if box[0] >= 0 and box[1] <= width + RIGHT and box[2] >= 0 and box[3] <= height + TOP]
        box = min(inside or boxes[:1], key=lambda one: sum(_overlap(one, other) for other in taken))
        taken.append(box)
        written = axes.text(
            box[0] / width, (box[2] + 4.5) / height, text, transform=axes.transAxes, fontsize=NAME_SIZE, color=INK,
            va="center_baseline", zorder=4,
        )  # fmt: skip
        name_mark(written, point["tip"], series=type_label(point["type"]))


def _overlap(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    across = min(one[1], other[1]) - max(one[0], other[0])
    upright = min(one[3], other[3]) - max(one[2], other[2])
    return max(across, 0.0) * max(upright, 0.0)
