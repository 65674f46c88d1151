"""The claims about the scale of two terms of the loss."""

import re

import pytest

from study.paper.claims.loss_terms import judge_collapse, judge_scale
from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, NOT_RUN, OPEN, REPRODUCED, UNDETERMINED
from tests.study.made_up import unfinished
from tests.study.made_up_paper import FEW, PAPER, SPREAD, WHOLE, Paper, measured


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def losses(arm, seed, *, invariance, covariance, verdict="healthy", others="healthy"):
    """A run that ends at about these two terms; they are of one scale, or not, in every arm alike."""
    run = measured(arm, seed, 0.7 + SPREAD[seed])
    noise = 1 + 0.02 * seed
    run["history"][-1] |= {
        "invariance": invariance * noise, "covariance": covariance,
        "weighted_invariance": 25 * invariance * noise, "weighted_covariance": covariance,
    }  # fmt: skip
    run["verdict"] = {"name": verdict if arm == "25-25-1" else others, "reason": "As a test says."}
    return run


def curves(paper, judge, *, seeds=(0, 1, 2), **named):
    outcome = lambda arm, seed: losses(arm, seed, **named)  # noqa: E731
    return judge("scale", "says", [paper.results("lambda-mu-nu", outcome, seeds=seeds)], PAPER)


def test_two_terms_are_of_one_scale_unweighted_or_weighted_or_neither(paper):
    plain, weighted = curves(paper, judge_scale, invariance=1.0, covariance=1.0)
    assert (plain.verdict, weighted.verdict) == (REPRODUCED, NOT_REPRODUCED)
    assert "unweighted" in plain.arm and "weighted by λ and ν" in weighted.arm
    assert weighted.ours.mean == pytest.approx(25 * plain.ours.mean)
    plain, weighted = curves(paper, judge_scale, invariance=0.04, covariance=1.0)
    assert (plain.verdict, weighted.verdict) == (NOT_REPRODUCED, REPRODUCED)


def test_an_interval_across_the_border_of_one_scale_cannot_be_told(paper):
    plain, _ = curves(paper, judge_scale, invariance=10**0.5 / 1.02, covariance=1.0)
    assert (plain.verdict, plain.outcome, plain.missing) == (UNDETERMINED, OPEN, "more seeds")
    plain, _ = curves(paper, judge_scale, invariance=1.0, covariance=1.0, seeds=(0,))
    assert (plain.outcome, plain.missing) == (OPEN, "two seeds")


def test_the_recipe_in_full_tells_of_the_scale_without_other_coefficients_and_so_does_a_look_at_it(paper):
    outcome = lambda arm, seed: losses(arm, seed, invariance=0.04, covariance=1.0)  # noqa: E731
    for lost, arm in ((), "epochs-100"), (("epochs-100",), "halfway"):
        results = paper.results("source-recipe", outcome, seeds=(0, 1), lost=lost)
        plain, weighted = judge_scale("scale", "says", [results], PAPER)
        assert (plain.outcome, weighted.outcome, plain.ours.n) == (FAILS, HOLDS, 2)
        assert plain.runs == tuple(run.digest for one in results.arms if one.name == arm for run in one.runs)
        (row,) = judge_collapse("collapse", "says", [results], PAPER)
        assert (row.ours.mean, row.ours.n) == (0.0, 2)


def test_looks_at_a_training_are_no_further_runs_that_collapsed_or_not(paper):
    whole = {seed: losses("epochs-100", seed, invariance=1.0, covariance=1.0) for seed in (0, 1)}

    def outcome(arm, seed):
        return whole[seed] if arm == "epochs-100" else {**whole[seed], "history": whole[seed]["history"][:2]}

    results = paper.results("source-recipe", outcome, seeds=(0, 1))
    assert (results.scale.same, results.scale.other) == ((0, 2), (0, 0))


def test_terms_of_another_method_are_not_the_papers_two(paper):
    results = paper.results("source-recipe", lambda arm, seed: losses(arm, seed, invariance=1.0, covariance=1.0),
                            settings={"pretrain.method": "vibcreg"})  # fmt: skip
    (row,) = judge_scale("scale", "says", [results], PAPER)
    assert (row.verdict, row.ours) == (NOT_RUN, None)


def test_a_common_scale_that_no_collapse_follows_does_not_indicate_one(paper):
    (row,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0, seeds=(0, 1, 2, 3))
    assert (row.verdict, row.ours.mean, row.ours.n) == (NOT_REPRODUCED, 0.0, 4)
    assert row.ours.low == 0.0 and row.ours.high == pytest.approx(0.4899, abs=1e-4)  # Wilson's, of none of four
    assert row.reason.startswith("of runs whose unweighted terms are of one scale 0 of 44 collapsed, of the others 0 of 0; ")
    (few,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0)  # none of three: more than half may collapse
    assert (few.verdict, few.missing) == (UNDETERMINED, "four seeds") and few.ours.high == pytest.approx(0.5615, abs=1e-4)


def test_a_common_scale_with_which_every_run_collapsed_does(paper):
    (row,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0, verdict="dimensional", seeds=(0, 1, 2, 3))
    assert (row.verdict, row.ours.mean) == (REPRODUCED, 1.0) and "4 of 44 collapsed" in row.reason
    assert row.reason.endswith("; “indicative” read as more than half")
    assert row.arm == "collapsed runs of the recipe, whose terms are of one scale only when unweighted"


def test_terms_of_different_scales_say_nothing_of_what_a_common_one_indicates(paper):
    (row,) = curves(paper, judge_collapse, invariance=1e-4, covariance=1.0)
    assert (row.verdict, row.outcome) == (UNDETERMINED, OPEN)
    assert row.missing == "a baseline whose terms are of one scale"


def test_some_collapsed_runs_or_too_few_decide_nothing(paper):
    def mixed(arm, seed):
        return losses(arm, seed, invariance=1.0, covariance=1.0, verdict="healthy" if seed else "complete")

    (row,) = judge_collapse("collapse", "says", [paper.results("lambda-mu-nu", mixed)], PAPER)
    assert (row.verdict, row.ours.mean, row.missing) == (UNDETERMINED, pytest.approx(1 / 3), "four seeds")
    (row,) = judge_collapse("collapse", "says", [paper.results("lambda-mu-nu", mixed, seeds=(0, 1, 2, 3))], PAPER)
    assert (row.verdict, row.ours.mean, row.missing) == (UNDETERMINED, 0.25, "more seeds")
    (row,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0, seeds=(0, 1))
    assert (row.verdict, row.missing) == (UNDETERMINED, "four seeds")


def test_runs_of_another_study_are_counted_by_whether_their_terms_are_of_one_scale(paper):
    def outcome(arm, seed):
        is_one_scale, is_last = arm.startswith("25-"), seed == 2
        verdict = "complete" if is_last or not is_one_scale else "healthy"
        return losses(arm, seed, invariance=1.0 if is_one_scale else 1e-4, covariance=1.0, verdict=verdict, others=verdict)

    recipe = paper.results("source-recipe", lambda arm, seed: losses(arm, seed, invariance=1.0, covariance=1.0))
    study = paper.results("lambda-mu-nu", outcome, data={**WHOLE, **FEW})  # on fewer images than the paper's
    (alike, n), (others, of) = study.scale.same, study.scale.other
    assert n == 3 * alike > 0 and others == of > 0 and n != of
    _, row = judge_collapse("collapse", "says", [recipe, study], PAPER)
    assert (row.study, row.outcome, row.ours.n, row.ours.mean) == ("lambda-mu-nu", OPEN, n, pytest.approx(1 / 3))
    assert [int(number) for number in re.findall(r"\d+", row.reason)][:2] == [others, of]


def test_a_run_without_a_verdict_is_not_counted_among_those_that_have_one(paper):
    def one_lost(arm, seed):
        whole = losses(arm, seed, invariance=1.0, covariance=1.0)
        return unfinished("failed", "out of disk") if (arm, seed) == ("25-25-1", 1) else whole

    (row,) = judge_collapse("collapse", "says", [paper.results("lambda-mu-nu", one_lost)], PAPER)
    assert (row.ours.n, row.ours.high, row.verdict) == (2, pytest.approx(0.6576, abs=1e-4), UNDETERMINED)


@pytest.mark.parametrize("judge", [judge_scale, judge_collapse])
def test_a_study_whose_baseline_has_not_finished_has_no_curves_to_judge(paper, judge):
    (row,) = judge("scale", "says", [paper.results("lambda-mu-nu", lost=("25-25-1",))], PAPER)
    assert (row.verdict, row.ours, row.missing) == (NOT_RUN, None, "the study source-recipe")
