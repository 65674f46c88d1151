"""Predictions of a hypothesis are judged by how every arm that they speak of came out."""

import dataclasses
import json

import pytest

from study.analysis.predictions import HELD, NOT_HELD, OPEN, judge_predictions
from study.analysis.reanalyse import reanalyse
from study.results.json_values import from_values, to_values
from study.results.schema import StudyResults
from study.runs.outcomes import OUT_OF_MEMORY
from study.spec.predictions import Prediction
from tests.study.analysis.sentences import GOOD, NOISE, runs_of, shifted
from tests.study.made_up import study, unfinished

SAYS = "It does."


@pytest.fixture
def judged(plans):
    """`judged(prediction, runs)`: the verdict and the reason, by the results of the three made-up arms."""

    def of(prediction, runs):
        results = plans.results(runs, asked=study(predictions=(prediction,)))
        (one,) = judge_predictions(results)
        assert one.says == SAYS
        return one.verdict, one.because

    return of


def predict(*arms, **what):
    return Prediction(says=SAYS, arms=arms, **what)


CLEAR = {"base": GOOD, "other": shifted(0.1), "third": shifted(-0.2)}


def test_an_end_held_where_all_seeds_of_all_arms_came_to_it(judged):
    runs = runs_of(CLEAR, other="complete", third="complete")
    both = predict("other", "third", ends=("complete",))
    assert judged(both, runs) == (HELD, "ν 2: complete at all three seeds; ν 3: complete at all three seeds.")
    assert judged(predict("base", ends=("healthy",)), runs)[0] == HELD


def test_an_end_did_not_hold_where_one_arm_came_to_another_at_all_seeds(judged):
    runs = runs_of(CLEAR, other="complete", third="dimensional")
    both = predict("other", "third", ends=("complete",))
    assert judged(both, runs) == (NOT_HELD, "ν 3: dimensional at all three seeds.")
    assert judged(predict("other", "third", ends=("complete", "dimensional")), runs)[0] == HELD


def test_an_end_is_undecided_where_seeds_disagree(judged):
    runs = runs_of(CLEAR, other="complete", third="complete")
    runs["third", 1]["verdict"] = {"name": "healthy", "reason": "Because it is healthy."}
    said = judged(predict("other", "third", ends=("complete",)), runs)
    assert said == (OPEN, "ν 3: complete at 2 and healthy at 1 of three seeds.")


@pytest.mark.parametrize("status", ["killed", "failed", OUT_OF_MEMORY, "missing"])
def test_a_run_that_came_to_no_end_of_its_own_is_evidence_for_nothing(judged, status):
    runs = runs_of(CLEAR, other="complete")
    runs |= {("other", seed): unfinished(status, "why") for seed in (1, 2)}
    assert {judged(predict("other", ends=(end,)), runs)[0] for end in ("healthy", "complete")} == {OPEN}
    runs |= {("other", 0): unfinished(status, "why")}
    assert judged(predict("other", ends=("healthy",)), runs)[0] == OPEN


def test_an_end_that_too_few_images_tell_of_is_evidence_for_nothing(judged):
    runs = runs_of(CLEAR, other="undetermined")
    assert judged(predict("other", ends=("healthy",)), runs) == (OPEN, "ν 2: undetermined at all three seeds.")


def test_an_arm_that_lost_seeds_may_be_worse_and_nothing_else(plans):
    four = (0, 1, 2, 3)
    runs = runs_of({"base": [*GOOD, 0.7], "other": shifted(-0.2)}) | {("other", 3): unfinished("diverged", "the loss")}
    for decided, verdict in ((("worse",), HELD), (("better", "equivalent"), NOT_HELD)):
        asked = study(predictions=(predict("other", decided=decided),))
        (one,) = judge_predictions(plans.results(runs, asked=asked, seeds=four))
        assert one.verdict == verdict and one.because.startswith("ν 2: worse, −20.0 points [")


def test_a_decision_held_did_not_hold_or_is_undecided(judged):
    verdict, because = judged(predict("other", decided=("better",)), runs_of(CLEAR))
    assert verdict == HELD and because.startswith("ν 2: better, +10.0 points [+")
    verdict, because = judged(predict("other", decided=("worse", "equivalent")), runs_of(CLEAR))
    assert verdict == NOT_HELD and because.startswith("ν 2: better, +10.0 points [+")
    verdict, because = judged(predict("third", decided=("better",)), runs_of({**CLEAR, "third": NOISE}))
    assert verdict == OPEN and because.startswith("ν 3: +") and "before correction" not in because


def test_an_interval_without_zero_that_is_undecided_says_why(plans):
    results = plans.results(runs_of(CLEAR), asked=study(predictions=(predict("other", decided=("better",)),)))
    arms = []
    for arm in results.arms:
        column = arm.summary[results.primary]
        if arm.name == "other":
            found = column.difference
            adjusted = dataclasses.replace(found.adjusted, decision="undecided")
            column = dataclasses.replace(column, difference=dataclasses.replace(found, adjusted=adjusted))
        arms.append(dataclasses.replace(arm, summary={**arm.summary, results.primary: column}))
    (one,) = judge_predictions(dataclasses.replace(results, arms=tuple(arms)))
    assert one.verdict == OPEN and one.because.endswith("] before correction for all settings.")


@pytest.mark.parametrize(
    ("least", "most", "verdict"),
    [(0.05, 0.15, HELD), (None, 0.15, HELD), (0.05, None, HELD), (-0.15, 0.05, NOT_HELD), (0.15, None, NOT_HELD),
     (0.1, 0.2, OPEN), (None, 0.1, OPEN)],
)  # fmt: skip
def test_a_difference_is_judged_by_its_whole_interval(judged, least, most, verdict):
    found, because = judged(predict("other", least=least, most=most), runs_of(CLEAR))
    assert found == verdict and because.startswith("ν 2: +10.0 points [+")


def test_nothing_is_judged_of_what_did_not_run_lost_seeds_or_has_too_few(judged, plans):
    runs = runs_of({"base": GOOD, "other": shifted(0.1)})
    assert judged(predict("third", ends=("healthy",)), runs) == (OPEN, "ν 3: not run.")
    assert judged(predict("gone", ends=("healthy",)), runs) == (OPEN, "gone: not run.")
    four = (0, 1, 2, 3)
    runs = runs_of({"base": [*GOOD, 0.7], "other": shifted(0.1)}) | {("other", 3): unfinished("diverged", "the loss")}
    results = plans.results(runs, asked=study(predictions=(predict("other", decided=("better",)),)), seeds=four)
    (one,) = judge_predictions(results)
    assert (one.verdict, one.because) == (OPEN, "ν 2: +10.0 points, without the seeds that it lost.")
    runs = runs_of({"base": GOOD[:2], "other": shifted(0.1)[:2]})
    results = plans.results(runs, asked=study(predictions=(predict("other", decided=("better",)),)), seeds=(0, 1))
    (one,) = judge_predictions(results)
    assert one.verdict == OPEN and one.because.endswith(" points at two seeds.")


def test_predictions_are_kept_with_results_and_judged_by_todays_analysis(plans):
    results = plans.results(runs_of(CLEAR), asked=study(predictions=(predict("other", least=0.05, most=None),)))
    read = from_values(StudyResults, json.loads(json.dumps(to_values(results))), where="study.json", strict=True)
    assert read.predictions == results.predictions
    assert judge_predictions(reanalyse(read)) == judge_predictions(results) != ()
    assert judge_predictions(plans.results(runs_of(CLEAR))) == ()
