"""A study's answer and its alerts, as sentences that follow from its numbers."""

import pytest

from tests.study.made_up import GRID, arm_of, by_seed, finished, log_record, study, unfinished


def test_the_answer_names_the_best_arm_and_how_sure_that_is(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.51, 0.62, 0.73])}
    assert summary_of(results)["answer"] == (
        "Best on validation is ν 2; on test it has 62.0 ± 11.0 % linear (cached features) top-1, +2.0 points from the "
        "baseline (95 % interval −0.5 to +4.5, 3 paired seeds, Holm's p = 0.074, so not told apart from it). Of 3 arms none "
        "collapsed, 1 is missing."
    )
    results |= {**by_seed("other", [0.6, 0.7, 0.81]), **by_seed("third", [0.5, 0.5, 0.49], verdict="complete")}
    assert (
        "+10.3 points from the baseline (95 % interval +8.9 to +11.8, 3 paired seeds, Holm's p = 0.002)."
        in (summary_of(results)["answer"])
    )
    assert summary_of(results)["answer"].endswith(". Of 3 arms 1 collapsed (1 complete).")


def test_equal_steps_at_every_seed_make_nothing_certain(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), **by_seed("other", [0.6, 0.7, 0.8])}
    answer = summary_of(results)["answer"]
    assert "+10.0 points from the baseline (the same at each of 3 seeds, so there is no spread to tell by)" in answer


def test_an_arm_that_lost_seeds_is_not_called_best_and_is_named(summary_of):
    results = {**by_seed("base", [0.5, 0.6, 0.7]), ("other", 1): finished(0.95), ("other", 0): unfinished("diverged")}
    answer = summary_of(results)["answer"]
    assert answer.startswith("Best on validation is ν 1 (ν 2 lost seeds and is not considered); on test it has 60.0")
    del results["base", 0]
    assert summary_of(results)["answer"].startswith("No arm has finished at every seed, so none is called best")


def test_an_interval_that_excludes_zero_is_not_told_apart_where_holms_p_says_otherwise(summary_of):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]),
        **by_seed("other", [0.53, 0.64, 0.75]),
        **by_seed("third", [0.5, 0.61, 0.69], verdict="dimensional"),  # so that no class moderates
    }
    summary = summary_of(results)
    difference = arm_of(summary, "other")["summary"]["linear_cached"]["difference"]
    assert (
        difference["low"] > 0 and difference["p_holm"] == pytest.approx(2 * difference["p"]) and difference["p_holm"] < 0.05
    )
    assert "so not told apart" not in summary["answer"]
    results["other", 2] = finished(0.757)  # a little more spread: p is below 0.05 still, and twice p no longer
    summary = summary_of(results)
    difference = arm_of(summary, "other")["summary"]["linear_cached"]["difference"]
    assert difference["low"] > 0 and difference["p"] < 0.05 < difference["p_holm"]
    assert f"Holm's p = {difference['p_holm']:.3f}, so not told apart from it)" in summary["answer"]


def test_the_best_arm_is_chosen_on_validation_and_its_accuracy_read_on_test(summary_of):
    results = {**by_seed("base", [0.5] * 3), **by_seed("other", [0.9] * 3)}
    for seed in range(3):
        results["base", seed]["validation"] = finished(0.7)["validation"]
        results["other", seed]["validation"] = finished(0.6)["validation"]
    assert summary_of(results)["answer"].startswith("Best on validation is ν 1; on test it has 50.0 ± 0.0 %")


def test_the_answer_counts_the_arms_that_a_best_baseline_is_not_told_apart_from(summary_of):
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]),
        **by_seed("other", [0.49, 0.61, 0.69]),
        **by_seed("third", [0.1, 0.2, 0.301]),
    }
    answer = summary_of(results)["answer"]
    assert ". It is the baseline. " in answer
    assert "by Holm's adjusted p-values, ν 3 is below it and 1 of 2 arms is not told apart from it. " in answer
    assert answer.endswith("Of 3 arms none collapsed.")


def test_two_seeds_are_said_to_be_too_few_for_an_interval(summary_of):
    results = {**by_seed("base", [0.5, 0.5]), **by_seed("other", [0.6, 0.7])}
    answer = summary_of(results, seeds=range(2))["answer"]
    assert "+15.0 points from the baseline (n = 2, too few for an interval: descriptive only)" in answer


def test_without_a_finished_run_there_is_no_answer(summary_of):
    assert summary_of({})["answer"] == "No run has finished yet, so there is no answer yet."
    assert summary_of({("base", 0): unfinished("partial")})["answer"].startswith("No run has finished yet")
    summary = summary_of({("base", 0): unfinished("diverged")})
    assert summary["answer"] == (
        "Of 9 runs 1 diverged, 8 are missing, so no arm has an accuracy and there is no answer yet."
    )
    assert summary["commits"] == [] and not any(arm["summary"] for arm in summary["arms"])


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("diverged", "9 diverged, so no arm has an accuracy and there is no answer."),
        ("out-of-memory", "9 ran out of memory, so no arm has an accuracy and there is no answer."),
        ("killed", "9 were killed, so no arm has an accuracy and there is no answer yet."),
        ("failed", "9 failed, so no arm has an accuracy and there is no answer yet."),
    ],
)
def test_where_no_arm_has_an_accuracy_the_answer_says_what_became_of_its_runs(summary_of, status, said):
    results = {(arm, seed): unfinished(status) for arm in ("base", "other", "third") for seed in range(3)}
    assert summary_of(results)["answer"] == f"Of 9 runs {said}"


def test_the_answer_speaks_of_a_probe_that_was_measured(summary_of):
    assert summary_of({}, settings={"ablate.probes": ["knn"]})["primary"] == "knn_5"
    assert summary_of({}, settings={"ablate.probes": ["linear"]})["primary"] == "linear"
    assert summary_of({}, settings={"ablate.probes": ["knn", "linear", "linear_cached"]})["primary"] == "linear_cached"


def test_a_searchs_answer_is_what_validation_chose_and_not_the_luckiest_trial_on_test(plans):
    plan = plans.search([{"pretrain.nu": 0.5}, {"pretrain.nu": 4}])
    results = {
        **by_seed("base", [0.5] * 3), **by_seed("best", [0.6] * 3), ("trial-000", 1000): finished(0.7),
        ("trial-001", 1001): finished(0.9),
    }  # fmt: skip
    summary = plans.summary(results, of=plan)
    assert summary["answer"].startswith("Best on validation is ν 0.5; on test it has 60.0")
    assert any("chosen on validation" in note for note in summary["notes"])


def test_an_arm_that_diverged_is_not_said_to_have_collapsed(summary_of):
    results = {**by_seed("base", [0.5] * 3), **{("other", seed): unfinished("diverged") for seed in range(3)}}
    assert summary_of(results)["answer"].endswith("Of 3 arms none collapsed, 1 diverged, 1 is missing.")
    results |= by_seed("third", [0.5] * 3, verdict="complete")
    assert summary_of(results)["answer"].endswith("Of 3 arms 1 collapsed (1 complete), 1 diverged.")


def test_an_arm_of_which_too_few_images_can_tell_is_neither_collapsed_nor_said_not_to_be(summary_of):
    few = {**by_seed("base", [0.5] * 3, verdict="undetermined"), **by_seed("other", [0.5] * 3, verdict="complete")}
    results = {**few, **by_seed("third", [0.5] * 3)}
    expected = ". Of 3 arms 1 collapsed (1 complete), 1 has too few held-out images to tell."
    assert summary_of(results)["answer"].endswith(expected)
    results |= by_seed("other", [0.5] * 3, verdict="undetermined") | by_seed("third", [0.5] * 3, verdict="undetermined")
    assert summary_of(results)["answer"].endswith(". Of 3 arms 3 have too few held-out images to tell.")


def test_a_searchs_answer_counts_collapsed_settings_and_what_pruning_saved(plans):
    plan = plans.search([{"pretrain.nu": 0.5}, {"pretrain.nu": 4}])
    pruned = unfinished("pruned", history=[log_record(1)])
    results = {**by_seed("base", [0.5] * 3), ("trial-000", 1000): finished(0.6), ("trial-001", 1001): pruned}
    answer = plans.summary(results, of=plan)["answer"]
    assert "Of 3 settings 1 collapsed (1 complete and pruned)" in answer
    assert answer.endswith("Pruning of 1 collapsed trials saved 38 % of the search's epochs.")  # 3 of 2 x 4


def test_a_grids_answer_begins_with_the_region_and_what_explains_it(summary_of):
    values = {GRID[0].name: 0.5, GRID[1].name: 0.52, GRID[2].name: 0.8, GRID[3].name: 0.83}
    results = {}
    for place, (name, value) in enumerate(values.items()):
        verdict = "complete" if place == 0 else "healthy"
        results |= by_seed(name, [value, value + 0.01 * (place % 2), value - 0.01], verdict=verdict)
    answer = summary_of(results, asked=study(GRID, mode="grid"))["answer"]
    assert answer.startswith(
        "Of 4 arms 1 collapsed (1 complete). Of the variance of accuracy over the grid's runs λ explains 99 %"
    )
    assert "Best on validation is λ 25, μ 25" in answer


def test_a_paths_answer_names_the_change_that_earned_most(plans):
    plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": 0.5}, {"step-2-mu": 0.71}])
    results = {
        **by_seed("base", [0.5, 0.6, 0.7]), **by_seed("step-1-nu", [0.51, 0.62, 0.73]),
        **by_seed("step-2-mu", [0.6, 0.7, 0.83]),
    }  # fmt: skip
    answer = plans.summary(results, of=plan)["answer"]
    assert "Of the changes on the way μ: 25 → 5 earned most: +9.0 points from the step before (95 % interval +6.5" in answer


def test_every_run_without_a_result_is_named_before_any_number(summary_of):
    results = {**by_seed("base", [0.5] * 3), **by_seed("other", [0.6] * 3), **by_seed("untrained", [0.4] * 3)}
    results["base", 2] = unfinished("diverged")
    results["other", 1] = unfinished("killed")
    alert, few = summary_of(results)["alerts"]
    assert few.startswith("n = 1: descriptive only.")  # no arm shares more seeds with the baseline
    assert alert == (
        "5 of 12 runs have no result: ν 1 seed 2 diverged; ν 2 seed 1 was killed; ν 3 seed 0, ν 3 seed 1, ν 3 seed 2 are "
        "missing. They count in every rate and in no mean."
    )
    assert (
        summary_of({**results, **by_seed("base", [0.5] * 3), **by_seed("other", [0.6] * 3), **by_seed("third", [0.5] * 3)})[
            "alerts"
        ]
        == []
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [("out-of-memory", "ran out of memory"), ("failed", "failed"), ("partial", "is unfinished"), ("missing", "is missing")],
)
def test_every_way_to_end_without_a_result_has_its_words(summary_of, status, said):
    results = {
        **by_seed("base", [0.5] * 3),
        **by_seed("other", [0.6] * 3),
        **by_seed("third", [0.6] * 3),
        **by_seed("untrained", [0.4] * 3),
    }
    results["other", 0] = unfinished(status)
    assert summary_of(results)["alerts"] == [
        f"1 of 12 runs has no result: ν 2 seed 0 {said}. They count in every rate and in no mean."
    ]


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_nothing_is_concluded(summary_of, seeds):
    named = {arm: by_seed(arm, [0.5, 0.6][:seeds]) for arm in ("base", "other", "third", "untrained")}
    results = {key: run for runs in named.values() for key, run in runs.items()}
    (alert,) = summary_of(results, seeds=range(seeds))["alerts"]
    assert alert.startswith(f"n = {seeds}: descriptive only.")


def test_a_trial_that_was_killed_is_an_alarm(plans):
    plan = plans.search([{"pretrain.nu": 0.5}])
    results = {
        **by_seed("base", [0.5] * 3), **by_seed("best", [0.6] * 3), **by_seed("untrained", [0.4] * 3),
        ("trial-000", 1000): unfinished("killed"),
    }  # fmt: skip
    (alert,) = [one for one in plans.summary(results, of=plan)["alerts"] if "no result" in one]
    assert "trial-000 seed 1000 was killed" in alert


def test_a_trial_that_was_pruned_is_no_alarm(plans):
    plan = plans.search([{"pretrain.nu": 0.5}])
    results = {
        **by_seed("base", [0.5] * 3), **by_seed("best", [0.6] * 3), **by_seed("untrained", [0.4] * 3),
        ("trial-000", 1000): unfinished("pruned"),
    }  # fmt: skip
    assert plans.summary(results, of=plan)["alerts"] == []
