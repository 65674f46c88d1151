"""Curves over epochs."""

import re

from study.reporting.figures.curves import RunEnd, curves, spread_out


def test_names_of_lines_do_not_touch():
    placed = spread_out([5.0, 5.0, 6.0, 99.0, 100.0], gap=10, top=100)
    assert all(b - a >= 10 for a, b in zip(placed, placed[1:])) and placed[-1] <= 100


def test_many_arms_and_extreme_values_are_drawn():
    styles = [{"label": f"arm {i}", "is_baseline": i == 0, "is_control": False, "type": "healthy"} for i in range(30)]
    lines = [([1, 2], [(10.0 ** (9 * i % 40 - 30), 0.0, 1e6), (float(i), 0.0, 1e6)]) for i in range(30)]
    svg = curves(styles, lines, log=True)
    assert ">arm 0</text>" in svg and ">arm 1</text>" not in svg  # of many lines the baseline's alone is named
    assert all(f">arm {i}</text>" in curves(styles[:3], lines[:3], log=True) for i in range(3))


def test_what_lies_below_the_axis_is_named_by_the_value_that_was_measured():
    styles = [{"label": name, "is_baseline": False, "is_control": False, "type": "healthy"} for name in ("high", "low")]
    lines = [([1, 2], [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)]), ([1, 2], [(1.0, 1.0, 1.0), (2e-16, 1e-16, 3e-16)])]
    ends = [[], [RunEnd(0, 2, 1e-16), RunEnd(1, 2, 3e-16)]]
    svg = curves(styles, lines, log=True, ends=ends, what="no.")
    assert "<title>low: 2·10⁻¹⁶ at no. 2, 10⁻¹⁶ to 3·10⁻¹⁶ over seeds</title>" in svg
    assert "<title>low, seed 0: 10⁻¹⁶</title>" in svg and "<title>low, seed 1: 3·10⁻¹⁶</title>" in svg


def test_a_line_and_the_runs_behind_it_are_named():
    styles = [{"label": "arm", "is_baseline": False, "is_control": False, "type": "healthy"}]
    svg = curves(styles, [([1, 2], [(1.0, 0.5, 2.0), (4.0, 3.0, 5.0)])], ends=[[RunEnd(0, 2, 3.0), RunEnd(7, 2, 5.0)]])
    assert "<title>arm: 4 at epoch 2, 3 to 5 over seeds</title>" in svg
    assert "<title>arm, seed 0: 3</title>" in svg and "<title>arm, seed 7: 5</title>" in svg
    assert set(re.findall(r'data-series="(.*?)"', svg)) == {"arm"}
