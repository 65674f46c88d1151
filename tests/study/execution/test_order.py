"""A cell whose run is the beginning of another's waits for it, is not trained, and is not held back by anything else."""

import pytest
import torch

from study import ablate
from study.execution import session as sessions
from study.execution.order import Order
from study.execution.request import Request
from study.execution.scheduler import Runner
from study.execution.session import open_session
from study.spec import early_stops as stops
from study.spec.early_stops import early_stops, stops_within
from study.spec.study_file import load_study
from study.verification.rerun import run_afresh
from tests.study.execution.test_scheduler import Inline

CPU = torch.device("cpu")
HALVES = """
question: What does the second half of training gain?
hypothesis: Something.
baseline: whole
arms:
  half: {pretrain.epochs: 4, pretrain.stop_after: 2}
  whole: {pretrain.epochs: 4}
  short: {pretrain.epochs: 2}
"""


@pytest.fixture
def halves(project):
    """The project with a study that looks at a training half-way."""
    (project.studies / "halves.yaml").write_text(HALVES, encoding="utf-8")
    return project


@pytest.fixture
def session(halves):
    return open_session(Request(study="halves", store=halves.store.root))


def cells_of(session):
    """Arm -> its cell at seed 0."""
    return {cell.arm: cell for cell in session.plan(seeds=(0,)).cells}


def order_of(cells, store, **named):
    return Order(cells, store, next_cell=iter(cells).__next__, **named)


def all_ready(order):
    found = []
    while order.is_ready():
        found.append(order.take().arm)
    return found


def test_the_beginning_of_a_run_is_held_back_until_that_has_ended_and_others_go_ahead(session):
    cells = cells_of(session)
    order = order_of([cells["half"], cells["whole"], cells["short"]], session.store)
    assert all_ready(order) == ["whole", "short"]
    order.end(cells["short"])
    assert all_ready(order) == []
    order.end(cells["whole"])
    assert all_ready(order) == ["half"] and all_ready(order) == []
    assert order.keep[cells["whole"].run.digest] == (2,)
    assert {arm: order.epochs_of(cell) for arm, cell in cells.items()} == {"untrained": 0, "half": 0, "whole": 4, "short": 2}


def test_epochs_that_an_earlier_call_has_trained_are_not_left(session, monkeypatch):
    cells = cells_of(session)
    monkeypatch.setattr("study.execution.order.epochs_done", lambda run, store: 3 if run == cells["whole"].run else 0)
    order = order_of(list(cells.values()), session.store)
    assert (order.epochs_of(cells["whole"]), order.epochs_of(cells["short"])) == (1, 2)


def test_without_the_longer_run_or_where_runs_are_checked_one_by_one_nothing_waits(session):
    cells = cells_of(session)
    assert all_ready(order_of([cells["half"], cells["short"]], session.store)) == ["half", "short"]
    alone = order_of([cells["half"], cells["whole"]], session.store, is_shared=False)
    assert all_ready(alone) == ["half", "whole"] and alone.keep == {}


def test_seeds_wait_each_for_its_own(session):
    cells = [cell for cell in session.plan(seeds=(0, 1)).cells if cell.arm in ("half", "whole")]
    order = order_of(cells, session.store)
    assert all_ready(order) == ["whole", "whole"]
    order.end(next(cell for cell in cells if cell.arm == "whole" and cell.seed == 1))
    assert order.is_ready() and order.take().seed == 1 and not order.is_ready()


@pytest.mark.slow
def test_a_study_trains_the_longer_run_alone_and_leaves_what_single_trainings_leave(session, untold, trained, capsys):
    executor, cells = Inline(session), session.plan(seeds=(0,)).cells
    with Runner(session, open_executor=lambda asked: executor) as runner:
        assert runner.finish(cells)
    by_arm, ran = cells_of(session), [digest for digest, _ in executor.ran]
    assert ran.index(by_arm["whole"].run.digest) < ran.index(by_arm["half"].run.digest)
    result = {arm: session.store.result(cell.run) for arm, cell in by_arm.items()}
    assert result["half"]["images_per_second"] == result["whole"]["images_per_second"][:2]  # measured once, in one training
    assert result["half"]["history"] == result["whole"]["history"][:2]
    with run_afresh(cells, session) as fresh:
        own = fresh.result(by_arm["half"].run)
    assert own["images_per_second"] != result["half"]["images_per_second"]
    differing = {key for key in own if own[key] != result["half"][key]} - {"images_per_second", "joules"}
    assert differing == set()


def test_a_dry_run_counts_the_beginning_of_a_run_as_trained_with_it(halves, command, monkeypatch):
    monkeypatch.setattr("study.execution.dry_run.seconds_per_step", lambda config, dataset, device: 10.0)
    status, said, _ = command(ablate.main, "--study", "halves", "--dry-run")
    assert status == 0
    assert "half: 1 run, 1 to run, trained with whole\n" in said
    assert "whole: 1 run, 1 to run, 88 s\n" in said and "short: 1 run, 1 to run, 44 s\n" in said
    assert "in all about 132 s" in said or "in all about 2 min" in said
    _, said, _ = command(ablate.main, "--study", "halves", "--dry-run", "--arm", "half")
    assert "half: 1 run, 1 to run, 44 s\n" in said


# ---- across studies


@pytest.fixture
def of_the_paper(halves, monkeypatch):
    """The study is one that the source paper's page is made from."""
    halves.set({"source_paper.studies": ["halves"]})
    monkeypatch.setattr(stops, "load_study", lambda name: load_study(name, folder=halves.studies))
    return halves


def test_a_run_of_another_study_that_has_the_longer_runs_settings_keeps_the_checkpoint(of_the_paper, tiny_config):
    config = sessions.load_config()
    early = early_stops(config)
    assert [one.stop_after for one in early] == [2]
    whole = config.with_settings({"pretrain.epochs": 4, "pretrain.seed": 7}).pretrain
    assert stops_within(whole, early) == (2,)
    for other in ({"pretrain.nu": 2}, {"pretrain.epochs": 3}, {"pretrain.stop_after": 2}, {"pretrain.stop_after": 1}):
        assert stops_within(config.with_settings({"pretrain.epochs": 4, **other}).pretrain, early) == ()


def test_a_study_of_the_paper_that_cannot_be_run_keeps_nothing(of_the_paper):
    path = of_the_paper.studies / "halves.yaml"
    path.write_text(HALVES.replace("stop_after: 2", "stop_after: 9"), encoding="utf-8")
    assert early_stops(sessions.load_config()) == ()


@pytest.mark.slow
def test_a_baseline_that_another_study_trains_first_trains_its_beginning_too(of_the_paper, inline, untold, trained, command):
    of_the_paper.set({"pretrain.epochs": 4})
    assert command(ablate.main, "--study", "tiny")[0] == 0
    before = len(trained())
    assert command(ablate.main, "--study", "halves")[0] == 0
    plan = open_session(Request(study="halves")).plan()
    half = next(cell.run.digest for cell in plan.cells if cell.arm == "half")
    begun = [digest for digest, _ in trained()[before:]]
    assert half in begun and len(begun) == 2  # it is opened, and short is trained; whole and the control were there
    result = of_the_paper.store.result(next(cell.run for cell in plan.cells if cell.arm == "half"))
    whole = of_the_paper.store.result(next(cell.run for cell in plan.cells if cell.arm == "whole"))
    assert result["images_per_second"] == whole["images_per_second"][:2]
