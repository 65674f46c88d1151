"""Lines on runs in training, where there is no terminal to draw a table on: few, and with the time left."""

import io

import pytest
from rich.console import Console

from study.execution import progress as module
from study.execution.progress import LINE_EVERY_S, Progress
from study.execution.session import Request, open_session

RECORD = {"epoch": 3, "total": 24.1234, "embeddings": {"rankme": 41.26, "std_mean": 0.5}, "knn": 0.4567}


def first_cell(project):
    plan = open_session(Request(study="tiny", store=project.store.root)).plan(seeds=(0,))
    return next(cell for cell in plan.cells if cell.arm == "nu-1")


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def told(project, clock):
    """What is printed into a file about a run, and the run's cell."""
    cell = first_cell(project)
    output = io.StringIO()
    with Progress(name="tiny", total=1, done=0, epochs=97, workers=1, console=Console(file=output)) as progress:
        progress.started(cell)
        yield progress, cell, output


def test_a_run_in_training_has_a_line_after_ten_minutes_and_not_at_each_epoch(told, clock):
    progress, cell, output = told
    for _ in range(3):
        progress.epoch(cell, RECORD)
    assert output.getvalue() == ""
    clock[0] = LINE_EVERY_S
    progress.epoch(cell, RECORD)
    progress.epoch(cell, RECORD)
    assert output.getvalue() == (
        "ν 1, seed 0: epoch 3 of 3; loss 24.123, RankMe 41.3, std 0.500, k-NN 45.7 %; about 3.9 h left\n"
    )


def test_two_runs_in_step_have_a_line_each(told, clock, project):
    progress, cell, output = told
    plan = open_session(Request(study="tiny", store=project.store.root)).plan(seeds=(0,))
    other = next(one for one in plan.cells if one.arm == "nu-2")
    progress.started(other)
    clock[0] = LINE_EVERY_S + 5
    progress.epoch(cell, RECORD)
    clock[0] += 1
    progress.epoch(other, RECORD)
    assert [line.split(",")[0] for line in output.getvalue().splitlines()] == ["ν 1", "ν 2"]


def test_an_epoch_without_k_nn_has_none_in_its_line(told, clock):
    progress, cell, output = told
    clock[0] = LINE_EVERY_S
    progress.epoch(cell, {**RECORD, "knn": None})
    assert output.getvalue().startswith("ν 1, seed 0: epoch 3 of 3; loss 24.123, RankMe 41.3, std 0.500")
    assert "k-NN" not in output.getvalue()


def test_a_terminal_has_the_table_and_no_line(project, clock):
    cell = first_cell(project)
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    with Progress(name="tiny", total=1, done=0, epochs=97, workers=1, console=console) as progress:
        clock[0] = LINE_EVERY_S
        progress.epoch(cell, RECORD)
    assert "RankMe of embeddings" in output.getvalue() and "k-NN" not in output.getvalue()
