"""The forest plot."""

import re

import pytest

from study.reporting.figures.broken_axis import OVERHANG, TICK_GAP, TICK_SIZE, Extent, panels_of, tick_text, ticks_within
from study.reporting.figures.drawing import text_width
from study.reporting.figures.forest import forest_plot

NEAR = {
    "label": "near", "type": "healthy", "text": "+0.1 [−1.0, +1.2]", "mean": 0.001, "low": -0.01, "high": 0.012,
    "seeds": [0, 1], "values": [0.0, 0.002], "decision": "undecided",
}  # fmt: skip
FAR = {
    **NEAR, "label": "far", "type": "complete", "text": "−60.0 [−70.0, −50.0]", "mean": -0.6, "low": -0.7, "high": -0.5,
    "values": [-0.6, -0.61], "decision": "worse",
}  # fmt: skip


def ticks(svg):
    return [float(text.replace("−", "-")) for text in re.findall(r">([+−]?\d+(?:\.\d+)?)</text>", svg)]


def test_the_axis_holds_an_arm_that_lies_far_out_and_is_broken_before_it():
    svg = forest_plot([NEAR, {**NEAR, "label": "other"}, FAR], margin=0.01)
    assert "broken" in svg and min(ticks(svg)) <= -60 and any(0 < abs(tick) <= 2 for tick in ticks(svg))
    assert "far: −60.0 [−70.0, −50.0] points, worse" in svg and "far, seed 1: −61.00 points" in svg
    assert "broken" not in forest_plot([NEAR, {**NEAR, "label": "other"}], margin=0.01)


def test_an_arm_without_a_result_is_named_and_says_so():
    svg = forest_plot([NEAR, {**NEAR, "label": "none", "mean": None, "values": [], "seeds": []}], margin=0.01)
    assert ">none</text>" in svg and ">no result</text>" in svg and svg.count(">+0.1 undecided</text>") == 1
    assert "hollow: undecided" in svg and "hollow" not in forest_plot([FAR], margin=0.01)


def test_every_arm_lies_within_some_panel_of_the_axis():
    rows = [Extent(0.2, -1.0, 1.5), Extent(-0.5, -2.0, 1.0), Extent(0.3, -90.0, 3.0), Extent(-35.0, -40.0, -30.0)]
    spans = panels_of(rows, 2.0)
    assert len(spans) == 2 and spans[0][0] <= -90 and spans[0][1] <= spans[1][0] and spans[1][1] >= 3
    assert all(any(low <= row.middle <= high for low, high in spans) for row in rows)
    both = panels_of([*rows, Extent(50.0, 45.0, 55.0)], 2.0)
    assert len(both) == 3 and both[2][1] >= 55 and both == sorted(both)


def test_what_lies_close_together_has_one_axis():
    assert len(panels_of([Extent(value, value - 3, value + 3) for value in (-9.0, -4.0, 0.0, 5.0)], 2.0)) == 1
    assert panels_of([], 2.0) == [(-2.24, 2.24)]


def test_a_side_that_reaches_little_beyond_the_rest_is_not_broken_off():
    rows = [Extent(value, value - 1, value + 1) for value in (-0.5, 0.0, 0.5, 1.7)]
    spans = panels_of([*rows, Extent(-60.0, -65.0, -55.0)], 2.0)
    assert len(spans) == 2 and spans[1][1] >= 2.7


def test_a_break_that_would_cross_intervals_for_little_gain_is_not_made():
    near = [Extent(value, value - 1.5, value + 1.5) for value in (-0.9, -0.4, 0.1, 0.4, 0.8, -1.6)]
    assert len(panels_of([*near, Extent(-3.5, -6.2, -0.8), Extent(-5.0, -11.0, 1.0), Extent(-11.0, -15.0, -7.0)], 2.0)) == 1


@pytest.mark.parametrize("span", [(-15.9, -3.1), (2.3, 3.2), (-70.0, -49.0), (-2.8, 2.4), (-36.0, 8.0), (-0.3, 0.2)])
@pytest.mark.parametrize("width", [38.0, 60.0, 120.0, 200.0])
def test_ticks_have_room_beside_one_another_and_beside_a_break(span, width):
    ticks = ticks_within(span, width, is_broken=(True, True))
    assert all(span[0] <= tick <= span[1] for tick in ticks) and (ticks or width < 60)
    ends = []
    for tick in ticks:
        middle, half = (tick - span[0]) / (span[1] - span[0]) * width, text_width(tick_text(tick), TICK_SIZE) / 2
        ends.append((middle - half, middle + half))
    assert all(low >= -OVERHANG and high <= width + OVERHANG for low, high in ends)
    assert all(after[0] - before[1] >= TICK_GAP for before, after in zip(ends, ends[1:], strict=False))
