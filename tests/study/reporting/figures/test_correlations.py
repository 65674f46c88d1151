"""Rank correlations."""

from study.reporting.figures.correlations import correlation_plot


def test_a_correlation_without_an_interval_is_drawn_and_one_without_a_value_is_not():
    one, none = {"value": 0.5, "low": None, "high": None}, {"value": None, "low": None, "high": None}
    svg = correlation_plot([{"label": "rank", "spearman": one, "kendall": none}])
    assert "rank, Spearman: 0.50" in svg and "rank, Kendall" not in svg
