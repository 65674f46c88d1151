"""The dot plot."""

import re

from study.reporting.figures.dots import dot_plot
from study.reporting.palette import COLLAPSE_TYPES

ROW = {
    "label": "a", "types": ["healthy", "complete"], "is_baseline": True, "is_control": False, "seeds": [0, 1],
    "values": [0.9, 0.8], "mean": 0.85,
}  # fmt: skip


def test_a_dot_has_the_type_of_collapse_of_its_own_run():
    svg = dot_plot([ROW])
    assert "a, seed 0: 90.00 %, healthy" in svg and "a, seed 1: 80.00 %, complete" in svg
    assert all(COLLAPSE_TYPES[name][0] in svg for name in ("healthy", "complete"))


def test_many_runs_are_drawn_without_names_and_still_by_type_and_control():
    rows = [
        {**ROW, "label": f"arm {n}", "is_control": n == 7, "seeds": [0, 1], "values": [0.5 + n / 1000, 0.6]}
        for n in range(250)
    ]
    svg = dot_plot(rows)
    assert "seed 0" not in svg and svg.count('<g class="mark"') == 500
    assert {series for series in re.findall(r'data-series="(.*?)"', svg)} == {"healthy", "complete", "untrained"}
