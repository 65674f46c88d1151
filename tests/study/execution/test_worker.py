"""A worker executes a job and tells what became of it, whatever that is."""

import pytest
import torch

from study.execution import worker
from study.execution.job import Job
from study.execution.worker import work
from study.runs.run import make_run
from study.runs.store import Store
from vicreg.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def told(tiny_config, digits, store):
    """`told(settings)`: the events of a job whose run has these settings."""

    def run(settings=None, **changes):
        config = tiny_config({"pretrain.epochs": 2, "pretrain.batch_size": 80} | (settings or {}))
        asked = make_run(config, data=digits.digest, device=CPU, probes=("knn",))
        line = Job(run=asked, prune_after=None).to_json()
        for old, new in changes.items():
            assert old in line
            line = line.replace(old, new)
        events = []
        work(line, store=store, dataset=digits, device=CPU, emit=events.append)
        return asked, events

    return run


def test_each_epoch_is_told_and_then_the_end(told, store):
    run, events = told()
    assert [event["event"] for event in events] == ["epoch", "epoch", "end"]
    assert [event["record"]["epoch"] for event in events[:2]] == [1, 2] and events[2]["status"] == "finished"
    assert store.status(run) == ("finished", None)


def test_input_that_cannot_be_worked_with_fails_the_run_in_its_sentence(told):
    _, events = told({"pretrain.batch_size": 4000})
    assert [(event["event"], event["status"]) for event in events] == [("end", "failed")]
    assert events[0]["reason"].startswith("pretrain.batch_size must not exceed the number of training images")


def test_a_job_that_no_run_can_have_fails_as_well(told):
    _, (event,) = told(resnet18="resnet19")
    assert (event["event"], event["status"]) == ("end", "failed") and "pretrain.backbone must be one of" in event["reason"]


def test_a_defect_fails_the_run_and_its_traceback_is_kept_beside_it(told, store, monkeypatch):
    def defect(*_, **__):
        raise ZeroDivisionError("by zero\nin detail")

    monkeypatch.setattr(worker, "execute", defect)
    run, events = told()
    assert events == [{"event": "end", "status": "failed", "reason": "ZeroDivisionError: by zero"}]
    assert "in defect" in (store.folder(run.digest) / "error.txt").read_text()


@pytest.mark.parametrize("error", [InputError("It cannot be."), ValueError("It cannot be.")])
def test_after_a_run_that_failed_the_next_one_is_executed(told, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(worker, "execute", refuse)
        assert told()[1][-1]["status"] == "failed"
    assert told()[1][-1]["status"] == "finished"
