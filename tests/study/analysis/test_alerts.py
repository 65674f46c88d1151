"""Alerts stand before any number: runs without a result, and too few seeds."""

import pytest

from study.analysis.alerts import alerts, ends_differently
from tests.study.analysis.sentences import GOOD, NOISE, runs_of, shifted
from tests.study.made_up import by_seed, finished, unfinished

ALL = {**by_seed("base", [0.5] * 3), **by_seed("other", [0.6] * 3), **by_seed("third", [0.6] * 3)}
ALL |= by_seed("untrained", [0.4] * 3)


def test_every_run_without_a_result_is_counted_and_some_are_named(plans):
    lost = {("base", 2): unfinished("diverged"), ("other", 1): unfinished("killed")}
    lost |= {("third", seed): unfinished("missing") for seed in range(3)}
    assert alerts(plans.results({**ALL, **lost})) == [
        "5 of 12 runs have no result; they count in every rate and in no mean.",
        "ν 1 seed 2 diverged.",
        "ν 2 seed 1 was killed.",
        "ν 3 seed 0, ν 3 seed 1 and 1 more are missing.",
        "n = 1: descriptive only. Below three seeds no difference is tested.",  # no arm shares more with the baseline
    ]
    assert alerts(plans.results(ALL)) == []


@pytest.mark.parametrize(
    ("status", "said"),
    [("out-of-memory", "ran out of memory"), ("failed", "failed"), ("partial", "is unfinished"), ("missing", "is missing")],
)
def test_every_way_to_end_without_a_result_has_its_words(plans, status, said):
    assert alerts(plans.results({**ALL, ("other", 0): unfinished(status)})) == [
        "1 of 12 runs has no result; it counts in every rate and in no mean.",
        f"ν 2 seed 0 {said}.",
    ]


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_nothing_is_tested(plans, seeds):
    some = {key: run for key, run in ALL.items() if key[1] < seeds}
    assert alerts(plans.results(some, seeds=range(seeds))) == [
        f"n = {seeds}: descriptive only. Below three seeds no difference is tested."
    ]


def test_too_few_images_to_tell_is_an_alert(plans):
    some = {**ALL, **by_seed("other", [0.6] * 3, verdict="undetermined")}
    assert alerts(plans.results(some)) == ["Too few images are held out to tell whether 1 of 3 settings collapsed."]


def test_a_trial_that_was_killed_is_an_alert_and_one_that_was_pruned_is_none(plans):
    plan = plans.search([{"pretrain.nu": 0.5}])
    results = {**by_seed("base", [0.5] * 3), **by_seed("best", [0.6] * 3), **by_seed("untrained", [0.4] * 3)}
    results["trial-000", 1000] = unfinished("killed")
    assert "trial-000 seed 1000 was killed." in alerts(plans.results(results, of=plan))
    results["trial-000", 1000] = unfinished("pruned")
    assert alerts(plans.results(results, of=plan)) == []


def test_seeds_that_say_nothing_of_how_they_ended_do_not_end_differently(plans):
    def ends(*outcomes):
        runs = runs_of({"base": GOOD, "other": shifted(-0.2), "third": NOISE})
        runs |= {("other", seed): finished(0.5, verdict=name) for seed, name in enumerate(outcomes)}
        return ends_differently(plans.results(runs).arm("other"))

    assert ends("healthy", "complete", "healthy")
    assert not ends("undetermined", "undetermined", "undetermined") and not ends("healthy", "undetermined", "healthy")
    assert not ends("complete", "informational", "complete")
