"""The claims about batches of 256 and 128."""

import pytest

from study.paper.claims.batch_size import judge_batch_accuracy, judge_batch_stability, wander_ratio, weigh_ratio
from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, OPEN, REPRODUCED, SMALLER, UNDETERMINED
from study.results.comparisons import Interval
from tests.study.made_up import unfinished
from tests.study.made_up_paper import PAPER, SPREAD, Paper, barred, measured
from tests.study.made_up_reports import arm_with


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def levels(**means):
    """Arms, `-` written as `_`, come to these accuracies, all others to 70 %, and their differences have a spread."""

    def outcome(arm, seed):
        return measured(arm, seed, means.get(arm.replace("-", "_"), 0.7) + SPREAD[seed] * (1 + sum(map(ord, arm)) % 5 / 50))

    return outcome


def accuracy(paper, outcome, **named):
    (row,) = judge_batch_accuracy("batch-size-accuracy", "says", [paper.results("batch-size", outcome, **named)], PAPER)
    return row


def test_a_larger_batch_does_not_improve_where_a_point_more_is_ruled_out(paper):
    row = accuracy(paper, levels(size_128=0.70, size_256=0.695))
    assert (row.verdict, barred(row), row.arm) == (
        REPRODUCED,
        [],
        "batch 256 over batch 128, by the linear probe on augmented images",
    )
    assert row.ours.mean == pytest.approx(-0.005, abs=1e-4)


def test_a_larger_batch_improves_where_more_than_a_point_is_found(paper):
    assert accuracy(paper, levels(size_128=0.70, size_256=0.73)).verdict == NOT_REPRODUCED


def test_an_improvement_of_about_a_point_is_neither(paper):
    outcome = lambda arm, seed: measured(arm, seed, 0.7 + (arm == "size-256") * (0.01 + 3 * SPREAD[seed]))  # noqa: E731
    row = accuracy(paper, outcome)
    assert (row.verdict, row.outcome, row.missing) == (UNDETERMINED, OPEN, "more seeds")


def test_resnet_18_and_its_batches_are_no_difference_and_a_narrow_one_is(paper):
    row = accuracy(paper, levels(size_256=0.695), settings={"pretrain.width": 16})
    assert (row.verdict, row.outcome, barred(row)) == (SMALLER, HOLDS, ["width 16 in place of 64"])
    assert row.reason == ""  # which would say what follows for the claim


def calm(arm, seed, *, large, small):
    """A run whose loss and logged accuracy move by so much from epoch to epoch, and whose accuracy spreads by it."""
    size = {"size-256": large, "size-128": small}.get(arm, 1.0)
    run = measured(arm, seed, 0.7 + 0.001 * size * SPREAD[seed] * 100)
    step = size * (1 + 0.02 * seed * (arm == "size-256"))
    for record in run["history"]:
        sign = (-1) ** record["epoch"]
        record |= {"total": 10 + step * sign, "knn": 0.5 + 0.01 * step * sign}
    return run


def stability(paper, **named):
    outcome = lambda arm, seed: calm(arm, seed, **named)  # noqa: E731
    return judge_batch_stability("batch-size-stability", "says", [paper.results("batch-size", outcome)], PAPER)


def test_training_is_more_stable_where_loss_and_logged_accuracy_wander_less(paper):
    loss, knn, spread = stability(paper, large=0.5, small=1.0)
    assert [row.verdict for row in (loss, knn)] == [REPRODUCED] * 2
    assert "loss" in loss.arm and "k-NN" in knn.arm and "over seeds" in spread.arm
    assert loss.ours.mean == pytest.approx(0.5 * (1.02 * 1.04) ** (1 / 3)) == knn.ours.mean
    assert (spread.verdict, spread.missing) == (UNDETERMINED, "more seeds")  # half is nothing that three seeds can tell
    assert spread.ours.mean == pytest.approx(0.5)


def test_training_is_less_stable_where_they_wander_more(paper):
    assert [row.verdict for row in stability(paper, large=3.0, small=1.0)[:2]] == [NOT_REPRODUCED] * 2
    assert stability(paper, large=100.0, small=1.0)[2].verdict == NOT_REPRODUCED


def knn_log(*values):
    return [{"epoch": epoch, "total": 1.0, "knn": value} for epoch, value in enumerate(values)]


def test_wander_is_compared_where_both_arms_were_logged_at_the_end(paper):
    small, large = (
        arm_with([{"seed": seed, "history": knn_log(*series)} for seed in seeds])
        for seeds, series in (((0, 1, 2), (0.1, 0.2, 0.1)), ((1, 2, 3), (0.1, 0.3, 0.1)))
    )
    assert wander_ratio(large, small, "knn").n == 2 and wander_ratio(large, small, "knn").mean == pytest.approx(2)
    assert wander_ratio(large, small, "gradient_norm") is None
    still = arm_with([{"history": knn_log(0.1, 0.1, 0.1)}] * 3)
    assert wander_ratio(large, still, "knn") is None


def test_runs_that_diverged_tell_nothing_of_how_a_loss_wanders_at_the_end(paper):
    history = calm("size-256", 0, large=1, small=1)["history"]
    lost, whole = arm_with([unfinished("diverged", history=history)] * 3), arm_with([{"history": history}] * 3)
    assert wander_ratio(lost, whole, "total") is None and wander_ratio(whole, whole, "total").mean == 1


@pytest.mark.parametrize(
    ("bounds", "told"), [((0.2, 0.9), HOLDS), ((1.1, 3.0), FAILS), ((0.5, 2.0), OPEN), ((None, None), OPEN)]
)
def test_less_than_one_is_more_stable(bounds, told):
    assert weigh_ratio(Interval(n=3, mean=1.0, low=bounds[0], high=bounds[1], p=None)).outcome == told
    assert weigh_ratio(None).outcome == OPEN
