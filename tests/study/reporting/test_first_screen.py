"""What a report says first: facts on trust, what was found, and how the main figure is read."""

import pytest

from study.reporting.view.first_screen import caption_of
from study.results.json_values import to_values
from tests.study.analysis.sentences import about_collapse
from tests.study.made_up import Plans, unfinished
from tests.study.made_up_reports import table_7, view_of, without_figures

SEEDS = ("Seeds", "3")


@pytest.fixture(scope="module")
def plans(tiny_config, digits):
    return Plans(tiny_config, digits)


@pytest.fixture(autouse=True)
def sketched(monkeypatch):
    without_figures(monkeypatch)


def decided(study, **decisions):
    """The study with these decisions of its arms, by name with `_` for `-`."""
    for arm in study["arms"]:
        if (decision := decisions.get(f"_{arm['name'].replace('-', '_')}")) is not None:
            arm["summary"][study["primary"]]["difference"]["decision"] = decision
    return study


def test_facts_are_the_seeds_the_detectable_difference_and_the_untrained_level(plans):
    study = table_7(plans)
    study["power"]["detectable"] = 0.0314
    (_, untrained), *rest = [pair for pair in view_of(study)["facts"] if pair[0] == "Untrained network"]
    assert view_of(study)["facts"][:2] == [SEEDS, ("Detectable difference", "3.1 points")] and rest == []
    control = study["arms"][-1]["summary"][study["primary"]]
    assert untrained == f"{100 * control['mean']:.1f} ± {100 * control['sd']:.1f} %"


def test_what_is_not_known_is_no_fact(plans):
    study = table_7(plans)
    study["power"]["detectable"] = None
    study["arms"] = [arm for arm in study["arms"] if not arm["is_control"]]
    assert view_of(study)["facts"] == [SEEDS]
    study["power"]["detectable"] = 1.5  # more points than there can be
    assert view_of(study)["facts"] == [SEEDS, ("Detectable difference", "none")]


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ({"look": 2, "planned": [3, 5, 8], "declared": True, "price": 3}, "3, look 2 of 3"),
        ({"look": 1, "planned": [3], "declared": True, "price": 1}, "3"),
        ({"look": 2, "planned": [3, 5], "declared": False, "price": 6}, "3, look 2 and not planned"),
    ],
)
def test_looks_stand_beside_the_seeds(plans, looks, said):
    assert view_of({**table_7(plans), "looks": looks})["facts"][0] == ("Seeds", said)


def test_seeds_that_some_settings_lost_are_a_range(plans):
    study = table_7(plans, lost={("1-0-0", 1): unfinished("failed", "no memory")})
    assert view_of(study)["facts"][0] == ("Seeds", "2 to 3 an arm")


def test_what_was_found_counts_decisions_and_collapses(plans):
    found = view_of(decided(table_7(plans), _1_0_0="worse", _1_1_0="undecided"))["found"]
    assert found == (
        "Of 2 settings compared with the baseline, 1 is worse and 1 is undecided. "
        "2 of 3 settings collapsed: 1 informational and 1 complete. Without covariance (ν 0): informational."
    )
    found = view_of(decided(table_7(plans), _1_0_0="worse", _1_1_0="worse"))["found"]
    assert found.startswith("Of 2 settings compared with the baseline, 2 are worse.")


def test_a_setting_that_lost_seeds_counts_as_lost_and_not_as_decided(plans):
    study = decided(table_7(plans, lost={("1-1-0", 1): unfinished("failed", "x")}, seeds=range(4)), _1_1_0="better")
    assert "1 setting lost seeds" in view_of(study)["found"] and "better" not in view_of(study)["found"]


def test_nothing_found_is_said(plans):
    lost = {(arm, seed): unfinished("missing") for arm in ("1-0-0", "1-1-0", "25-25-1", "untrained") for seed in range(3)}
    view = view_of(table_7(plans, lost=lost))
    assert view["found"] == "No run has a result yet." and view["facts"][0] == ("Seeds", "0")
    assert view["trust"] == ["No run has ended yet, so there is no accuracy."]


def test_trials_of_a_search_and_the_variance_of_a_grid_are_found_too(made_up_modes):
    modes = made_up_modes()
    assert " trials collapsed." in view_of(modes["search"])["found"]
    grid = view_of(modes["grid"])
    assert grid["found"].endswith("% of the variance.") and grid["main_caption"].startswith("A tile is a setting")


def test_results_of_earlier_versions_say_what_they_could_have_seen_in_place_of_trust(plans):
    study = {key: value for key, value in table_7(plans).items() if key != "trust"}
    view = view_of(study)
    assert view["trust"] == [view["power"]["text"]] and "With n = 3" in view["trust"][0]


def test_no_figure_has_no_caption():
    assert caption_of([], "") == ""


def test_a_study_about_collapse_shows_first_what_collapses(plans):
    results = about_collapse(plans, {"a": "dimensional", "b-mu": "complete"})
    view = view_of(to_values(results))
    assert [panel["name"] for panel in view["figures"]["main"]] == ["what-collapses"]
    assert "the method is not healthy as it is" in view["main_caption"]
    facts = dict(view["facts"])
    assert facts["Changes that collapse"] == "1 of 2" and "Detectable difference" not in facts
    assert view["found"] == "Complete: ν 2, μ 0. Healthy: ν 2, base lr 0.1. Nothing follows: ν 1, μ 0; ν 1, base lr 0.1."
    columns, rows = (view["figures"]["main"][0][key] for key in ("columns", "rows"))
    assert columns[:3] == ["Method", "Changed", "Type unchanged"]
    assert rows[2] == ["ν 2", "μ 0", "healthy", "complete", "complete, complete, complete"]
    others = [panel["name"] for group in ("forest", "accuracy", "design") for panel in view["figures"][group]]
    assert "forest" in others and "what-collapses" not in others


def test_a_study_about_accuracy_has_no_figure_of_what_collapses(plans):
    view = view_of(table_7(plans))
    assert [panel["name"] for panel in view["figures"]["main"]] == ["forest"]
    assert "Changes that collapse" not in dict(view["facts"])
