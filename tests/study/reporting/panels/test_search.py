"""Figures of a search."""

import pytest

from study.reporting.panels.search import best_trial, ranked_parameters, search_panels
from study.results.files import results_from_values
from tests.study.made_up_reports import without_figures


@pytest.fixture(scope="module")
def study(made_up_modes):
    """A search of 22 trials over two numbers and a name, one of them pruned; the later a trial, the better."""
    return results_from_values(made_up_modes()["search"], where="search")


def test_a_search_is_drawn_in_its_space_first_and_every_trial_is_in_each_table(study, monkeypatch):
    without_figures(monkeypatch)
    names = [panel["name"] for panel in search_panels(study)]
    assert names[:3] == ["search-plane", "search-parallel", "search-history"]
    for panel in search_panels(study)[:3]:
        assert len(panel["rows"]) == len(study.search.trials) == 22
        assert any("pruned" in row[-1] for row in panel["rows"])


def test_the_best_trial_has_the_highest_value_and_the_cheapest_is_best_of_costs(study):
    values = {one.name: one.values for one in study.search.trials if one.values}
    best = best_trial(study.search, study.search.objectives[0])
    assert best.values == max(values.values(), key=lambda found: found[study.search.objectives[0]])
    assert best_trial(study.search, "cost") is None  # it was no objective


def test_parameters_stand_in_the_order_of_their_importance(study):
    found = ranked_parameters(study.search)
    assert {one.name for one in found} == {"lambda", "mu", "optimizer"}
    assert [one.name for one in found if not one.is_numeric] == ["optimizer"]
    if study.search.importances:
        shares = {row.label.removeprefix("pretrain."): row.fanova or 0 for row in study.search.importances.rows}
        ranked = [shares.get(one.name, 0) for one in found]
        assert ranked == sorted(ranked, reverse=True)
