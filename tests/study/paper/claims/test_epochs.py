"""The claim that 100 epochs gain two points over 50."""

import pytest

from study.analysis.intervals import paired_difference
from study.analysis.moments import ENOUGH_SEEDS
from study.paper.claims.epochs import judge_epochs, weigh_gain
from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, NOT_RUN, OPEN, OTHER_PROTOCOL, REPRODUCED, Finding
from study.paper.page.status import note_of
from tests.study.made_up_paper import PAPER, SPREAD, Paper, barred, measured


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def levels(**means):
    """Arms, `-` written as `_`, come to these accuracies, all others to 70 %, and their differences have a spread."""

    def outcome(arm, seed):
        return measured(arm, seed, means.get(arm.replace("-", "_"), 0.7) + SPREAD[seed] * (1 + sum(map(ord, arm)) % 5 / 50))

    return outcome


def epochs(paper, outcome, **named):
    return judge_epochs("epochs", "says", [paper.results("epochs", outcome, **named)], PAPER)


def test_two_points_of_epochs_are_found_against_either_reading_of_fifty(paper):
    halfway, shorter = epochs(paper, levels(halfway=0.68, epochs_50=0.6999))
    assert (halfway.arm, halfway.verdict) == ("100 epochs over 50 epochs of the same schedule", REPRODUCED)
    assert (shorter.arm, shorter.verdict) == ("100 epochs over a schedule of 50 epochs", NOT_REPRODUCED)
    assert halfway.ours.mean == pytest.approx(0.02, abs=0.001) and halfway.paper == 0.02
    assert barred(halfway) == barred(shorter) == [] and len(halfway.runs) == 6


def gains(*values):
    return weigh_gain(paired_difference(values, [0.0] * len(values), least=ENOUGH_SEEDS)).outcome


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
        ((0.02, 0.021), HOLDS),  # of two: one more pair would gain 1.0 to 3.2 points
        ((0.01, 0.03), OPEN),
        ((0.05, 0.0501), FAILS),
    ],
)
def test_a_gain_is_two_points_is_not_or_cannot_be_told(values, told):
    assert gains(*values) == told


def test_no_pair_of_runs_tells_nothing_of_a_gain():
    assert weigh_gain(None) == Finding(outcome=OPEN, missing="two seeds")
    assert weigh_gain(paired_difference([0.1] * 4, [0.0] * 4)) == Finding(outcome=OPEN, missing="more seeds")


def test_each_reading_is_taken_from_the_study_that_has_it(paper):
    recipe = paper.results("source-recipe", levels(halfway=0.68), seeds=(0, 1))
    row, other = judge_epochs("epochs", "says", [recipe], PAPER)
    assert (row.study, row.verdict, row.ours.n) == ("source-recipe", REPRODUCED, 2)
    assert (other.study, other.verdict, other.missing) == ("epochs", NOT_RUN, "the study epochs")
    assert note_of([row, other]) == "By one reading of the claim. 100 epochs over a schedule of 50 epochs: not run."
    both = judge_epochs("epochs", "says", [recipe, paper.results("epochs", levels(epochs_50=0.6999))], PAPER)
    assert [(row.study, row.results.study) for row in both] == [("source-recipe", "epochs"), ("epochs", "epochs")]


def test_a_look_that_was_measured_elsewhere_says_so_and_keeps_its_verdict(paper):
    def outcome(arm, seed):
        run = levels(halfway=0.68)(arm, seed)
        return {**run, "measured_elsewhere": "on cpu (AVX2) with torch 2.13.0"} if arm == "halfway" else run

    row, _ = judge_epochs("epochs", "says", [paper.results("source-recipe", outcome, seeds=(0, 1))], PAPER)
    label = row.results.arm("halfway").label
    assert f"{label}: measured on cpu (AVX2) with torch 2.13.0" in [one.text for one in row.deviations]
    assert row.verdict == REPRODUCED and barred(row) == []


def test_without_the_end_of_training_there_is_no_gain(paper):
    (row,) = judge_epochs("epochs", "says", [paper.results("source-recipe", levels(), lost=("epochs-100",))], PAPER)
    assert (row.verdict, row.ours, row.missing) == (NOT_RUN, None, "the study source-recipe")


def test_the_arms_of_epochs_are_held_to_their_own_schedules(paper):
    halfway, shorter = epochs(paper, levels(), settings={"pretrain.nu": 2})
    assert barred(halfway) == barred(shorter) == ["nu 2 in place of 1"] and halfway.verdict == OTHER_PROTOCOL


def test_without_the_papers_probe_a_difference_of_accuracies_decides_nothing(paper):
    def without_linear(arm, seed):
        run = levels(halfway=0.68)(arm, seed)
        return {**run, "test": {name: probe for name, probe in run["test"].items() if name != "linear"}}

    row = epochs(paper, without_linear)[0]
    assert (row.verdict, row.outcome) == (OTHER_PROTOCOL, HOLDS)
    assert barred(row) == ["Linear, cached features in place of the paper's linear evaluation"]
    assert "two are among them" not in row.reason
