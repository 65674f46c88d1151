"""An executor on any engine tells each epoch once, by the store, and then the end."""

import pytest
import torch

from study.execution.executors import engine as engines
from study.execution.executors.engine import EngineExecutor
from study.execution.job import run_job
from study.runs.execute import execute
from study.runs.run import make_run
from study.runs.store import Store
from vicreg.data.cache import save_dataset
from vicreg.errors import InputError

CPU = torch.device("cpu")


class Inline:
    """An engine that executes a job, or answers otherwise, at the moment that it is sent."""

    def __init__(self, answer=run_job) -> None:
        self.answer, self.sent, self.size = answer, [], 2

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        pass

    def send(self, job, answer) -> None:
        self.sent.append(job)
        answer(self.answer(job))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def run(tiny_config, digits):
    return make_run(
        tiny_config({"pretrain.epochs": 4, "pretrain.batch_size": 80}), data=digits.digest, device=CPU, probes=("knn",)
    )


@pytest.fixture
def told(tmp_path, digits, store):
    """`told(engine, run)`: what an executor on this engine tells of a run: numbers of epochs, then status and reason."""
    save_dataset(digits, tmp_path / "data")

    def tell(engine, *runs, settles=0.0):
        executor = EngineExecutor(engine, data=tmp_path / "data", store=store, device="cpu", settles=settles)
        with executor:
            for run in runs:
                executor.submit(run)
            assert executor.free == 2 - len(runs) and list(executor.active) == list(runs)
            events = list(executor.events())
            assert executor.free == 2 and not executor.active
        return [one.record["epoch"] if one.kind == "epoch" else (one.status, one.reason) for one in events]

    return tell


def stop_at(epoch):
    def stop(record):
        if record["epoch"] == epoch:
            raise KeyboardInterrupt

    return stop


def test_every_epoch_is_told_and_then_the_end_which_the_store_holds(told, run, store):
    assert told(Inline(), run) == [1, 2, 3, 4, ("finished", None)]
    assert store.status(run) == ("finished", None)


def test_epochs_of_an_earlier_process_are_not_told_again(told, run, store, digits):
    with pytest.raises(KeyboardInterrupt):
        execute(run, store=store, dataset=digits, device=CPU, on_epoch=stop_at(2))
    assert told(Inline(), run) == [3, 4, ("finished", None)]


def test_no_epoch_is_told_of_a_run_that_is_only_measured(told, run, store, digits):
    execute(run, store=store, dataset=digits, device=CPU)
    store.evaluation_path(run).unlink()
    assert told(Inline(), run) == [("finished", None)]


def test_a_run_that_was_killed_is_recorded_with_the_epochs_of_its_checkpoint_told(told, run, store, digits):
    def die(job):
        with pytest.raises(KeyboardInterrupt):
            execute(run, store=store, dataset=digits, device=CPU, on_epoch=stop_at(3))
        return {"status": "killed", "reason": "it died"}

    assert told(Inline(die), run) == [1, 2, 3, ("killed", "it died")]
    assert store.status(run) == ("killed", "it died")


def test_a_worker_that_writes_into_another_store_is_found_out(told, run, store):
    elsewhere = Inline(lambda job: {"status": "finished", "reason": None, "host": "far"})
    ((status, answer),) = told(elsewhere, run)
    assert (
        status == "failed"
        and answer.startswith("host far says that it is finished, but ")
        and answer.endswith("give all hosts one store")
    )
    assert store.status(run)[0] == "failed"


def test_what_a_worker_wrote_may_show_later(told, run, store, digits):
    """As a network file system does that keeps what it knew for a while."""
    looks = []

    class Late(Store):
        def status(self, run):
            looks.append(run)
            return super().status(run) if len(looks) > 3 else ("missing", None)

    executor = EngineExecutor(Inline(), data=store.root.parent / "data", store=Late(store.root), device="cpu", look=0.01)
    with executor:
        executor.submit(run)
        assert [one.status for one in executor.events()][-1] == "finished"
    assert len(looks) > 3


def test_a_lost_connection_ends_the_command_and_says_nothing_of_the_run(told, run, store):
    lost = {"status": "killed", "reason": "the connection was lost.", "connection_lost": True}
    with pytest.raises(InputError, match="the connection was lost"):
        told(Inline(lambda job: lost), run)
    assert store.status(run) == ("missing", None)


def test_a_checkpoint_that_its_worker_removes_while_it_is_read_ends_nothing(told, run, store, monkeypatch):
    gone = store.folder(run.digest) / "checkpoint-00002"
    monkeypatch.setattr(engines, "furthest_checkpoint", lambda folder: gone)
    killed = {"status": "killed", "reason": "its process died."}
    assert told(Inline(lambda job: killed), run) == [("killed", "its process died.")]
