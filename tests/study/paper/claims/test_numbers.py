"""The source paper's numbers, held against made-up measurements: every verdict, and what is missing where there is none."""

import pytest

from study.paper.claims.numbers import judge_number, weigh_number
from study.paper.evidence import nearest
from study.paper.judged import (
    FAILS,
    HOLDS,
    NOT_REPRODUCED,
    NOT_RUN,
    OPEN,
    OTHER_PROTOCOL,
    REPRODUCED,
    SMALLER,
    UNDETERMINED,
    is_not_reproduced,
    is_reproduced,
    is_settled,
)
from tests.study.made_up import unfinished
from tests.study.made_up_paper import FEW, FINE, JPEG, PAPER, SPREAD, WHOLE, Paper, around, barred, measured

CIFAR10, CIFAR100, GIVEN10, GIVEN100 = PAPER.numbers
AT_THE_NUMBER, BELOW_IT = 0.7667, 0.70

STEM_7, STEM_3 = (
    "7x7 stem, as in torchvision's ResNet, trained from scratch",
    "3x3 stem, as is usual on CIFAR, trained from scratch",
)


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def number(paper, outcome, *, of=CIFAR10, **named):
    """The rows of a number of the paper, judged by one made-up study."""
    return judge_number(of, [paper.results("stem", outcome, **named)], PAPER)


def test_a_number_among_those_of_one_more_run_is_reproduced_arm_by_arm(paper):
    rows = number(paper, around(AT_THE_NUMBER))
    assert [(row.arm, row.verdict, row.outcome) for row in rows] == [
        (STEM_7, REPRODUCED, HOLDS), (STEM_3, REPRODUCED, HOLDS)
    ]  # fmt: skip
    assert all(barred(row) == [] and row.ours.n == 3 and len(row.runs) == 3 for row in rows)
    assert rows[0].reason == "one more run would lie in 75.7 to 77.7 %; the paper's number is among them"
    assert rows[0].ours.mean == pytest.approx(AT_THE_NUMBER) and rows[0].paper == 0.7667


def test_a_number_outside_is_not_reproduced_and_the_difference_has_the_interval_of_our_mean(paper):
    row = number(paper, around(BELOW_IT))[0]
    assert row.verdict == NOT_REPRODUCED and row.reason.endswith("the paper's number lies above")
    assert row.difference.mean == pytest.approx(BELOW_IT - 0.7667)
    assert row.difference.high - row.difference.low == pytest.approx(row.ours.high - row.ours.low)
    assert number(paper, around(0.8))[0].reason.endswith("the paper's number lies below")


def test_the_stems_may_disagree_for_the_paper_says_of_neither_that_it_was_its_own(paper):
    outcome = lambda arm, seed: measured(arm, seed, (0.7667 if arm == "cifar" else 0.6) + SPREAD[seed])  # noqa: E731
    assert [row.verdict for row in number(paper, outcome)] == [NOT_REPRODUCED, REPRODUCED]


def test_an_interval_that_would_take_in_any_number_agrees_with_none_and_yet_excludes_what_lies_outside():
    wide = [0.70, 0.76, 0.82]  # one more run: 46 to 106 %
    assert weigh_number(wide, 0.7667).outcome == OPEN
    assert weigh_number(wide, 0.7667).missing == "more seeds" and "too wide" in weigh_number(wide, 0.7667).against
    assert weigh_number(wide, 0.3).outcome == FAILS


def test_two_seeds_decide_by_an_interval_of_their_own_and_equal_ones_say_nothing(paper):
    row = number(paper, around(AT_THE_NUMBER), seeds=(0, 1))[0]
    assert (row.verdict, row.outcome, row.ours.n) == (REPRODUCED, HOLDS, 2)
    spread = 0.002 / 2**0.5
    assert row.ours.high - row.ours.mean == pytest.approx(8.985 * spread, rel=1e-3)
    assert row.reason.startswith("one more run would lie in 74.4 to 78.8 %")  # 15.6 standard deviations
    assert number(paper, around(BELOW_IT), seeds=(0, 1))[0].verdict == NOT_REPRODUCED
    assert (weigh_number([0.76, 0.77], 0.7667).outcome, weigh_number([0.76, 0.77], 0.5).outcome) == (OPEN, FAILS)
    row = number(paper, lambda arm, seed: measured(arm, seed, 0.7667))[0]
    assert (row.verdict, row.missing) == (UNDETERMINED, "more seeds")


def test_a_study_of_one_seed_is_measured_and_undetermined(paper):
    row = number(paper, around(AT_THE_NUMBER), seeds=(0,))[0]
    assert (row.verdict, row.ours.n, row.ours.mean) == (UNDETERMINED, 1, pytest.approx(AT_THE_NUMBER + SPREAD[0]))
    assert row.reason.startswith("one seed says nothing")


def test_a_smaller_scale_decides_nothing_whatever_it_comes_to(paper):
    for outcome, told in ((around(AT_THE_NUMBER), HOLDS), (around(BELOW_IT), FAILS)):
        row = number(paper, outcome, settings={"pretrain.epochs": 20, "pretrain.warmup_epochs": 2})[0]
        assert (row.verdict, row.outcome) == (SMALLER, told)
        assert barred(row) == ["epochs 20 in place of 100", "warmup_epochs 2 in place of 10"]
        assert row.reason.startswith("one more run would lie in ") and "the paper's number" not in row.reason


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"pretrain.epochs": 400, "pretrain.warmup_epochs": 10}, OTHER_PROTOCOL),
        ({"pretrain.optimizer": "adamw"}, OTHER_PROTOCOL),
        ({"pretrain.backbone": "resnet18", "pretrain.epochs": 400}, OTHER_PROTOCOL),  # smaller and larger at once
        ({"pretrain.backbone": "resnet18", "pretrain.base_lr": 0.8}, SMALLER),
        ({"pretrain.convention": "equation"}, REPRODUCED),  # about which the paper is silent
        ({"pretrain.precision": "bfloat16"}, REPRODUCED),
    ],
)
def test_more_epochs_or_another_optimiser_are_another_protocol_and_silences_and_arithmetic_bar_no_verdict(
    paper, settings, verdict
):
    assert number(paper, around(AT_THE_NUMBER), settings=settings)[0].verdict == verdict


def test_the_profile_of_two_cores_is_a_smaller_scale(paper):
    row = number(paper, around(AT_THE_NUMBER), profile="cifar10-cpu", data={**WHOLE, **FEW})[0]
    assert row.verdict == SMALLER and "5,000 training images in place of 50,000" in barred(row)


@pytest.mark.parametrize(
    ("files", "linear", "verdict"),
    [
        ("JPEG", AT_THE_NUMBER, "reproduced on the JPEG copy"),
        ("JPEG", BELOW_IT, "not reproduced on the JPEG copy"),
        (None, BELOW_IT, "not reproduced on the copy"),
    ],
)
def test_a_verdict_from_a_copy_names_the_copy_and_has_its_difference(paper, files, linear, verdict):
    row = number(paper, around(linear), data={**JPEG, "files": files})[0]
    assert row.verdict == verdict and barred(row) == [] and is_settled(row.verdict)
    assert row.difference.mean == pytest.approx(linear - 0.7667)
    assert is_reproduced(verdict) != is_not_reproduced(verdict)


def test_a_copy_with_too_few_seeds_is_undetermined_and_one_at_a_smaller_scale_is_that(paper):
    assert number(paper, around(AT_THE_NUMBER), data=JPEG, seeds=(0,))[0].verdict == UNDETERMINED
    assert number(paper, around(AT_THE_NUMBER), data={**JPEG, **FEW})[0].verdict == SMALLER


def test_by_another_probe_a_number_was_tried_by_another_protocol_and_by_none_not_at_all(paper):
    def without_linear(arm, seed):
        run = measured(arm, seed, 0.7667 + SPREAD[seed])
        return {**run, "test": {name: probe for name, probe in run["test"].items() if name != "linear"}}

    row = number(paper, without_linear)[0]
    assert (row.verdict, row.ours.mean) == (OTHER_PROTOCOL, pytest.approx(0.7667))
    assert barred(row) == ["Linear, cached features in place of the paper's linear evaluation"]
    without_probes = lambda arm, seed: {**unfinished("failed"), "history": without_linear(arm, seed)["history"]}  # noqa: E731
    row = number(paper, without_probes)[0]
    assert (row.verdict, row.ours, row.missing) == (NOT_RUN, None, "the study source-recipe on cifar10")


@pytest.mark.parametrize("status", ["missing", "failed", "diverged", "pruned", "killed", "partial"])
def test_runs_that_came_to_no_number_count_as_none(paper, status):
    outcome = around(AT_THE_NUMBER)
    rows = number(paper, lambda arm, seed: unfinished(status, "why") if seed else outcome(arm, seed))
    assert [row.verdict for row in rows] == [UNDETERMINED] * 2
    assert [(row.ours.n, len(row.runs)) for row in rows] == [(1, 1)] * 2


def test_an_arm_of_which_nothing_was_measured_has_no_row_and_a_study_without_any_is_missing(paper):
    assert [row.arm for row in number(paper, around(AT_THE_NUMBER), lost=("cifar",))] == [STEM_7]
    (row,) = number(paper, around(AT_THE_NUMBER), lost=("cifar", "imagenet"))
    assert (row.verdict, row.ours, row.missing) == (NOT_RUN, None, "the study source-recipe on cifar10")


def of_recipe(paper, outcome, **named):
    return judge_number(CIFAR10, [paper.results("source-recipe", outcome, **named)], PAPER)


def test_the_recipe_in_full_is_one_row_and_no_look_at_its_training_is_another(paper):
    (row,) = of_recipe(paper, around(AT_THE_NUMBER), data=JPEG, settings={"pretrain.train_on": "all"})
    assert (row.verdict, row.study, len(row.runs)) == ("reproduced on the JPEG copy", "source-recipe", 3)


def test_a_training_that_has_not_ended_is_judged_by_its_furthest_look_at_a_smaller_scale(paper):
    outcome = lambda arm, seed: measured(arm, seed, {"halfway": 0.6, "after-20": 0.5}.get(arm, 0.3) + SPREAD[seed])  # noqa: E731
    (row,) = of_recipe(paper, outcome, data=JPEG, lost=("epochs-100",))
    assert (row.verdict, row.ours.mean) == (SMALLER, pytest.approx(0.6))
    assert barred(row) == ["stopped after 50 epochs, before its schedule ends"]
    (row,) = of_recipe(paper, outcome, data=JPEG, lost=("epochs-100", "halfway"))
    assert (row.ours.mean, barred(row)) == (pytest.approx(0.5), ["stopped after 20 epochs, before its schedule ends"])


def test_the_other_stem_is_a_reading_beside_the_recipe_in_full_and_each_has_the_most_seeds_there_are(paper):
    recipe = paper.results("source-recipe", around(BELOW_IT), seeds=(0, 1))
    outcome = lambda arm, seed: measured(arm, seed, (AT_THE_NUMBER if arm == "cifar" else BELOW_IT) + SPREAD[seed])  # noqa: E731
    rows = judge_number(CIFAR10, [recipe, paper.results("stem", outcome)], PAPER)
    assert [(row.arm, row.verdict, row.results.study, row.ours.n) for row in rows] == [
        (STEM_7, NOT_REPRODUCED, "stem", 3), (STEM_3, REPRODUCED, "stem", 3)
    ]  # fmt: skip
    (row, _) = judge_number(CIFAR10, [recipe, paper.results("stem", outcome, seeds=(0,))], PAPER)
    assert (row.arm, row.results.study, row.ours.n) == (STEM_7, "source-recipe", 2)


def test_a_run_in_training_is_none_that_was_run(paper):
    outcome = around(AT_THE_NUMBER)
    training = lambda arm, seed: unfinished("partial", history=outcome(arm, seed)["history"])  # noqa: E731
    rows = number(paper, lambda arm, seed: training(arm, seed) if seed else outcome(arm, seed))
    assert [(row.ours.n, len(row.runs)) for row in rows] == [(1, 1)] * 2


def test_the_recipe_in_full_is_taken_before_a_study_of_the_stem_at_a_smaller_scale(paper):
    small = paper.results("stem", around(0.5), settings={"pretrain.epochs": 20})
    whole = paper.results("source-recipe", around(AT_THE_NUMBER), data=JPEG, seeds=(0, 1))
    assert [row.study for row in judge_number(CIFAR10, [small, whole], PAPER)] == ["source-recipe"]
    assert judge_number(CIFAR10, [small, whole], PAPER)[0].results is whole


def test_the_same_study_on_other_images_is_not_taken_for_it(paper):
    digits = {**WHOLE, "dataset": "digits", "classes": [str(digit) for digit in range(10)]}
    (row,) = number(paper, around(AT_THE_NUMBER), data=digits)
    assert row.missing == "the study source-recipe on cifar10" and row.results is None
    assert number(paper, around(0.5122), of=CIFAR100, profile="cifar100", data=FINE)[0].verdict == REPRODUCED


def test_of_several_results_the_nearest_protocol_is_taken_and_of_equals_that_of_most_seeds(paper):
    reduced = paper.results("stem", around(0.5), settings={"pretrain.epochs": 20})
    few, many = (paper.results("stem", around(AT_THE_NUMBER), seeds=seeds) for seeds in ((0, 1, 2), (0, 1, 2, 3, 4)))
    assert nearest([reduced, few, many], PAPER, dataset="cifar10") is many
    assert nearest([few, reduced], PAPER, dataset="cifar10") is few
    assert nearest([reduced], PAPER, dataset="cifar10") is reduced
    assert nearest([reduced], PAPER, dataset="cifar100") is None


def test_a_copy_is_taken_where_the_canonical_images_have_too_few_seeds_or_another_protocol_and_else_they_are(paper):
    canonical, one_seed, reduced = (
        paper.results("stem", around(AT_THE_NUMBER), **named)
        for named in ({}, {"seeds": (0,)}, {"settings": {"pretrain.epochs": 20}})
    )
    copy = paper.results("stem", around(AT_THE_NUMBER), data=JPEG, seeds=(0, 1, 2, 3, 4))
    assert nearest([copy, canonical], PAPER, dataset="cifar10") is canonical
    for other in (one_seed, reduced):
        assert nearest([other, copy], PAPER, dataset="cifar10") is copy
