"""Which runs are run again, and what is said of each."""

import os

import pytest

from study.execution.request import Request
from study.execution.session import open_session
from study.results.files import read_results
from study.results.runs import CollapseMetrics, CollapseType, EpochRecord, ProbeAccuracy, RunResults
from study.verification.certify import certifiable_cells, choose_runs, judge_run
from study.verification.replan import replan
from study.verification.rerun import _remove_leftovers


@pytest.fixture
def candidates(finished):
    """(results, the cells of the study `quest`) of a project where all is finished."""
    results = read_results(finished.folder / "results/ablate/quest")
    return results, replan(results, open_session(Request(study="quest")))


def test_the_cells_of_a_results_file_are_planned_anew_with_the_very_digests_it_holds(candidates):
    results, cells = candidates
    digests = {key: run.digest for key, run in results.runs_by_cell().items()}
    assert {key: cell.run.digest for key, cell in cells.items()} == digests  # a search's own trials among them


def test_every_run_that_ended_as_an_outcome_can_be_certified(candidates):
    results, cells = candidates
    assert certifiable_cells(results, open_session(Request(study="quest"))).keys() == cells.keys()


def test_no_arm_has_a_second_turn_before_every_arm_had_its_first_and_controls_come_last(candidates):
    results, cells = candidates
    chosen = choose_runs(cells, results, count=100)
    names = [name for name, _ in chosen]
    first_turns = len({arm for arm, _ in chosen})
    assert len(set(names[:first_turns])) == first_turns and names[first_turns - 1] == "untrained"
    assert choose_runs(dict(reversed(cells.items())), results, count=100) == chosen
    assert choose_runs(cells, results, count=2) == chosen[:2]


def test_a_run_that_two_arms_share_is_chosen_once(candidates):
    results, cells = candidates
    digests = {key: run.digest for key, run in results.runs_by_cell().items()}
    chosen = [digests[key] for key in choose_runs(cells, results, count=100)]
    assert len(chosen) == len(set(chosen)) == len(set(digests.values()))


def result(status="finished", *, top1=0.9, total=1.0, rank=5.0, collapse_type="healthy"):
    measured = {"knn_5": ProbeAccuracy(top1=top1)} if status == "finished" else {}
    return RunResults(
        seed=0,
        digest="of-the-run",
        status=status,
        history=(EpochRecord(epoch=1, total=total),),
        validation=measured,
        test=measured,
        collapse={"embeddings": CollapseMetrics(rankme=rank)} if measured else {},
        collapse_type=CollapseType(name=collapse_type) if measured else None,
    )


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "outcome", "differing"),
    [
        (result(), result(), 0.0, "bit-identical", ()),
        (result(total=float("nan")), result(total=float("nan")), 0.0, "bit-identical", ()),
        (result("diverged"), result("diverged"), 0.0, "bit-identical", ()),
        (result("diverged"), result("diverged", total=2.0), 0.5, "not reproduced", ("history",)),
        (result("pruned"), result("pruned", total=2.0), 0.5, "not reproduced", ("history",)),
        (result(), result(rank=5.1), 0.0, "not reproduced", ("collapse.embeddings.rankme",)),
        (result(), result(total=1.1), 0.0, "not reproduced", ("history",)),
        (result(), result(rank=5.1), 0.001, "within tolerance", ("collapse.embeddings.rankme",)),
        (result(), result(top1=0.95), 0.1, "within tolerance", ("test.knn_5.top1", "validation.knn_5.top1")),
        (result(), result(top1=0.95), 0.01, "not reproduced", ("test.knn_5.top1", "validation.knn_5.top1")),
        (result(), result(collapse_type="complete"), 1.0, "not reproduced", ("verdict.name",)),
    ],
)
def test_a_tolerance_of_accuracies_is_for_runs_that_have_one_and_of_zero_it_asks_for_the_same_bits(
    before, after, tolerance, outcome, differing
):
    told = judge_run(before, after, arm="x", label="ν 1", weights="not kept", tolerance=tolerance)
    assert (told.outcome, told.differing, told.digest) == (outcome, differing, "of-the-run")


def test_the_stores_of_commands_that_were_killed_are_removed_and_no_others(tmp_path):
    names = {f"again-{os.getpid()}-a": True, "again-999999999-b": False, "again-c": True, "other-999999999-d": True}
    for name in names:
        (tmp_path / name / "runs").mkdir(parents=True)
    _remove_leftovers(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_a_run_that_ended_otherwise_is_not_reproduced():
    told = judge_run(result(), result("diverged"), arm="x", label="ν 1", weights="not kept", tolerance=1.0)
    assert (told.outcome, told.status, told.status_again) == ("not reproduced", "finished", "diverged")
    assert told.largest_difference is None and "status" in told.differing


def test_weights_that_differ_are_never_bit_identical():
    told = judge_run(result(), result(), arm="x", label="ν 1", weights="differ", tolerance=0.0)
    assert told.outcome == "not reproduced" and told.differing == ()
    assert (
        judge_run(result(), result(), arm="x", label="ν 1", weights="differ", tolerance=0.01).outcome == "within tolerance"
    )
