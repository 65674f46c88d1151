"""Figures: what they are drawn from, and that they look the same everywhere."""

import re
import xml.etree.ElementTree

import pytest

from study.reporting import design_figures, drawing, figures
from tests.study.made_up import Plans
from tests.study.made_up_reports import table_7

ROW = {
    "label": "a",
    "verdicts": ["healthy", "complete"],
    "is_baseline": True,
    "is_control": False,
    "seeds": [0, 1],
    "values": [0.9, 0.8],
    "mean": 0.85,
}


def test_a_user_s_matplotlib_settings_do_not_change_a_figure():
    plain = figures.dot_plot([ROW])
    with figures.matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert figures.dot_plot([ROW]) == plain


def test_a_dot_has_the_verdict_of_its_own_run():
    svg = figures.dot_plot([ROW])
    assert "a, seed 0: 90.00 %, healthy" in svg and "a, seed 1: 80.00 %, complete" in svg
    assert all(drawing.VERDICTS[name][0] in svg for name in ("healthy", "complete"))


def test_a_trial_without_a_value_is_a_cross_at_the_edge_and_not_left_out():
    points = [{"x": 1.0, "y": 50.0, "verdict": "healthy", "tip": "one"}, {"x": 9.0, "y": None, "verdict": None, "tip": "two"}]
    svg = design_figures.scatter(points, xlabel="x", log_x=True)
    assert "<title>two</title>" in svg and "no value" in svg
    assert "no value" not in design_figures.scatter(points[:1], xlabel="x")


def test_a_trace_is_the_mean_over_seeds_within_its_extremes():
    runs = [{"status": "finished", "history": [{"epoch": 1, "embeddings": {"rankme": v}}]} for v in (1.0, 2.0, 6.0)]
    runs.append({"status": "failed", "history": [{"epoch": 1, "embeddings": {"rankme": 100.0}}]})
    assert figures.trace({"runs": runs}, "embeddings.rankme") == ([1], [(3.0, 1.0, 6.0)])
    assert figures.trace({"runs": runs[3:]}, "embeddings.rankme") == ([1], [(100.0, 100.0, 100.0)])  # better than nothing


def test_a_spectrum_is_relative_to_each_runs_largest_eigenvalue():
    runs = [{"collapse": {"embeddings": {"spectrum": spectrum}}} for spectrum in ([4.0, 2.0], [10.0, 1.0, 0.5])]
    x, y = figures.spectrum({"runs": [*runs, {"collapse": {}}]}, "embeddings")
    assert x == [1, 2] and y == [(1.0, 1.0, 1.0), (pytest.approx(0.3), 0.1, 0.5)]


def test_names_of_lines_do_not_touch():
    placed = figures._spread([5.0, 5.0, 6.0, 99.0, 100.0], gap=10, top=100)
    assert all(b - a >= 10 for a, b in zip(placed, placed[1:])) and placed[-1] <= 100


def test_many_arms_many_classes_and_extreme_values_are_drawn(tiny_config, digits):
    arm = table_7(Plans(tiny_config, digits))["arms"][0]
    lines = [([1, 2], [(10.0 ** (9 * i % 40 - 30), 0.0, 1e6), (float(i), 0.0, 1e6)]) for i in range(30)]
    assert "<svg" in figures.curves([arm] * 30, lines, log=True)
    assert "<svg" in figures.map_2d([(i, -i) for i in range(100)], list(range(100)), [f"class {i}" for i in range(100)])
    assert "<svg" in figures.confusion([[1] * 30 for _ in range(30)], [str(i) for i in range(30)])


def test_an_arm_beyond_the_axis_of_differences_is_an_arrow_with_its_number():
    near = {
        "label": "near",
        "verdict": "healthy",
        "text": "+0.1",
        "mean": 0.001,
        "low": -0.01,
        "high": 0.012,
        "values": [0.0, 0.002],
    }
    far = {"label": "far", "verdict": "complete", "text": "−60.0", "mean": -0.6, "low": -0.7, "high": -0.5, "values": [-0.6]}
    svg = design_figures.forest(
        [near, far, {**near, "label": "none", "mean": None, "values": [], "text": "no result"}], margin=0.01
    )
    assert "−60.0" in svg and "no result" in svg and "far: −60.0" in svg
    labels = [float(text.replace("−", "-")) for text in re.findall(r">([+−]\d+)</text>", svg)]
    assert labels and min(labels) > -10  # the collapsed arm does not stretch the axis


def test_every_figure_of_a_design_is_drawn_where_values_are_missing():
    cells = [
        {
            "x": x,
            "y": y,
            "label": "",
            "verdict": verdict,
            "verdicts": "",
            "rank": rank,
            "accuracy": rank and 0.5,
            "tip": "a cell",
        }
        for x, y, verdict, rank in ((1, 1, "healthy", 12.0), (25, 1, "complete", 1.0), (1, 25, "diverged", None))
    ]
    published = [{"x": 25, "y": 25, "collapsed": True, "text": "published"}]
    for colour in ("verdict", "rank"):
        svg = design_figures.phase(cells, colour=colour, published=published)
        assert "no result" in svg and "<title>published</title>" in svg
    trials = [
        {"number": n, "value": value, "verdict": None, "tip": f"trial {n}"} for n, value in enumerate([None, 0.5, None, 0.7])
    ]
    svg = design_figures.search_history(trials, objective="accuracy")
    assert all(f"<title>trial {n}</title>" in svg for n in range(4))
    assert "<svg" in design_figures.search_history(trials[:1], objective="accuracy")
    one = {"value": 0.5, "low": None, "high": None}
    assert "Spearman: 0.50" in design_figures.correlations([{"label": "rank", "spearman": one, "kendall": one}])
    assert "<svg" in design_figures.scatter([], xlabel="x", log_x=True)


def test_figures_are_well_formed_of_one_width_and_carry_no_date():
    for svg in (
        figures.dot_plot([ROW]),
        design_figures.scatter([{"x": 1.0, "y": 0.5, "verdict": None, "tip": "a < b"}], xlabel="x"),
    ):
        root = xml.etree.ElementTree.fromstring(svg)
        assert float(root.attrib["viewBox"].split()[2]) == pytest.approx(drawing.WIDTH, abs=0.01)
        assert not re.search(r"20\d\d-\d\d|Matplotlib", svg)


def test_shape_says_what_colour_says():
    colours, markers, signs = zip(*drawing.VERDICTS.values())
    assert len(set(colours)) == len(set(markers)) == len(set(signs)) == len(drawing.VERDICTS)


def test_the_number_on_a_tile_is_readable_whatever_its_rank():
    cells = [
        {
            "x": 1 + n,
            "y": 1,
            "label": "",
            "verdict": "healthy",
            "verdicts": "",
            "rank": 1.6**n,
            "accuracy": 0.5,
            "tip": str(n),
        }
        for n in range(14)
    ]
    svg = design_figures.phase(cells, colour="rank")
    faces = re.findall(r'<path d="[^"]*" clip-path="[^"]*" style="fill: (#\w+); stroke: #ffffff', svg)
    styles = re.findall(r'<title>\d+</title>.*?<text style="([^"]*)"', svg, flags=re.DOTALL)
    inks = [found[1] if (found := re.search(r"fill: (#\w+)", style)) else "#000000" for style in styles]
    assert len(faces) == len(inks) == len(cells)
    assert {"#fffffe"} < set(inks)
    for face, ink in zip(faces, inks):
        low, high = sorted(map(luminance, (face, ink)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def luminance(colour):
    """WCAG 2.2's relative luminance of #rrggbb."""
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear))
