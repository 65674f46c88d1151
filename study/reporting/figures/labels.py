"""Texts beside points: each where it covers no point and no other text."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from study.reporting.figures.drawing import text_width

HALF = 4.5  # points: half of the height of a text
POINT = 3.0  # points: half of the width of a mark
REACHES = (5.0, 10.0, 16.0, 23.0, 31.0, 40.0, 52.0)  # points from a mark to its text, the nearest first
DIRECTIONS = (0, 180, 90, 270, 45, 135, 225, 315, 22, 158, 202, 338)  # degrees, the best first
Box = tuple[float, float, float, float]  # left, right, lower, upper


class Placed(NamedTuple):
    """Where texts stand, and the area that they share with one another and with marks."""

    boxes: list[Box]
    overlap: float


def place_texts(marks: Sequence[tuple[float, float]], texts: Sequence[str], size: float, inside: Box) -> Placed:
    """Return a place for each text near its mark and within `inside`.

    Those of marks in a crowd are placed first, for they have the fewest places.

    Args:
        marks: (x, y), points.
        texts: one a mark.
        size: of the texts, points.
        inside: the box that they may use.
    """
    taken: list[Box] = [(x - POINT, x + POINT, y - POINT, y + POINT) for x, y in marks]
    boxes: dict[int, Box] = {}
    total = 0.0
    for at in sorted(range(len(marks)), key=lambda one: -_neighbours(marks, one)):
        best: Box | None = None
        least = math.inf
        for box in _places(marks[at], text_width(texts[at], size), inside):
            shared = sum(_overlap(box, other) for other in taken)
            if shared < least:
                best, least = box, shared
            if shared == 0:
                break
        if best is None:  # a text wider than the box
            x, y = marks[at]
            best, least = (x, x + text_width(texts[at], size), y - HALF, y + HALF), 1.0
        boxes[at] = best
        taken.append(best)
        total += least
    return Placed([boxes[at] for at in range(len(marks))], total)


def lead_line(mark: tuple[float, float], box: Box) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return a line from a mark to its text; None where the text is next to it."""
    x, y = mark
    end = min(max(x, box[0]), box[1]), min(max(y, box[2]), box[3])
    away = math.hypot(end[0] - x, end[1] - y)
    if away <= REACHES[1]:
        return None
    start = x + (end[0] - x) * POINT / away, y + (end[1] - y) * POINT / away
    return start, end


def _places(mark: tuple[float, float], width: float, inside: Box) -> Iterator[Box]:
    """Yield places of a text around a mark, the nearest first."""
    for reach in REACHES:
        for degrees in DIRECTIONS:
            across, upright = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            x = mark[0] + across * (reach + width / 2)
            y = mark[1] + upright * (reach + HALF)
            box = (x - width / 2, x + width / 2, y - HALF, y + HALF)
            if inside[0] <= box[0] and box[1] <= inside[1] and inside[2] <= box[2] and box[3] <= inside[3]:
                yield box


def _neighbours(marks: Sequence[tuple[float, float]], at: int) -> int:
    return sum(math.dist(marks[at], other) < REACHES[-1] for other in marks)


def _overlap(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    across = min(one[1], other[1]) - max(one[0], other[0])
    upright = min(one[3], other[3]) - max(one[2], other[2])
    return max(across, 0.0) * max(upright, 0.0)
