"""The source paper's claims about two arms, loss curves and maps, each verdict of each from made-up measurements."""

import pytest

from study.analysis.intervals import paired_difference
from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, OPEN, REPRODUCED, UNDETERMINED
from study.paper.side_claims import (
    judge_batch_accuracy,
    judge_batch_stability,
    judge_collapse,
    judge_epochs,
    judge_map,
    judge_scale,
    told_of_gain,
    told_of_ratio,
    wander_ratio,
)
from study.results.comparisons import Interval
from tests.study.made_up import unfinished
from tests.study.made_up_paper import CLASSES, FINE, PAPER, SPREAD, WHOLE, Paper, map_of, measured


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def levels(**means):
    """Arms, `-` written as `_`, come to these accuracies, all others to 70 %, and their differences have a spread."""

    def outcome(arm, seed):
        return measured(arm, seed, means.get(arm.replace("-", "_"), 0.7) + SPREAD[seed] * (1 + sum(map(ord, arm)) % 5 / 50))

    return outcome


# ---- epochs


def epochs(paper, outcome, **named):
    return judge_epochs("epochs", "says", [paper.results("epochs", outcome, **named)], PAPER)


def test_two_points_of_epochs_are_found_against_either_reading_of_fifty(paper):
    halfway, shorter = epochs(paper, levels(halfway=0.68, epochs_50=0.6999))
    assert (halfway.arm, halfway.verdict) == ("epochs-100 over halfway", REPRODUCED)
    assert (shorter.arm, shorter.verdict) == ("epochs-100 over epochs-50", NOT_REPRODUCED)
    assert halfway.ours.mean == pytest.approx(0.02, abs=0.001) and halfway.paper == 0.02
    assert halfway.apart == shorter.apart == () and len(halfway.runs) == 6


def gains(*values):
    return told_of_gain(paired_difference(values, [0.0] * len(values)))["told"]


def test_a_published_gain_of_one_pair_is_held_against_one_more_pair_and_not_against_our_mean():
    # The interval of the mean is 1.2 to 1.8 points, that of one more pair 0.9 to 2.1: two points are nothing unusual.
    values = [0.0165, 0.0125, 0.016, 0.0141, 0.0158]
    mean = paired_difference(values, [0.0] * 5)
    assert mean.high < 0.02 and gains(*values) == HOLDS


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((0.019, 0.020, 0.021), HOLDS),
        ((0.099, 0.100, 0.101), FAILS),
        ((-0.021, -0.020, -0.019), FAILS),
        ((-0.001, 0.0, 0.001), FAILS),
        ((0.0, 0.02, 0.04), OPEN),  # from none to four points and beyond
        ((0.06, 0.10, 0.14), OPEN),  # well above none, and so wide that it takes in two points as well
        ((0.02, 0.02, 0.02), OPEN),
        ((0.02, 0.021), OPEN),
    ],
)
def test_a_gain_is_two_points_is_not_or_cannot_be_told(values, told):
    assert gains(*values) == told


def test_no_pair_of_runs_tells_nothing_of_a_gain():
    assert told_of_gain(None) == {"told": OPEN, "missing": "three seeds"}
    assert told_of_gain(paired_difference([0.1] * 4, [0.0] * 4)) == {"told": OPEN, "missing": "more seeds"}


def test_the_arms_of_epochs_are_held_to_their_own_schedules(paper):
    halfway, shorter = epochs(paper, levels(), settings={"pretrain.nu": 2})
    assert halfway.apart == shorter.apart == ("nu 2 in place of 1",) and halfway.verdict == UNDETERMINED


def test_without_the_papers_probe_a_difference_of_accuracies_decides_nothing(paper):
    def without_linear(arm, seed):
        run = levels(halfway=0.68)(arm, seed)
        return {**run, "test": {name: probe for name, probe in run["test"].items() if name != "linear"}}

    row = epochs(paper, without_linear)[0]
    assert (row.verdict, row.told) == (UNDETERMINED, HOLDS)
    assert row.apart == ("Linear, cached features in place of the paper's linear evaluation",)


# ---- batch size


def accuracy(paper, outcome, **named):
    (row,) = judge_batch_accuracy("batch-size-accuracy", "says", [paper.results("batch-size", outcome, **named)], PAPER)
    return row


def test_a_larger_batch_does_not_improve_where_a_point_more_is_ruled_out(paper):
    row = accuracy(paper, levels(size_128=0.70, size_256=0.695))
    assert (row.verdict, row.apart, row.arm) == (REPRODUCED, (), "size-256 over size-128")
    assert row.ours.mean == pytest.approx(-0.005, abs=1e-4)


def test_a_larger_batch_improves_where_more_than_a_point_is_found(paper):
    assert accuracy(paper, levels(size_128=0.70, size_256=0.73)).verdict == NOT_REPRODUCED


def test_an_improvement_of_about_a_point_is_neither(paper):
    outcome = lambda arm, seed: measured(arm, seed, 0.7 + (arm == "size-256") * (0.01 + 3 * SPREAD[seed]))  # noqa: E731
    row = accuracy(paper, outcome)
    assert (row.verdict, row.told, row.missing) == (UNDETERMINED, OPEN, "more seeds")


def test_resnet_18_and_its_batches_are_no_difference_and_a_narrow_one_is(paper):
    row = accuracy(paper, levels(size_256=0.695), settings={"pretrain.width": 16})
    assert (row.verdict, row.told, row.apart) == (UNDETERMINED, HOLDS, ("width 16 in place of 64",))


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


def test_wander_is_compared_where_both_arms_were_logged_at_the_end(paper):
    small, large = (
        {"runs": [{"seed": seed, "status": "finished", "history": [{"knn": value} for value in series]} for seed in seeds]}
        for seeds, series in (((0, 1, 2), [0.1, 0.2, 0.1]), ((1, 2, 3), [0.1, 0.3, 0.1]))
    )
    assert wander_ratio(large, small, "knn").n == 2 and wander_ratio(large, small, "knn").mean == pytest.approx(2)
    assert wander_ratio(large, small, "total") is None
    still = {"runs": [{**run, "history": [{"knn": 0.1}] * 3} for run in small["runs"]]}
    assert wander_ratio(large, still, "knn") is None


def test_runs_that_diverged_tell_nothing_of_how_a_loss_wanders_at_the_end(paper):
    history = calm("size-256", 0, large=1, small=1)["history"]
    lost = {"runs": [{**unfinished("diverged", history=history), "seed": seed} for seed in range(3)]}
    whole = {"runs": [{"seed": seed, "status": "finished", "history": history} for seed in range(3)]}
    assert wander_ratio(lost, whole, "total") is None and wander_ratio(whole, whole, "total").mean == 1


@pytest.mark.parametrize(
    ("bounds", "told"), [((0.2, 0.9), HOLDS), ((1.1, 3.0), FAILS), ((0.5, 2.0), OPEN), ((None, None), OPEN)]
)
def test_less_than_one_is_more_stable(bounds, told):
    assert told_of_ratio(Interval(n=3, mean=1.0, low=bounds[0], high=bounds[1], p=None))["told"] == told
    assert told_of_ratio(None)["told"] == OPEN


# ---- loss curves


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
    assert (plain.verdict, plain.told, plain.missing) == (UNDETERMINED, OPEN, "more seeds")
    plain, _ = curves(paper, judge_scale, invariance=1.0, covariance=1.0, seeds=(0, 1))
    assert (plain.told, plain.missing) == (OPEN, "three seeds")


def test_a_common_scale_that_no_collapse_follows_does_not_indicate_one(paper):
    (row,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0)
    assert (row.verdict, row.ours.mean, row.ours.n) == (NOT_REPRODUCED, 0.0, 3)
    assert row.ours.low == 0.0 and row.ours.high == pytest.approx(0.5615, abs=1e-4)  # Wilson's, of none of three
    assert row.reason == "of runs whose unweighted terms are of one scale 0 of 33 collapsed, of the others 0 of 0"


def test_a_common_scale_with_which_every_run_collapsed_does(paper):
    (row,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0, verdict="dimensional")
    assert (row.verdict, row.ours.mean) == (REPRODUCED, 1.0) and "3 of 33 collapsed" in row.reason


def test_terms_of_different_scales_say_nothing_of_what_a_common_one_indicates(paper):
    (row,) = curves(paper, judge_collapse, invariance=1e-4, covariance=1.0)
    assert (row.verdict, row.told) == (UNDETERMINED, OPEN)
    assert row.missing == "a baseline whose terms are of one scale"


def test_some_collapsed_runs_or_too_few_decide_nothing(paper):
    def mixed(arm, seed):
        return losses(arm, seed, invariance=1.0, covariance=1.0, verdict="healthy" if seed else "complete")

    (row,) = judge_collapse("collapse", "says", [paper.results("lambda-mu-nu", mixed)], PAPER)
    assert (row.verdict, row.ours.mean, row.missing) == (UNDETERMINED, pytest.approx(1 / 3), "more seeds")
    (row,) = curves(paper, judge_collapse, invariance=1.0, covariance=1.0, seeds=(0, 1))
    assert (row.verdict, row.missing) == (UNDETERMINED, "three seeds")


def test_a_run_without_a_verdict_is_not_counted_among_those_that_have_one(paper):
    def one_lost(arm, seed):
        whole = losses(arm, seed, invariance=1.0, covariance=1.0)
        return unfinished("failed", "out of disk") if (arm, seed) == ("25-25-1", 1) else whole

    (row,) = judge_collapse("collapse", "says", [paper.results("lambda-mu-nu", one_lost)], PAPER)
    assert (row.ours.n, row.ours.high, row.verdict) == (2, pytest.approx(0.6576, abs=1e-4), UNDETERMINED)


@pytest.mark.parametrize("judge", [judge_scale, judge_collapse])
def test_a_study_whose_baseline_has_not_finished_has_no_curves_to_judge(paper, judge):
    (row,) = judge("scale", "says", [paper.results("lambda-mu-nu", lost=("25-25-1",))], PAPER)
    assert (row.verdict, row.ours, row.missing) == (UNDETERMINED, None, "the study lambda-mu-nu")


# ---- maps


def mapped(*, of_classes, **changes):
    (row,) = judge_map("tsne", "says", [map_of(**changes)], PAPER, classes=of_classes)
    return row


def test_classes_are_separated_for_the_most_part_where_most_neighbours_are_of_ones_own(paper):
    assert mapped(of_classes=True, purity=0.51).verdict == REPRODUCED
    row = mapped(of_classes=True, purity=0.49)
    assert (row.verdict, row.ours.mean, row.ours.n, row.ours.low) == (NOT_REPRODUCED, 0.49, 1, None)
    assert row.reason.startswith("one network: of 10 neighbours on the plane 49 %") and row.runs == ("0123456789abcdef",)


def test_trucks_lie_close_to_automobiles_where_they_are_among_the_pairs_mixed_most(paper):
    row = mapped(of_classes=False, pairs=((3, 5), (1, 9)))
    assert (row.verdict, row.ours.mean) == (REPRODUCED, 0.1)
    row = mapped(of_classes=False, pairs=((3, 5), (0, 8)))
    assert (row.verdict, row.ours) == (NOT_REPRODUCED, None)
    assert row.reason == "one network: the pairs mixed most are cat and dog; airplane and ship"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"features": "representations"}, "t-SNE of the representations in place of the embeddings"),
        ({"classes": list(CLASSES[:5])}, "5 of 10 classes on the map"),
        ({"data": {**WHOLE, "test": 1000}}, "1,000 test images in place of 10,000"),
        ({"recipe": {**map_of()["recipe"], "pretrain.epochs": 20}}, "epochs 20 in place of 100"),
    ],
)
def test_a_map_of_something_else_decides_nothing(changes, text):
    row = mapped(of_classes=True, **changes)
    assert (row.verdict, row.told, row.apart) == (UNDETERMINED, HOLDS, (text,))


def test_the_map_nearest_to_the_paper_is_judged_and_one_of_other_images_is_not():
    other, near = map_of(data={**WHOLE, "train": 100}, purity=0.1), map_of(purity=0.9)
    (row,) = judge_map("tsne", "says", [other, near], PAPER, classes=True)
    assert row.results is near
    (row,) = judge_map("tsne", "says", [map_of(data=FINE)], PAPER, classes=True)
    assert (row.results, row.missing) == (None, "the stage project on CIFAR-10")


# ---- nothing measured


@pytest.mark.parametrize(
    "judge", [judge_epochs, judge_batch_accuracy, judge_batch_stability, judge_scale, judge_collapse]
)
def test_a_claim_of_which_nothing_is_measured_names_its_study(judge):
    (row,) = judge("name", "says", [], PAPER)
    assert (row.verdict, row.ours, row.missing) == (UNDETERMINED, None, f"the study {row.study}")
