"""Names of marks."""

import xml.etree.ElementTree

import pytest
from matplotlib.figure import Figure

from study.reporting.figures.drawing import as_svg
from study.reporting.figures.marks import name_marks


@as_svg
def scattered(xs, texts, *, log):
    figure = Figure()
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    drawn = axes.scatter(xs, [1.0] * len(xs))
    if log:
        axes.set_xscale("log")
    name_marks(drawn, texts, series=[f"series {number}" for number in range(len(texts))])
    return figure


def titles(svg):
    root = xml.etree.ElementTree.fromstring(svg)
    marks = [one for one in root.iter("{http://www.w3.org/2000/svg}g") if one.get("class") == "mark"]
    return [(one.get("data-series"), one[0].text) for one in marks]


@pytest.mark.parametrize("count", [1, 2, 40])
def test_each_member_of_a_collection_has_its_own_name(count):
    texts = [f"run {number} < & > \u241f\u241e" for number in range(count)]
    svg = scattered([1.0 + number for number in range(count)], texts, log=False)
    assert titles(svg) == [(f"series {number}", f"run {number} < & >") for number in range(count)]


def test_no_member_has_the_name_of_another_where_one_is_not_drawn():
    assert titles(scattered([0.0, 1.0, 2.0], ["zero", "one", "two"], log=True)) == []
