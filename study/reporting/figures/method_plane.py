"""Methods on a plane of two measures, each named beside its point, or numbered where names have no room."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.reporting.figures.drawing import WIDTH, as_svg, legend_of_types, new_figure, shorten
from study.reporting.figures.labels import HALF, Placed, lead_line, place_texts
from study.reporting.figures.marks import name_mark
from study.reporting.figures.points import Point, draw_points
from study.reporting.figures.ticks import tick_log_axis
from study.reporting.palette import INK, MUTED, type_label

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 46.0, 14.0, 10.0, 54.0, 300.0  # points
MOST_NAMED = 24  # points: with more, lines to names cross one another
NAME_SIZE, NAME_ROOM = 7.5, 108.0  # points: of a name's text, and its width at most
KEY_COLUMNS, KEY_WIDTH, KEY_ROW, KEY_GAP = 2, 160.0, 11.0, 8.0  # of what numbers name; points


@as_svg
def method_plane(
    points: Sequence[Point], names: Sequence[str], *, xlabel: str, ylabel: str, log_x: bool = False,
    front: Sequence[tuple[float, float]] = (),
) -> Figure:  # fmt: skip
    """Draw a point for each method with its name or number, and the line of those on the Pareto front.

    Args:
        points: at least one, all of them with a y, and with a positive x where the axis is logarithmic.
        names: one a point.
        xlabel, ylabel: the axes' names.
        log_x: whether x is logarithmic.
        front: (x, y) of the methods on the front, in any order.
    """
    numbered = not _have_room(points, names, log_x=log_x)
    more = KEY_ROW * _key_rows(names) + KEY_GAP if numbered else 0.0
    figure, axes = new_figure(HEIGHT + more, LEFT, RIGHT, top=TOP, bottom=BOTTOM + more)
    if front:
        (line,) = axes.plot(*zip(*sorted(front)), color=INK, linewidth=1, zorder=1.5)
        name_mark(line, "Pareto front", series="front")
    _scale(axes, points, log_x=log_x)
    draw_points(axes, points)
    texts = [str(at + 1) for at in range(len(names))] if numbered else _shortened(names)
    _write(axes, points, texts, _placed(axes, points, texts), HEIGHT - TOP - BOTTOM)
    if numbered:
        _key(figure, names, BOTTOM / 2)
    axes.set_xlabel(xlabel, fontsize=8.5)
    axes.set_ylabel(ylabel, fontsize=8.5)
    legend_of_types(figure, [point["type"] for point in points])
    return figure


def _have_room(points: Sequence[Point], names: Sequence[str], *, log_x: bool) -> bool:
    """Return whether all names can be written beside their points; else points are numbered."""
    if len(names) > MOST_NAMED:
        return False
    _, axes = new_figure(HEIGHT, LEFT, RIGHT, top=TOP, bottom=BOTTOM)
    _scale(axes, points, log_x=log_x)
    return _placed(axes, points, _shortened(names)).overlap == 0


def _shortened(names: Sequence[str]) -> list[str]:
    return [shorten(name, NAME_ROOM, size=NAME_SIZE) for name in names]


def _placed(axes: Axes, points: Sequence[Point], texts: Sequence[str]) -> Placed:
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return place_texts(_marks(axes, points, height), texts, NAME_SIZE, (0, width + RIGHT, 0, height + TOP))


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


def _write(axes: Axes, points: Sequence[Point], texts: Sequence[str], placed: Placed, height: float) -> None:
    """Write texts where they were placed, with a line to each that stands away from its point."""
    width = WIDTH - LEFT - RIGHT
    for point, text, box, mark in zip(points, texts, placed.boxes, _marks(axes, points, height)):
        line = lead_line(mark, box)
        if line is not None:
            axes.plot(*zip(*((x / width, y / height) for x, y in line)), transform=axes.transAxes, color=MUTED,
                      linewidth=0.6, zorder=2, clip_on=False)  # fmt: skip
        written = axes.text(
            box[0] / width, (box[2] + HALF) / height, text, transform=axes.transAxes, fontsize=NAME_SIZE, color=INK,
            va="center_baseline", zorder=4,
        )  # fmt: skip
        name_mark(written, point["tip"], series=type_label(point["type"]))


def _marks(axes: Axes, points: Sequence[Point], height: float) -> list[tuple[float, float]]:
    """Return where points are drawn, in points from the lower left corner of the axes."""
    to_share = axes.transData + axes.transAxes.inverted()
    places = [to_share.transform((point["x"], point["y"] or 0.0)) for point in points]
    return [(x * (WIDTH - LEFT - RIGHT), y * height) for x, y in places]


def _key(figure: Figure, names: Sequence[str], lower: float) -> None:
    """Write what each number names, column by column, above `lower` points from the lower edge."""
    rows, height = _key_rows(names), figure.get_figheight() * 72
    for at, name in enumerate(names):
        column, row = divmod(at, rows)
        left, top = LEFT / 2 + column * KEY_WIDTH, lower + KEY_ROW * (rows - row - 0.5)
        text = f"{at + 1}  {shorten(name, KEY_WIDTH - 24, size=NAME_SIZE)}"
        figure.text(left / WIDTH, top / height, text, fontsize=NAME_SIZE, color=INK, va="center")


def _key_rows(names: Sequence[str]) -> int:
    return -(-len(names) // KEY_COLUMNS)
