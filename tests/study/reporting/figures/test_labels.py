"""Texts stand beside their points, on no point and on no other text, where there is room."""

import itertools
import math

from study.reporting.figures.drawing import text_width
from study.reporting.figures.labels import POINT, REACHES, lead_line, place_texts

BOX = (0.0, 300.0, 0.0, 240.0)
SIZE = 7.5


def shared(one, other):
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0])) * max(0.0, min(one[3], other[3]) - max(one[2], other[2]))


def test_in_a_crowd_no_text_covers_another_or_a_point_and_all_lie_inside():
    marks = [(150 + 6 * math.cos(at), 120 + 6 * math.sin(at)) for at in range(8)]
    placed = place_texts(marks, [str(at) for at in range(8)], SIZE, BOX)
    assert placed.overlap == 0
    assert not any(shared(one, other) for one, other in itertools.combinations(placed.boxes, 2))
    points = [(x - POINT, x + POINT, y - POINT, y + POINT) for x, y in marks]
    assert not any(shared(box, point) for box in placed.boxes for point in points)
    for left, right, lower, upper in placed.boxes:
        assert 0 <= left < right <= 300 and 0 <= lower < upper <= 240


def test_a_text_alone_stands_at_the_right_of_its_point_and_at_the_edge_at_its_left():
    (box,) = place_texts([(100.0, 100.0)], ["VICReg"], SIZE, BOX).boxes
    assert (box[0], (box[2] + box[3]) / 2) == (105.0, 100.0)
    (box,) = place_texts([(298.0, 100.0)], ["VICReg"], SIZE, BOX).boxes
    assert math.isclose(box[1], 293.0) and math.isclose(box[1] - box[0], text_width("VICReg", SIZE))


def test_where_texts_have_no_room_the_overlap_says_so():
    marks = [(50.0, 10.0)] * 6
    assert place_texts(marks, ["a long name of a method"] * 6, SIZE, (0.0, 110.0, 0.0, 20.0)).overlap > 0
    assert place_texts([(5.0, 5.0)], ["wider than the box"], SIZE, (0.0, 10.0, 0.0, 10.0)).overlap > 0


def test_a_line_leads_to_a_text_that_stands_away():
    assert lead_line((0.0, 0.0), (5.0, 20.0, -4.5, 4.5)) is None
    far = REACHES[-1]
    start, end = lead_line((0.0, 0.0), (far, far + 20, -4.5, 4.5))
    assert start == (POINT, 0.0) and end == (far, 0.0)
