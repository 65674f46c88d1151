"""Break an axis in two or three panels, so that what lies far out does not flatten the rest."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from study.reporting.figures.drawing import WIDTH, text_width
from study.reporting.palette import MUTED

LEAST_GAIN = 3.0  # times as wide as without a break, or there is none: a break that intervals cross is hard to read
LEAST_CLEAN_GAIN = 1.5  # where the break crosses no interval, which is easier to read
ROOM = 0.06  # of a panel's span, at either end
GAP = 9.0  # points between panels
FAR_SHARE = 0.25  # of the width, for each panel of what lies far out
FAR = 0.5  # of the inner span, beyond which a side lies far out
TICK_SIZE, TICK_GAP = 9.0, 6.0  # points: of a tick's text, and between two of them
OVERHANG = 2.0  # points that a tick's text may reach over a break: the one on the other side may too


class Extent(NamedTuple):
    """What one row needs of an axis: its middle, and the ends of all that is drawn of it."""

    middle: float
    low: float
    high: float


def panels_of(rows: Sequence[Extent], floor: float) -> list[tuple[float, float]]:
    """Return the spans (low, high) of one to three panels, from left to right, that together hold every row.

    Args:
        rows: what is to be seen.
        floor: within ± this nothing counts as far.
    """
    low, high = min([-floor, *(row.low for row in rows)]), max([floor, *(row.high for row in rows)])
    inner_low, inner_high = _with_near_ends((low, high), *_inner(rows, floor))
    clean = _without_crossings(rows, inner_low, inner_high)
    if clean != (low, high) and _gain((low, high), clean) >= LEAST_CLEAN_GAIN:
        inner_low, inner_high = clean
    elif _gain((low, high), (inner_low, inner_high)) < LEAST_GAIN:
        return [_with_room(low, high)]
    near_low, near_high = _with_room(inner_low, inner_high)
    spans = [(near_low, near_high)]
    if low < near_low:  # what lies between the panels is empty
        spans.insert(0, _far_span([(row.low, row.high) for row in rows], low, near_low))
    if high > near_high:
        left, right = _far_span([(-row.high, -row.low) for row in rows], -high, -near_high)
        spans.append((-right, -left))
    return spans


def _inner(rows: Sequence[Extent], floor: float) -> tuple[float, float]:
    """Return the span that the nearer half of the rows needs.

    It reaches at most twice as far as their middles; an interval that goes on beyond it crosses the break.
    """
    ordered = sorted(rows, key=lambda row: abs(row.middle))
    near = ordered[: max(1, (len(rows) + 1) // 2)]
    reach = 2 * max([floor, *(abs(row.middle) for row in near)])
    return max(-reach, min([-floor, *(row.low for row in near)])), min(reach, max([floor, *(row.high for row in near)]))


def _with_near_ends(whole: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """Return the inner span with each side in it that does not reach far beyond: there a break would win nothing."""
    far = FAR * (high - low)
    return whole[0] if low - whole[0] <= far else low, whole[1] if whole[1] - high <= far else high


def _without_crossings(rows: Sequence[Extent], low: float, high: float) -> tuple[float, float]:
    """Return the span widened until no row goes on beyond either end."""
    while any(row.low < low < row.high for row in rows):
        low = min(row.low for row in rows if row.low < low < row.high)
    while any(row.low < high < row.high for row in rows):
        high = max(row.high for row in rows if row.low < high < row.high)
    return low, high


def _gain(whole: tuple[float, float], inner: tuple[float, float]) -> float:
    """Return how many times as wide the inner span is drawn with breaks as without."""
    share = 1 - FAR_SHARE * ((whole[0] < inner[0]) + (whole[1] > inner[1]))
    return share * (whole[1] - whole[0]) / (inner[1] - inner[0])


def _far_span(extents: Sequence[tuple[float, float]], low: float, edge: float) -> tuple[float, float]:
    """Return the span below `edge` in which something is drawn, `low` its lowest."""
    highest = max(min(high, edge) for bottom, high in extents if bottom < edge)
    room = ROOM * max(highest - low, 1e-9)
    return low - max(room, 0.5), min(highest + max(room, 0.5), edge)


def _with_room(low: float, high: float) -> tuple[float, float]:
    room = ROOM * (high - low)
    return low - room, high + room


def add_panels(
    figure: Figure, spans: Sequence[tuple[float, float]], box: tuple[float, float, float, float]
) -> list[Axes]:  # fmt: skip
    """Return an axes for each span within a box of (left, bottom, width, height) in points, the breaks marked."""
    left, bottom, width, height = box
    points = figure.get_figheight() * 72
    near = max(range(len(spans)), key=lambda at: spans[at][0] <= 0 <= spans[at][1])
    free = width - GAP * (len(spans) - 1)
    far = FAR_SHARE * free
    drawn = []
    for at, span in enumerate(spans):
        own = free - far * (len(spans) - 1) if at == near else far
        axes = figure.add_axes((left / WIDTH, bottom / points, own / WIDTH, height / points))
        axes.set_xlim(*span)
        drawn.append(axes)
        left += own + GAP
    for before, after in zip(drawn, drawn[1:]):
        for axes, edge in ((before, 1), (after, 0)):
            axes.plot([edge], [0], transform=axes.transAxes, marker=[(-0.5, -1), (0.5, 1)], markersize=7, linestyle="",
                      color=MUTED, clip_on=False)  # fmt: skip
    return drawn


def tick_panels(panels: Sequence[Axes]) -> None:
    """Tick each panel where its numbers have room, beside one another and beside a break."""
    for at, axes in enumerate(panels):
        width = axes.get_position().width * WIDTH
        ticks = ticks_within(axes.get_xlim(), width, is_broken=(at > 0, at < len(panels) - 1))
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))


def ticks_within(span: tuple[float, float], width: float, *, is_broken: tuple[bool, bool]) -> list[float]:
    """Return round values of a span that is drawn `width` points wide, as many as have room for their texts.

    A side that `is_broken` has another panel next to it, whose ticks need room too.
    """
    low, high = span
    ends = (-OVERHANG if is_broken[0] else -width, width + (OVERHANG if is_broken[1] else width))

    def place(value: float) -> tuple[float, float]:
        middle, half = (value - low) / (high - low) * width, text_width(tick_text(value), TICK_SIZE) / 2
        return middle - half, middle + half

    for most in (5, 4, 3, 2, 1):
        values = [float(value) for value in MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)]
        within = [v for v in values if low <= v <= high and ends[0] <= place(v)[0] and place(v)[1] <= ends[1]]
        if all(place(other)[0] - place(one)[1] >= TICK_GAP for one, other in zip(within, within[1:])):
            if within:
                return within
    return []


def tick_text(value: float) -> str:
    """Return a difference as an axis has it: with its sign."""
    return f"{value:+.6g}".replace("-", "−") if value else "0"
