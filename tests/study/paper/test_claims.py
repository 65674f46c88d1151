"""The source paper's numbers, held against made-up measurements: every verdict, and what is missing where there is none.

The claims about two arms, curves and maps are in test_side_claims.py.
"""

import pytest

from study.ablate import parse_arguments
from study.paper.claims import judge, judge_generalises, judge_imagenet_stability, judge_number, told_of_number
from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, OPEN, REPRODUCED, UNDETERMINED, nearest
from study.spec.study_file import available
from tests.study.made_up import unfinished
from tests.study.made_up_paper import FINE, PAPER, PUBLISHED, SPREAD, WHOLE, Paper, around, map_of, measured

CIFAR10, CIFAR100, GIVEN10, GIVEN100 = PAPER["numbers"]
AT_THE_NUMBER, BELOW_IT = 0.7667, 0.70


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def number(paper, outcome, *, of=CIFAR10, **named):
    """The rows of a number of the paper, judged by one made-up study."""
    return judge_number(of, [paper.results("stem", outcome, **named)], PAPER)


# ---- a number


def test_a_number_among_those_of_one_more_run_is_reproduced_arm_by_arm(paper):
    rows = number(paper, around(AT_THE_NUMBER))
    assert [(row.arm, row.verdict, row.told) for row in rows] == [
        ("imagenet", REPRODUCED, HOLDS), ("cifar", REPRODUCED, HOLDS)
    ]  # fmt: skip
    assert all(row.apart == () and row.ours.n == 3 and len(row.runs) == 3 for row in rows)
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
    assert told_of_number(wide, 0.7667)["told"] == OPEN
    assert told_of_number(wide, 0.7667)["missing"] == "more seeds" and "too wide" in told_of_number(wide, 0.7667)["reason"]
    assert told_of_number(wide, 0.3)["told"] == FAILS


def test_two_seeds_say_nothing_and_equal_ones_neither(paper):
    row = number(paper, around(AT_THE_NUMBER), seeds=(0, 1))[0]
    assert (row.verdict, row.told, row.missing) == (UNDETERMINED, OPEN, "three seeds")
    assert row.ours.n == 2 and row.ours.low is None
    row = number(paper, lambda arm, seed: measured(arm, seed, 0.7667))[0]
    assert (row.verdict, row.missing) == (UNDETERMINED, "more seeds")


def test_a_study_of_one_seed_is_measured_and_undetermined(paper):
    row = number(paper, around(AT_THE_NUMBER), seeds=(0,))[0]
    assert (row.verdict, row.ours.n, row.ours.mean) == (UNDETERMINED, 1, pytest.approx(AT_THE_NUMBER + SPREAD[0]))
    assert row.reason.startswith("one seed says nothing")


def test_another_protocol_decides_nothing_whatever_it_comes_to(paper):
    for outcome, told in ((around(AT_THE_NUMBER), HOLDS), (around(BELOW_IT), FAILS)):
        row = number(paper, outcome, settings={"pretrain.epochs": 20, "pretrain.warmup_epochs": 2})[0]
        assert (row.verdict, row.told) == (UNDETERMINED, told)
        assert row.apart == ("epochs 20 in place of 100", "warmup_epochs 2 in place of 10")


def test_the_profile_of_two_cores_decides_nothing(paper):
    few = {**WHOLE, "train": 4500, "validation": 500}
    row = number(paper, around(AT_THE_NUMBER), profile="cifar10-cpu", data=few)[0]
    assert row.verdict == UNDETERMINED and "5,000 training images in place of 50,000" in row.apart


def test_a_number_is_measured_by_the_papers_own_probe_or_not_at_all(paper):
    def without_linear(arm, seed):
        run = measured(arm, seed, 0.7667 + SPREAD[seed])
        return {**run, "test": {name: probe for name, probe in run["test"].items() if name != "linear"}}

    row = number(paper, without_linear)[0]
    assert (row.verdict, row.ours, row.difference) == (UNDETERMINED, None, None)
    assert row.missing == "the linear evaluation"


@pytest.mark.parametrize("status", ["missing", "failed", "diverged", "pruned", "killed", "partial"])
def test_runs_that_came_to_no_number_count_as_none(paper, status):
    outcome = around(AT_THE_NUMBER)
    rows = number(paper, lambda arm, seed: unfinished(status, "why") if seed == 1 else outcome(arm, seed))
    assert [row.verdict for row in rows] == [UNDETERMINED] * 2
    assert [(row.ours.n, len(row.runs)) for row in rows] == [(2, 2)] * 2


def test_an_arm_of_which_nothing_was_measured_has_no_row_and_a_study_without_any_is_missing(paper):
    assert [row.arm for row in number(paper, around(AT_THE_NUMBER), lost=("cifar",))] == ["imagenet"]
    (row,) = number(paper, around(AT_THE_NUMBER), lost=("cifar", "imagenet"))
    assert (row.verdict, row.ours, row.missing) == (UNDETERMINED, None, "the study stem on cifar10")


def test_the_same_study_on_other_images_is_not_taken_for_it(paper):
    digits = {**WHOLE, "dataset": "digits", "classes": [str(digit) for digit in range(10)]}
    (row,) = number(paper, around(AT_THE_NUMBER), data=digits)
    assert row.missing == "the study stem on cifar10" and row.results is None
    assert number(paper, around(0.5122), of=CIFAR100, profile="cifar100", data=FINE)[0].verdict == REPRODUCED


def test_of_several_results_the_nearest_protocol_is_taken_and_of_equals_that_of_most_seeds(paper):
    reduced = paper.results("stem", around(0.5), settings={"pretrain.epochs": 20})
    few, many = (paper.results("stem", around(AT_THE_NUMBER), seeds=seeds) for seeds in ((0, 1, 2), (0, 1, 2, 3, 4)))
    assert nearest([reduced, few, many], PAPER, dataset="cifar10") is many
    assert nearest([few, reduced], PAPER, dataset="cifar10") is few
    assert nearest([reduced], PAPER, dataset="cifar10") is reduced
    assert nearest([reduced], PAPER, dataset="cifar100") is None


# ---- the authors' network


def test_the_authors_network_is_judged_at_each_input_size(paper):
    level = {"size-32": 0.6, "size-64": 0.75, "size-128": 0.8467, "size-224": 0.9}
    outcome = lambda arm, seed: measured(arm, seed, level.get(arm, 0.3) + SPREAD[seed])  # noqa: E731
    rows = judge_number(GIVEN10, [paper.given(outcome)], PAPER)
    assert {row.arm: row.verdict for row in rows} == {
        "size-32": NOT_REPRODUCED, "size-64": NOT_REPRODUCED, "size-128": REPRODUCED, "size-224": NOT_REPRODUCED,
    }  # fmt: skip
    assert all(row.apart == () and len(row.runs) == 3 for row in rows)


def test_features_generalise_where_they_beat_the_same_network_before_training(paper):
    row, other = judge_generalises("generalises", "says", [paper.given(by_gain(0.3))], PAPER)
    assert (row.verdict, row.ours.mean) == (REPRODUCED, pytest.approx(0.3))
    assert (other.dataset, other.verdict) == ("cifar100", UNDETERMINED)
    assert other.missing == "the study generalisation on cifar100"
    assert judge_generalises("generalises", "says", [paper.given(by_gain(-0.1))], PAPER)[0].verdict == NOT_REPRODUCED
    row = judge_generalises("generalises", "says", [paper.given(by_gain(0.0))], PAPER)[0]
    assert (row.verdict, row.told, row.missing) == (UNDETERMINED, OPEN, "more seeds")


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

    assert judge_generalises("generalises", "says", [paper.given(outcome)], PAPER)[0].arm == "size-128"


def test_features_judged_by_another_probe_or_on_fewer_images_decide_nothing(paper):
    few = {**WHOLE, "train": 4500, "validation": 500, "test": 1000}
    row = judge_generalises("generalises", "says", [paper.given(by_gain(0.3), data=few)], PAPER)[0]
    assert (row.verdict, row.told, len(row.apart)) == (UNDETERMINED, HOLDS, 2)


def test_without_a_measured_control_no_gain_is_known(paper):
    outcome = around(0.8)
    lost = lambda arm, seed: unfinished("failed") if arm.startswith("untrained") else outcome(arm, seed)  # noqa: E731
    row = judge_generalises("generalises", "says", [paper.given(lost)], PAPER)[0]
    assert (row.verdict, row.ours, row.missing) == (UNDETERMINED, None, "three seeds")


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
    assert (row.verdict, row.told, row.ours.mean) == (UNDETERMINED, OPEN, pytest.approx(0.5))
    assert len(row.runs) == 6 and row.reference is not None


def test_what_is_missing_for_two_studies_is_that_which_lacks(paper):
    row = stability(paper, 1, 2, settings={"pretrain.epochs": 20})
    assert (row.study, row.verdict, row.apart) == ("stem", UNDETERMINED, ("epochs 20 in place of 100",))
    row = stability(paper, 1, 2, seeds=(0, 1))
    assert (row.study, row.ours, row.missing) == ("stem", None, "three seeds")
    (row,) = judge_imagenet_stability("imagenet-stability", "says", [paper.given()], [], PAPER)
    assert (row.study, row.missing) == ("stem", "the study stem")
    (row,) = judge_imagenet_stability("imagenet-stability", "says", [], [], PAPER)
    assert row.missing == "the studies generalisation and stem"


# ---- all of it


def test_where_nothing_is_measured_every_row_is_undetermined_empty_and_says_what_is_missing():
    rows = judge({}, [], PAPER)
    assert {row.claim for row in rows} == {*(one["id"] for one in PAPER["numbers"]), *PAPER["claims"]}
    for row in rows:
        assert (row.verdict, row.ours, row.difference, row.told, row.apart, row.runs) == (
            UNDETERMINED, None, None, None, (), ()
        )  # fmt: skip
        assert row.missing.startswith(("the study ", "the studies ", "the stage project"))


def test_every_number_and_claim_has_a_row_in_the_papers_order_where_all_is_measured(paper):
    found = {study: [paper.results(study)] for study in ("stem", "epochs", "batch-size", "lambda-mu-nu")}
    rows = judge({**found, "generalisation": [paper.given()]}, [map_of()], PAPER)
    order = [*(one["id"] for one in PAPER["numbers"]), *PAPER["claims"]]
    assert list(dict.fromkeys(row.claim for row in rows)) == order
    assert {row.claim for row in rows if row.results is None} == {"cifar100", "imagenet-cifar100", "generalises"}
    assert all(row.apart == () for row in rows)


def test_results_of_which_every_run_was_lost_are_read_without_a_word(paper):
    lost = lambda arm, seed: unfinished("diverged", "not finite")  # noqa: E731
    found = {study: [paper.results(study, lost)] for study in ("stem", "epochs", "batch-size", "lambda-mu-nu")}
    rows = judge({**found, "generalisation": [paper.given(lost)]}, [], PAPER)
    assert {(row.verdict, row.ours) for row in rows} == {(UNDETERMINED, None)}


def test_the_baseline_alone_is_judged_where_all_other_arms_are_missing(paper):
    arms = {"stem": ["cifar"], "epochs": ["halfway", "epochs-50"], "batch-size": ["size-256"]}
    found = {study: [paper.results(study, lost=lost)] for study, lost in arms.items()}
    rows = judge(found, [], PAPER)
    assert {row.claim: row.missing for row in rows if row.claim in ("epochs", "batch-size-accuracy")} == {
        "epochs": "three seeds", "batch-size-accuracy": "three seeds",
    }  # fmt: skip
    assert [row.ours for row in rows if row.claim.startswith("batch-size")] == [None, None]


def test_a_verdict_is_never_given_without_a_measurement_of_the_papers_protocol(paper):
    settings = {"pretrain.epochs": 20, "pretrain.warmup_epochs": 2}
    found = {study: [paper.results(study, settings=settings)] for study in ("stem", "batch-size", "lambda-mu-nu")}
    recipe = {**map_of()["recipe"], "pretrain.epochs": 20}
    rows = judge(found, [map_of(recipe=recipe)], PAPER)
    assert {row.verdict for row in rows} == {UNDETERMINED}
    assert sum(row.told in (HOLDS, FAILS) for row in rows) >= 5


# ---- what is published


def test_the_numbers_are_those_of_the_paper():
    assert [(one["dataset"], one["study"], one["linear"]) for one in PAPER["numbers"]] == [
        ("cifar10", "stem", 76.67), ("cifar100", "stem", 51.22),
        ("cifar10", "generalisation", 84.67), ("cifar100", "generalisation", 66.75),
    ]  # fmt: skip
    assert PAPER["source"] == 'Ben Salem, "Self-Supervised Learning of Visual representations"'
    assert PAPER["probe_settings"] == {"evaluate.linear.epochs": 100, "evaluate.linear.lr": [0.01]}
    settings = {key.removeprefix("pretrain."): value for key, value in PAPER["settings"].items()}
    given = {
        "backbone": "resnet34", "width": 64, "expander": [2048, 2048, 2048], "epochs": 100, "batch_size": 128,
        "optimizer": "lars", "weight_decay": 1e-5, "base_lr": 0.2, "warmup_epochs": 10, "start_lr": 0.0, "end_lr": 0.002,
        "lambda": 25, "mu": 25, "nu": 1,
    }  # fmt: skip
    assert given.items() <= settings.items()


def test_the_claims_are_those_of_the_paper_and_every_study_they_name_exists():
    assert list(PAPER["claims"]) == [
        "epochs", "batch-size-accuracy", "batch-size-stability", "scale", "collapse", "tsne-classes", "tsne-trucks",
        "generalises", "imagenet-stability",
    ]  # fmt: skip
    assert "+2 points" in PAPER["claims"]["epochs"] and "256 instead of 128" in PAPER["claims"]["batch-size-accuracy"]
    studies = {one["study"] for one in (*PAPER["numbers"], *PAPER["silent"])}
    assert studies | {row.study for row in judge({}, [], PAPER)} <= {*available(), "project"}
    for study in studies:
        parse_arguments(["--study", study])


def series(source, dataset=None):
    (found,) = [one for one in PUBLISHED["field"] if one["source"].startswith(source) and one.get("dataset") == dataset]
    return found


def test_every_published_series_names_its_source_its_protocol_and_what_it_varies():
    for one in PUBLISHED["field"]:
        assert one["source"] and one["protocol"] and one["varies"] and one["rows"]
        assert ("settings" in one) == ("probe" in one)
        assert all(isinstance(value, float) for value in one["rows"].values())
    assert PUBLISHED["coefficients"]["source"] and PUBLISHED["coefficients"]["protocol"]


def test_the_numbers_of_the_vicreg_paper_are_published():
    table = PUBLISHED["coefficients"]["rows"]
    rows = {(row["lambda"], row["mu"], row["nu"]): row.get("linear", "collapse") for row in table}
    assert rows == {
        (1, 0, 0): "collapse", (25, 0, 1): "collapse", (0, 25, 1): "collapse", (1, 1, 0): 57.5, (1, 1, 1): "collapse",
        (1, 10, 1): "collapse", (10, 1, 1): "collapse", (5, 5, 1): 68.1, (10, 10, 1): 68.2, (25, 25, 1): 68.6,
        (50, 50, 1): 68.3,
    }  # fmt: skip
    vicreg = "arXiv 2105.04906, "
    assert series(f"{vicreg}Table 13")["rows"] == {128: 67.3, 256: 67.9, 512: 68.2, 1024: 68.3, 2048: 68.6, 4096: 67.8}
    assert series(f"{vicreg}Table 12")["rows"] == {
        256: 55.9, 512: 59.2, 1024: 62.4, 2048: 65.1, 4096: 67.3, 8192: 68.6, 16384: 68.8,
    }  # fmt: skip
    rates = series(f"{vicreg}Appendix C.4")
    assert rates["rows"] == {128: 0.8, 256: 0.5, 512: 0.4} and "0.3 for all others" in rates["protocol"]
    assert series(f"{vicreg}Section 5")["rows"] == {100: 68.6, 1000: 73.2}
    assert series(f"{vicreg}ablation")["rows"] == {"standardised": 68.4, "l2-normalised": 65.1}


def test_the_numbers_of_others_on_both_sets_are_published():
    names = ("vicreg", "barlow_twins", "simclr", "byol", "simsiam", "mocov2", "swav")
    for dataset, values in (
        ("cifar10", (92.07, 92.10, 90.74, 92.58, 90.51, 92.94, 89.17)),
        ("cifar100", (68.54, 70.90, 65.78, 70.46, 66.04, 69.89, 64.88)),
    ):
        one = series("solo-learn", dataset)
        assert one["rows"] == dict(zip(names, values, strict=True)) and "1000 epochs, batch 256" in one["protocol"]
    assert series("EMP-SSL", "cifar10")["rows"] == {1: 40.6, 10: 69.7, 30: 78.1, 1000: 92.1}
    assert series("EMP-SSL", "cifar100")["rows"] == {1: 7.9, 10: 31.9, 30: 47.9, 1000: 68.5}
    awesome = series("awesomeslayer", "cifar10")["rows"]
    assert awesome == {256: 70.35, 128: 68.18, 64: 55.69, 32: 37.37, 16: 34.28, 8: 36.57}
    assert series("AdityaaP27", "cifar10")["rows"] == {"all": 71.66}
