"""The scatter plot."""

from study.reporting.figures.scatter import scatter_plot


def test_a_trial_without_a_value_is_a_cross_at_the_edge_and_not_left_out():
    points = [{"x": 1.0, "y": 50.0, "type": "healthy", "tip": "one"}, {"x": 9.0, "y": None, "type": None, "tip": "two"}]
    svg = scatter_plot(points, xlabel="x", log_x=True)
    assert "<title>two</title>" in svg and "no value" in svg
    assert "no value" not in scatter_plot(points[:1], xlabel="x")
    assert "<title>" not in scatter_plot([], xlabel="x", log_x=True)
