"""Two hosts without a lock between them run one run into one store: the results of one of both are kept whole."""

import hashlib
import json
import multiprocessing
import os
import platform
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from study.runs import execute as executing
from study.runs import workspace
from study.runs.execute import execute
from study.runs.run import make_run
from study.runs.store import Store
from vicreg.training.checkpoint import load_weights

CPU = torch.device("cpu")
SETTINGS = {"pretrain.epochs": 2, "pretrain.batch_size": 80, "pretrain.checkpoint_share": 1.0}
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def run(tiny_config, digits):
    return make_run(tiny_config(SETTINGS), data=digits.digest, device=CPU, probes=("knn",))


class Host:
    """A process that takes itself for another host, on a file system whose locks fail or hold on one host alone."""

    def __init__(self, name, store, run, digits, meet, *, wrong=False):
        self.name, self.errors = name, store.root.parent / f"{name}.txt"
        self.process = FORK.Process(target=self._execute, args=(store, run, digits, meet, wrong))
        self.process.start()

    def _execute(self, store, run, digits, meet, wrong):
        sys.stderr = open(self.errors, "w", encoding="utf-8", buffering=1)
        torch.set_num_threads(1)
        platform.node = lambda: self.name
        workspace._BOOT = Path("/nonexistent")
        Store.lock = lambda *_, **__: nullcontext(True)

        def on_epoch(record):
            if wrong:
                record["total"] += 1.0  # as no equal machine computes it
            meet.wait()  # both are in the middle of the run, after each epoch

        status = execute(run, store=store, dataset=digits, device=CPU, on_epoch=on_epoch)
        os._exit(0 if status == "finished" else 1)

    def ended(self):
        self.process.join(120)
        return self.process.exitcode


def is_whole(store, run):
    """Whether weights, log and ending are of one host, by their digests."""
    ended = json.loads((store.folder(run.digest) / "status.json").read_bytes())
    weights = hashlib.sha256(store.weights_path(run.digest).read_bytes()).hexdigest()
    return store.status(run) == ("finished", None) and ended["weights"] == weights and store.are_weights_whole(run.digest)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [False, True])
def test_both_end_well_and_what_is_kept_is_whole(tmp_path, run, digits, wrong):
    store, alone, meet = Store(tmp_path / "store"), Store(tmp_path / "alone"), FORK.Barrier(2, timeout=120)
    hosts = [Host("node1", store, run, digits, meet), Host("node2", store, run, digits, meet, wrong=wrong)]
    assert [host.ended() for host in hosts] == [0, 0], [host.errors.read_text() for host in hosts]
    assert is_whole(store, run)
    assert execute(run, store=alone, dataset=digits, device=CPU) == "finished"
    one, two = (load_weights(where.weights_path(run.digest)) for where in (store, alone))
    assert all(torch.equal(one[name], two[name]) for name in two)
    if not wrong:
        assert store.result(run)["history"] == alone.result(run)["history"]
    left = sorted(path.name for path in store.folder(run.digest).iterdir())
    assert [name for name in left if "tmp" in name or "checkpoint" in name or "attempt" in name] == []
    said = "".join(host.errors.read_text() for host in hosts)
    assert said.count("was computed twice, here and by another command") <= 1
    if said:
        assert ("with the same log" in said) == (not wrong)


def test_another_host_may_end_before_this_one_has_published_its_weights(tmp_path, run, digits, monkeypatch):
    store, write = Store(tmp_path / "store"), executing.save_weights

    def write_first(path, model):
        write(path, model)
        workspace.clear_workspaces(store.folder(run.digest))  # as the other host does at its end

    monkeypatch.setattr(executing, "save_weights", write_first)
    monkeypatch.setattr(Store, "lock", lambda *_, **__: nullcontext(False))  # so it trains in an attempt of its own
    assert execute(run, store=store, dataset=digits, device=CPU) == "finished" and is_whole(store, run)


def test_a_run_that_another_host_finished_meanwhile_is_kept_and_said(tmp_path, run, digits, monkeypatch, capsys):
    store, other, kept = Store(tmp_path / "store"), Store(tmp_path / "other"), {}

    def finish_elsewhere(record):
        if record["epoch"] == 2:
            for name in ("history.json", "model.safetensors", "status.json"):
                kept[name] = (other.folder(run.digest) / name).read_bytes()
                (store.folder(run.digest) / name).write_bytes(kept[name])

    assert execute(run, store=other, dataset=digits, device=CPU) == "finished"
    assert execute(run, store=store, dataset=digits, device=CPU, on_epoch=finish_elsewhere) == "finished"
    assert all((store.folder(run.digest) / name).read_bytes() == content for name, content in kept.items())
    said = f"note: run {run.digest} was computed twice, here and by another command, with the same log; the first is kept.\n"
    assert capsys.readouterr().err == said and is_whole(store, run)
