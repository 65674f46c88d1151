"""The claims about the network that the paper took from its authors."""

import pytest

from study.paper.claims.authors_network import judge_generalises, judge_imagenet_stability
from study.paper.claims.numbers import judge_number
from study.paper.judged import HOLDS, NOT_REPRODUCED, NOT_RUN, OPEN, REPRODUCED, SMALLER, UNDETERMINED
from tests.study.made_up import unfinished
from tests.study.made_up_paper import PAPER, SPREAD, WHOLE, Paper, around, barred, measured


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def test_the_authors_network_is_judged_at_each_input_size(paper):
    level = {"size-32": 0.6, "size-64": 0.75, "size-128": 0.8467, "size-224": 0.9}
    outcome = lambda arm, seed: measured(arm, seed, level.get(arm, 0.3) + SPREAD[seed])  # noqa: E731
    rows = judge_number(PAPER.numbers[2], [paper.given(outcome)], PAPER)
    assert {row.arm: row.verdict for row in rows} == {
        "image size 32": NOT_REPRODUCED, "image size 64": NOT_REPRODUCED, "image size 128": REPRODUCED,
        "image size 224": NOT_REPRODUCED,
    }  # fmt: skip
    assert all(barred(row) == [] and len(row.runs) == 3 for row in rows)


def test_features_generalise_where_they_beat_the_same_network_before_training(paper):
    row, other = judge_generalises("generalises", "says", [paper.given(by_gain(0.3))], PAPER)
    assert (row.verdict, row.ours.mean) == (REPRODUCED, pytest.approx(0.3))
    assert (other.dataset, other.verdict) == ("cifar100", NOT_RUN)
    assert other.missing == "the study generalisation on cifar100"
    assert judge_generalises("generalises", "says", [paper.given(by_gain(-0.1))], PAPER)[0].verdict == NOT_REPRODUCED
    row = judge_generalises("generalises", "says", [paper.given(by_gain(0.0))], PAPER)[0]
    assert (row.verdict, row.outcome, row.missing) == (UNDETERMINED, OPEN, "more seeds")


def by_gain(gain):
    """Networks that are better by this than untrained ones, with a spread of their own."""
    return lambda arm, seed: measured(arm, seed, 0.4 + (0 if arm.startswith("untrained") else gain - SPREAD[seed]))


def test_the_input_size_is_chosen_on_validation_and_not_on_test(paper):
    def outcome(arm, seed):
        run = by_gain(0.3)(arm, seed)
        top, best = {"size-64": (0.95, 0.5), "size-128": (0.6, 0.9)}.get(arm, (0.5, 0.5))
        if not arm.startswith("untrained"):
            run["test"]["linear"]["top1"], run["validation"]["linear"]["top1"] = top + SPREAD[seed], best
        return run

    assert judge_generalises("generalises", "says", [paper.given(outcome)], PAPER)[0].arm == "image size 128"


def test_features_judged_by_another_probe_or_on_fewer_images_decide_nothing(paper):
    few = {**WHOLE, "train": 4500, "validation": 500, "test": 1000}
    row = judge_generalises("generalises", "says", [paper.given(by_gain(0.3), data=few)], PAPER)[0]
    assert (row.verdict, row.outcome, len(barred(row))) == (SMALLER, HOLDS, 2)


def test_without_a_measured_control_no_gain_is_known(paper):
    outcome = around(0.8)
    lost = lambda arm, seed: unfinished("failed") if arm.startswith("untrained") else outcome(arm, seed)  # noqa: E731
    row = judge_generalises("generalises", "says", [paper.given(lost)], PAPER)[0]
    assert (row.verdict, row.ours, row.missing) == (NOT_RUN, None, "three seeds")


def stability(paper, theirs, ours, *, seeds=(0, 1, 2), settings=None):
    given = paper.given(lambda arm, seed: measured(arm, seed, 0.8 + theirs * SPREAD[seed]))
    own = paper.results(
        "stem", lambda arm, seed: measured(arm, seed, 0.7 + ours * SPREAD[seed]), seeds=seeds, settings=settings
    )
    (row,) = judge_imagenet_stability("imagenet-stability", "says", [given], [own], PAPER)
    return row


def test_the_authors_network_is_more_stable_where_its_spread_over_seeds_is_told_apart(paper):
    assert stability(paper, 0.1, 10).verdict == REPRODUCED
    assert stability(paper, 10, 0.1).verdict == NOT_REPRODUCED
    row = stability(paper, 1, 2)
    assert (row.verdict, row.outcome, row.ours.mean) == (UNDETERMINED, OPEN, pytest.approx(0.5))
    assert len(row.runs) == 6 and row.reference is not None


def test_what_is_missing_for_two_studies_is_that_which_lacks(paper):
    row = stability(paper, 1, 2, settings={"pretrain.epochs": 20})
    assert (row.study, row.verdict, barred(row)) == ("source-recipe", SMALLER, ["epochs 20 in place of 100"])
    row = stability(paper, 1, 2, seeds=(0, 1))
    assert (row.study, row.ours, row.missing) == ("source-recipe", None, "three seeds")
    (row,) = judge_imagenet_stability("imagenet-stability", "says", [paper.given()], [], PAPER)
    assert (row.study, row.missing) == ("source-recipe", "the study source-recipe")
    (row,) = judge_imagenet_stability("imagenet-stability", "says", [], [], PAPER)
    assert row.missing == "the studies generalisation and source-recipe"
