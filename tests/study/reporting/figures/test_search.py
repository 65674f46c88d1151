"""Figures of a search."""

from study.reporting.figures.search import importance_bars, search_history


def test_a_trial_without_a_value_is_still_in_the_history():
    trials = [{"x": n, "y": value, "type": None, "tip": f"trial {n}"} for n, value in enumerate([None, 0.5, None, 0.7])]
    svg = search_history(trials, objective="accuracy")
    assert all(f"<title>trial {n}</title>" in svg for n in range(4)) and "ended early" in svg
    assert "<title>trial 0</title>" in search_history(trials[:1], objective="accuracy")
    assert svg.count("<title>best so far</title>") == 1


def test_a_share_that_is_not_known_has_no_bar_and_each_noise_floor_a_line():
    rows = [{"label": "nu", "fanova": 0.5, "ped_anova": None}]
    svg = importance_bars(rows, floor={"fanova": 0.1, "ped_anova": None})
    assert "nu, fANOVA: 0.50" in svg and ">nu, PED-ANOVA" not in svg and svg.count("noise, fANOVA</text>") == 1
