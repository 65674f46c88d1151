"""Figures of a search."""

import pytest

from study.reporting.figures.search import importance_bars, search_history


def test_a_trial_without_a_value_is_still_in_the_history():
    trials = [{"x": n, "y": value, "type": None, "tip": f"trial {n}"} for n, value in enumerate([None, 0.5, None, 0.7])]
    svg = search_history(trials, objective="accuracy")
    assert all(f"<title>trial {n}</title>" in svg for n in range(4)) and "ended early" in svg
    assert "<title>trial 0</title>" in search_history(trials[:1], objective="accuracy")
    assert svg.count("<title>best so far</title>") == 1


@pytest.mark.parametrize(("lowest", "best"), [(False, [1.0, 3.0, 3.0]), (True, [1.0, 1.0, 0.5])])
def test_the_best_so_far_is_the_highest_or_of_a_cost_the_lowest(monkeypatch, lowest, best):
    drawn = []
    monkeypatch.setattr("seaborn.lineplot", lambda **line: [drawn.append(line["y"]), line["ax"].plot(line["x"], line["y"])])
    trials = [{"x": n, "y": value, "type": None, "tip": str(n)} for n, value in enumerate([1.0, 3.0, 0.5])]
    search_history(trials, objective="cost", lowest=lowest)
    assert drawn == [best]


def test_a_share_that_is_not_known_has_no_bar_and_each_noise_floor_a_line():
    rows = [{"label": "nu", "fanova": 0.5, "ped_anova": None}]
    svg = importance_bars(rows, floor={"fanova": 0.1, "ped_anova": None})
    assert "nu, fANOVA: 0.50" in svg and ">nu, PED-ANOVA" not in svg and svg.count("noise, fANOVA</text>") == 1
