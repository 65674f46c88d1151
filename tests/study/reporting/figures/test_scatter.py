"""The scatter plot."""

import re

from study.reporting.figures.scatter import scatter_plot


def test_a_trial_without_a_value_is_a_cross_at_the_edge_and_not_left_out():
    points = [{"x": 1.0, "y": 50.0, "type": "healthy", "tip": "one"}, {"x": 9.0, "y": None, "type": None, "tip": "two"}]
    svg = scatter_plot(points, xlabel="x", log_x=True)
    assert "<title>two</title>" in svg and "ended early" in svg
    assert "ended early" not in scatter_plot(points[:1], xlabel="x")
    assert "<title>" not in scatter_plot([], xlabel="x", log_x=True)


def test_an_axis_of_one_decade_has_ticks():
    for low in (3.1, 0.41, 200.0):
        points = [{"x": low * step, "y": 50.0 + step, "type": "healthy", "tip": "run"} for step in (1.0, 1.2, 1.5)]
        svg = scatter_plot(points, xlabel="RankMe", log_x=True)
        written = re.search(r'id="matplotlib.axis_1">(.*?)id="matplotlib.axis_2"', svg, flags=re.DOTALL)[1]
        assert len(re.findall(r">[\d.]+</text>", written)) >= 2, low


def test_a_fit_has_a_band_over_settings_and_needs_them():
    points = [{"x": 1.5**n, "y": 50.0 + n % 7, "type": "healthy", "tip": "run"} for n in range(12)]
    fitted = scatter_plot(points, xlabel="x", log_x=True, settings=[f"arm {n // 2}" for n in range(12)])
    assert fitted.count("least squares") == 2 and "least squares" not in scatter_plot(points, xlabel="x", log_x=True)
    assert fitted == scatter_plot(points, xlabel="x", log_x=True, settings=[f"arm {n // 2}" for n in range(12)])
