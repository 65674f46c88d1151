"""All numbers and claims together, whatever was measured of them."""

import pytest

from study.paper.claims.batch_size import judge_batch_accuracy, judge_batch_stability
from study.paper.claims.epochs import judge_epochs
from study.paper.claims.judge import judge
from study.paper.claims.loss_terms import judge_collapse, judge_scale
from study.paper.judged import FAILS, HOLDS, NOT_RUN, SMALLER
from tests.study.made_up import unfinished
from tests.study.made_up_paper import PAPER, Paper, projection


@pytest.fixture(scope="module")
def paper(digits):
    return Paper(digits)


def test_where_nothing_is_measured_every_row_is_not_run_empty_and_says_what_is_missing():
    rows = judge({}, [], PAPER)
    assert {row.claim for row in rows} == {*(one.id for one in PAPER.numbers), *PAPER.claims}
    for row in rows:
        assert (row.verdict, row.ours, row.difference, row.outcome, row.deviations, row.runs) == (
            NOT_RUN, None, None, None, (), ()
        )  # fmt: skip
        assert row.missing.startswith(("the study ", "the studies ", "the stage project"))


def test_every_number_and_claim_has_a_row_in_the_papers_order_where_all_is_measured(paper):
    found = {study: [paper.results(study)] for study in ("stem", "epochs", "batch-size", "lambda-mu-nu")}
    rows = judge({**found, "generalisation": [paper.given()]}, [projection()], PAPER)
    order = [*(one.id for one in PAPER.numbers), *PAPER.claims]
    assert list(dict.fromkeys(row.claim for row in rows)) == order
    assert {row.claim for row in rows if row.results is None} == {"cifar100", "imagenet-cifar100", "generalises"}
    assert all(row.barring == () for row in rows)


def test_results_of_which_every_run_was_lost_are_read_without_a_word(paper):
    lost = lambda arm, seed: unfinished("diverged", "not finite")  # noqa: E731
    found = {study: [paper.results(study, lost)] for study in ("stem", "epochs", "batch-size", "lambda-mu-nu")}
    rows = judge({**found, "generalisation": [paper.given(lost)]}, [], PAPER)
    assert {(row.verdict, row.ours) for row in rows} == {(NOT_RUN, None)}


def test_the_baseline_alone_is_judged_where_all_other_arms_are_missing(paper):
    arms = {"stem": ["cifar"], "epochs": ["halfway", "epochs-50"], "batch-size": ["size-256"]}
    found = {study: [paper.results(study, lost=lost)] for study, lost in arms.items()}
    rows = judge(found, [], PAPER)
    assert {row.claim: row.missing for row in rows if row.claim in ("epochs", "batch-size-accuracy")} == {
        "epochs": "the study source-recipe", "batch-size-accuracy": "two seeds",
    }  # fmt: skip
    assert [row.ours for row in rows if row.claim.startswith("batch-size")] == [None, None]


def test_a_verdict_is_never_given_without_a_measurement_of_the_papers_protocol(paper):
    settings = {"pretrain.epochs": 20, "pretrain.warmup_epochs": 2}
    found = {study: [paper.results(study, settings=settings)] for study in ("stem", "batch-size", "lambda-mu-nu")}
    recipe = {**projection().recipe, "pretrain.epochs": 20}
    rows = judge(found, [projection(recipe=recipe)], PAPER)
    assert {row.verdict for row in rows} == {SMALLER, NOT_RUN}
    assert all(row.reason == "" or row.reason[0] != ";" for row in rows)
    assert sum(row.outcome in (HOLDS, FAILS) for row in rows) >= 5


@pytest.mark.parametrize(
    "judge_one", [judge_epochs, judge_batch_accuracy, judge_batch_stability, judge_scale, judge_collapse]
)
def test_a_claim_of_which_nothing_is_measured_names_its_study(judge_one):
    (row,) = judge_one("name", "says", [], PAPER)
    assert (row.verdict, row.ours, row.missing) == (NOT_RUN, None, f"the study {row.study}")
