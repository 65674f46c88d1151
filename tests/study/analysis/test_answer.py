"""A study's answer says what to do, in the order of what matters, and follows from its numbers."""

import dataclasses
import re

import pytest

from study.analysis.answer import answer
from study.analysis.by_decision import decisions_of
from study.analysis.wording import word_count
from study.results.findings import Looks
from study.spec.study_file import Arm
from tests.study.analysis.sentences import (
    GOOD,
    NOISE,
    TERMS,
    TRIALS,
    UNTRAINED,
    decided,
    runs_of,
    shifted,
)
from tests.study.made_up import GRID, by_seed, finished, log_record, study, unfinished

CONTROL = [0.3, 0.31, 0.295]  # with an uneven distance from `GOOD`, so that the gain over it is clear


@pytest.fixture(scope="module")
def answer_of(plans):
    """The answer to runs of the made-up study, with an untrained network that every arm of it clearly beats."""

    def of(values, *, asked=None, **verdicts):
        results = plans.results({**runs_of(values, **verdicts), **by_seed("untrained", CONTROL)}, asked=asked)
        return answer(results)

    return of


# ---- arms


def test_a_setting_that_is_clearly_better_is_to_be_used(answer_of):
    said = answer_of({"base": GOOD, "other": shifted(0.1), "third": shifted(-0.1)})
    assert said == "Use ν 2: it is clearly better than ν 1 (+10.0 points). ν 3 is clearly worse."


def test_two_better_settings_are_a_choice_and_none_of_many_is_called_best(answer_of):
    said = answer_of({"base": GOOD, "other": shifted(0.1), "third": shifted(0.05)})
    assert said == "Use ν 2 or ν 3: both are clearly better than the baseline (+10.0 and +5.0 points)."
    rising = {arm.name: shifted(0.02 * place, wobble=0.0005 * place) for place, arm in enumerate(TERMS)}
    said = answer_of(rising, asked=study(TERMS, baseline="25-25-1"))
    assert said == (
        "Use one of the six settings that are clearly better than λ 25, μ 25, ν 1. λ 10, μ 1, ν 1 leads them on validation, "
        "but no test compares them."
    )


def test_where_nothing_is_better_the_baseline_is_kept_and_what_is_open_is_said(answer_of):
    said = answer_of({"base": GOOD, "other": shifted(-0.2), "third": NOISE})
    assert said.startswith("Keep ν 1: nothing is clearly better. ν 2 is clearly worse. For ν 3, three seeds cannot tell.")
    assert answer_of({"base": GOOD, "other": shifted(-0.2), "third": shifted(-0.3)}) == (
        "Keep ν 1: nothing is clearly better. ν 2 and ν 3 are clearly worse."
    )


def test_where_no_seed_can_tell_the_answer_says_what_the_seeds_could_find(answer_of, plans):
    few = {"base": GOOD, "other": NOISE, "third": [0.69, 0.72, 0.7]}
    assert "For ν 2 and ν 3, three seeds cannot tell." in answer_of(few)  # which tell little of how runs spread
    many = runs_of({name: [*values, *values[::-1]] for name, values in few.items()})
    said = answer(plans.results({**many, **by_seed("untrained", 2 * CONTROL)}, seeds=range(6)))
    found = r"For ν 2 and ν 3, six seeds cannot tell; they find only differences above \d\.\d points reliably\."
    assert re.search(found, said), said


def test_settings_that_tie_are_named_by_what_they_share_and_the_others_by_how_they_look(answer_of):
    values = {"25-25-1": GOOD, "1-1-1": NOISE, "5-5-1": [0.71, 0.7, 0.695]}
    values |= {name: shifted(-0.2) for name in ("1-0-0", "25-0-1", "0-25-1")}
    said = answer_of({**values, "10-1-1": [0.4, 0.8, 0.78]}, asked=study(TERMS, baseline="25-25-1"))
    assert said.startswith(
        "Keep λ 25, μ 25, ν 1. The two others with λ = μ from 1 to 25 and ν 1 are undecided. Three more are clearly worse."
    )
    assert said.endswith(" One more is worse on average, but undecided.")


def test_an_arm_that_leads_on_validation_by_less_than_its_noise_is_a_tie(answer_of):
    said = answer_of({"base": GOOD, "other": [0.72, 0.69, 0.7], "third": shifted(-0.2)})
    assert said.endswith("ν 2 leads on validation, but its +0.3 points on test are within the noise.")


def test_an_arm_that_lost_seeds_is_never_to_be_used(plans):
    values = runs_of({"base": [*GOOD, 0.7], "other": [*shifted(0.1), 0.8], "third": [*NOISE, 0.7]})
    values["other", 3] = unfinished("diverged")
    said = answer(plans.results(values, seeds=range(4)))
    assert "Keep ν 1: nothing is clearly better. ν 2 lost seeds and is left out." in said


def test_a_better_setting_that_collapsed_or_is_better_by_too_little_is_said_to_be(answer_of):
    said = answer_of({"base": GOOD, "other": shifted(0.1), "third": NOISE}, other="complete")
    assert "(+10.0 points), though it collapsed: complete." in said
    said = answer_of({"base": GOOD, "other": shifted(0.005, wobble=0.0001), "third": shifted(-0.3)})
    assert "That is less than the smallest difference of interest, 1 point." in said


def test_a_baseline_that_collapsed_is_not_to_be_kept(answer_of):
    said = answer_of({"base": GOOD, "other": NOISE, "third": shifted(-0.2)}, base="dimensional")
    assert said.startswith("Look for another baseline: ν 1 collapsed (dimensional), and nothing is clearly better.")


def test_settings_within_the_margin_equal_the_baseline(plans):
    results = plans.results(runs_of({"base": GOOD, "other": NOISE, "third": NOISE}))
    said = answer(decided(results, "equivalent", "equivalent"))
    assert "Keep ν 1: nothing is clearly better. ν 2 and ν 3 are equivalent to the baseline within 1 point." in said


def test_a_study_that_goes_on_until_all_is_decided_says_when_it_is(plans):
    looks = Looks(look=1, planned=(3, 5), declared=True, price=2, until_decided=True, stopped={"other": 1, "third": 1})
    results = plans.results(runs_of({"base": GOOD, "other": shifted(0.1), "third": shifted(-0.1)}))
    assert answer(dataclasses.replace(results, looks=looks)).endswith(
        "The question is settled: every comparison is decided."
    )
    open_ = plans.results(runs_of({"base": GOOD, "other": shifted(0.1), "third": NOISE}))
    assert "settled" not in answer(dataclasses.replace(open_, looks=looks)) + answer(results)


# ---- the untrained network


def test_that_no_gain_over_the_untrained_network_is_established_comes_first(plans):
    values = {"base": [0.42, 0.4, 0.41], "other": [0.41, 0.42, 0.4], "third": [0.4, 0.41, 0.42]}
    said = answer(plans.results(runs_of(values)))
    assert said.startswith("No gain over the untrained network (40.0 %) is established. Keep ν 1")


def test_where_training_loses_accuracy_nothing_else_is_advised(plans):
    values = {"base": [0.2, 0.211, 0.19], "other": [0.19, 0.2, 0.181], "third": [0.1, 0.11, 0.09]}
    said = answer(plans.results(runs_of(values)))
    assert said == "Do not train like this: the untrained network (40.0 %) is clearly better than ν 1."


# ---- before there is anything to compare


@pytest.mark.parametrize("seeds", [1, 2])
def test_below_three_seeds_more_of_them_come_first(plans, seeds):
    values = runs_of({"base": GOOD[:seeds], "other": shifted(0.1)[:seeds], "third": NOISE[:seeds]})
    said = answer(plans.results(values, seeds=range(seeds)))
    count = {1: "one seed tests", 2: "two seeds test"}[seeds]
    level = {1: "70.0 %", 2: "70.5 ± 0.7 %"}[seeds]
    assert said == (
        f"ν 1 reaches {level} on test (linear probe on cached features). Run at least three seeds: {count} no difference. "
        "So far ν 2 leads on validation, which may be chance."
    )


def test_the_leader_is_chosen_on_validation_and_not_on_test(plans):
    results = {**by_seed("base", [0.5] * 2), **by_seed("other", [0.9] * 2)}
    for seed in range(2):
        results["base", seed]["validation"] = finished(0.7)["validation"]
        results["other", seed]["validation"] = finished(0.6)["validation"]
    assert "So far ν 1 leads on validation" in answer(plans.results(results, seeds=range(2)))


def test_without_a_finished_run_there_is_no_answer(plans):
    assert answer(plans.results({})) == "Run the study first: no run has finished, so there is no answer yet."
    assert answer(plans.results({("base", 0): unfinished("partial")})).startswith("Run the study first")
    assert answer(plans.results({("base", 0): unfinished("diverged")})) == (
        "Finish the study first: 8 of 9 runs are missing, 1 had no result for other reasons, so there is no answer."
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("diverged", "Lower the learning rate: every run diverged, so there is no answer."),
        ("out-of-memory", "Take a smaller batch or network: every run ran out of memory, so there is no answer."),
        ("killed", "Run the study again: every run was killed, so there is no answer."),
        ("failed", "Run the study again: every run failed, so there is no answer."),
    ],
)
def test_where_no_arm_has_an_accuracy_the_answer_says_what_became_of_its_runs(plans, status, said):
    results = {(arm, seed): unfinished(status) for arm in ("base", "other", "third") for seed in range(3)}
    assert answer(plans.results(results)) == said


def test_without_a_baseline_nothing_is_compared_and_a_baseline_alone_asks_for_arms(plans):
    said = answer(plans.results(runs_of({"other": GOOD, "third": NOISE})))
    assert said == (
        "Finish the baseline ν 1 first: it has no result yet, so nothing is compared, though two other settings have one."
    )
    lost = {("base", seed): unfinished("failed") for seed in range(3)}
    assert answer(plans.results({**runs_of({"other": GOOD, "third": NOISE}), **lost})) == (
        "Run the baseline ν 1 again: it has no result, so nothing is compared, though two other settings have one."
    )
    said = answer(plans.results({**runs_of({"base": GOOD}), **by_seed("untrained", CONTROL)}))
    assert said == (
        "Finish the study first: two settings have no result. ν 1 reaches 70.0 ± 1.0 % over 3 seeds. That is clearly above "
        "the untrained network."
    )


def test_settings_that_are_the_baselines_own_runs_are_said_to_be_the_same(plans):
    arms = tuple(Arm(name=name, settings={"pretrain.nu": 1}) for name in ("base", "again", "also"))
    results = plans.results({**runs_of({arm.name: GOOD for arm in arms})}, asked=study(arms))
    said = answer(results)
    assert "Change a setting: two other settings have the same runs as the baseline, so nothing is compared." in said
    one = answer(plans.results({**runs_of({arm.name: GOOD for arm in arms[:2]})}, asked=study(arms[:2])))
    assert "Change a setting: one other setting has the same runs as the baseline, so nothing is compared." in one


# ---- designs


def test_a_grids_answer_is_the_region_to_stay_in(answer_of):
    values = {GRID[0].name: GOOD, GRID[1].name: NOISE, GRID[2].name: shifted(-0.2), GRID[3].name: NOISE}
    said = answer_of(values, asked=study(GRID, mode="grid"), λ25_μ1="complete", λ1_μ1="healthy")
    assert said.startswith("Keep λ 1, μ 1: nothing is clearly better. One of four settings collapsed.")
    values[GRID[3].name] = shifted(-0.25)
    collapsed = {"λ25_μ1": "complete", "λ25_μ25": "complete"}
    said = answer_of(values, asked=study(GRID, mode="grid"), **collapsed)
    assert said.startswith(
        "Stay where λ ≤ 1: there none of two settings collapsed, elsewhere two of two. Two of three others "
    )
    assert "λ explains" in said


def test_a_searchs_answer_is_what_became_of_its_proposal_at_fresh_seeds(plans):
    def of(best, **changes):
        runs = {**by_seed("untrained", CONTROL), **by_seed("base", GOOD), **by_seed("best", best)}
        trials = {("trial-000", 1000): finished(0.7), ("trial-001", 1001): unfinished("pruned", history=[log_record(1)])}
        results = plans.results({**runs, **trials}, of=plans.search(TRIALS))
        return answer(decided(results, *changes["decisions"]) if changes else results)

    assert of(shifted(0.1)) == (
        "Use ν 0.5: rerun at three fresh seeds, it is clearly better than ν 1 (+10.0 points). One of two trials collapsed."
    )
    assert of(NOISE).startswith(
        "Keep ν 1. The search's proposal, ν 0.5, came to +0.2 points at three fresh seeds, which is "
    )
    assert "is clearly worse at three fresh seeds (−10.0 points)." in of(shifted(-0.1))
    assert "is equivalent to it within 1 point at three fresh seeds." in of(NOISE, decisions=["equivalent"])
    assert of([]).startswith("Keep ν 1 for now: the search's proposal was not rerun at fresh seeds yet.")


def test_a_paths_answer_is_the_change_to_make(plans):
    def of(first, second):
        plan = plans.path([{"step-1-nu": 0.62, "step-1-mu": 0.5}, {"step-2-mu": 0.71}])
        runs = {**by_seed("untrained", UNTRAINED), **by_seed("base", GOOD), **by_seed("step-1-nu", first)}
        return answer(plans.results({**runs, **by_seed("step-2-mu", second)}, of=plan))

    assert "Make the change μ: 25 → 5. It gains +29.8 points over the step before, clearly." in of(NOISE, shifted(0.3))
    assert "ν: 1 → 2 (+10.0) gains clearly as well." in of(shifted(0.1), shifted(0.3, wobble=0.003))
    assert "no change on the way to ν 2, μ 5 is clearly better than the step before." in of(NOISE, [0.71, 0.7, 0.695])
    assert "One change clearly loses accuracy." in of(shifted(0.1), shifted(-0.1, wobble=0.003))


def test_an_answer_has_forty_words_whatever_arms_are_called(plans):
    results = plans.results(runs_of({"base": GOOD, "other": shifted(0.1), "third": shifted(0.05)}))
    long = [dataclasses.replace(arm, label=" ".join(["word"] * 30)) for arm in results.arms]
    said = answer(dataclasses.replace(results, arms=tuple(long)))
    assert word_count(said) <= 40 and "word word…" in said


def test_the_primary_accuracy_is_that_of_a_probe_that_was_measured(plans):
    assert plans.results({}, settings={"ablate.probes": ["knn"]}).primary == "knn_5"
    assert plans.results({}, settings={"ablate.probes": ["linear"]}).primary == "linear"
    assert plans.results({}, settings={"ablate.probes": ["knn", "linear", "linear_cached"]}).primary == "linear_cached"


def test_a_question_is_not_settled_while_an_arm_that_lost_a_seed_is_undecided(plans):
    looks = Looks(look=1, planned=(3, 5), declared=True, price=2, until_decided=True, stopped={"other": 1})
    runs = runs_of({"base": [*GOOD, 0.7], "other": [*shifted(0.1), 0.8], "third": [*NOISE, 0.7]})
    runs["third", 3] = unfinished("diverged")
    results = decided(plans.results(runs, seeds=range(4)), "better", "undecided")
    assert decisions_of(results).partial
    assert "settled" not in answer(dataclasses.replace(results, looks=looks))
