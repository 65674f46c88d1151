"""Every figure looks the same everywhere."""

import re
import xml.etree.ElementTree

import matplotlib
import pytest

from study.reporting.figures.dots import dot_plot
from study.reporting.figures.drawing import WIDTH
from study.reporting.figures.scatter import scatter_plot

ROW = {
    "label": "a", "types": ["healthy", "complete"], "is_baseline": True, "is_control": False, "seeds": [0, 1],
    "values": [0.9, 0.8], "mean": 0.85,
}  # fmt: skip


def test_a_user_s_matplotlib_settings_do_not_change_a_figure():
    plain = dot_plot([ROW])
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert dot_plot([ROW]) == plain


def test_figures_are_well_formed_of_one_width_and_carry_no_date():
    for svg in (
        dot_plot([ROW]),
        scatter_plot([{"x": 1.0, "y": 0.5, "type": None, "tip": "a < b"}], xlabel="x"),
    ):
        root = xml.etree.ElementTree.fromstring(svg)
        assert float(root.attrib["viewBox"].split()[2]) == pytest.approx(WIDTH, abs=0.01)
        assert not re.search(r"20\d\d-\d\d|Matplotlib", svg)
