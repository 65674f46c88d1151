"""A job is a run of JSON values, which any process brings to its end, or refuses where it would be another run."""

import dataclasses
import json
import shutil

import pytest
import torch

from study.execution import job as jobs
from study.execution.job import make_job, run_job, run_of
from study.runs import identity
from study.runs.run import make_run
from study.runs.store import Store
from vicreg.data.cache import save_dataset
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path) -> Store:
    (tmp_path / "store").mkdir()
    return Store(tmp_path / "store")


@pytest.fixture
def data(tmp_path, digits):
    save_dataset(digits, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def planned(tiny_config, digits, store, data):
    """`planned(settings)`: a run with these settings, and its job."""

    def plan(settings=None, **named):
        config = tiny_config({"pretrain.epochs": 2, "pretrain.batch_size": 80} | (settings or {}))
        run = make_run(config, data=digits.digest, device=CPU, probes=("knn",), **named)
        return run, make_job(run, store=store, data=data, device="cpu")

    return plan


def test_a_run_made_of_its_job_is_the_run_that_was_planned(tiny_config, digits, store, data):
    config = tiny_config({"pretrain.nu": 3, "pretrain.augmentation.solarize": [0.0, 0.2], "evaluate.knn": [3]})
    views = tuple(dataclasses.replace(view, flip=0.0) for view in config.pretrain.views)
    run = make_run(config, data=digits.digest, device=CPU, probes=("knn", "linear"), views=views)
    job = make_job(run, store=store, data=data, device="cpu", prune_after=2)
    assert json.loads(json.dumps(job)) == job and job["prune_after"] == 2
    made = run_of(job, digits, CPU)
    assert made == run and (made.digest, made.evaluation) == (run.digest, run.evaluation)


def test_a_job_trains_and_measures_its_run_and_called_again_does_nothing(planned, store):
    run, job = planned()
    assert (answer := run_job(job))["status"] == "finished" and answer["reason"] is None and answer["host"]
    assert store.status(run) == ("finished", None)
    written = {path: path.stat().st_mtime_ns for path in store.folder(run.digest).iterdir() if path.name != "lock"}
    assert run_job(job) == answer
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_input_that_cannot_be_worked_with_fails_the_run_in_its_sentence(planned):
    answer = run_job(planned({"pretrain.batch_size": 4000})[1])
    assert answer["status"] == "failed"
    assert answer["reason"].startswith("pretrain.batch_size must not exceed the number of training images")


def test_a_job_that_no_run_can_have_fails_as_well(planned):
    _, job = planned()
    job["values"]["pretrain"]["backbone"] = "resnet19"
    answer = run_job(job)
    assert answer["status"] == "failed" and "pretrain.backbone must be one of" in answer["reason"]


@pytest.mark.parametrize("error", [InputError("It cannot be."), ValueError("It cannot be.\nIn detail.")])
def test_a_defect_fails_its_run_with_the_traceback_beside_it_and_the_next_run_is_executed(
    planned, store, monkeypatch, error
):
    def refuse(*_, **__):
        raise error

    run, job = planned()
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "execute", refuse)
        answer = run_job(job)
    kept = store.folder(run.digest) / "error.txt"
    if isinstance(error, InputError):
        assert (answer["status"], answer["reason"]) == ("failed", "It cannot be.") and not kept.exists()
    else:
        assert (answer["status"], answer["reason"]) == ("failed", "ValueError: It cannot be.")
        assert "in refuse" in kept.read_text()
    assert run_job(job)["status"] == "finished"


def test_a_host_with_other_versions_or_another_processor_refuses_and_says_which(planned, store, monkeypatch):
    run, job = planned()
    there = identity.machinery(CPU, precision="float32") | {"torch": "2.12.0", "device": "cpu (made up)"}
    monkeypatch.setattr(identity, "machinery", lambda *_, **__: there)
    answer = run_job(job)
    assert answer["status"] == "failed" and f"torch changed from {torch.__version__} to 2.12.0" in answer["reason"]
    assert "to cpu (made up)" in answer["reason"] and "it would be another run than was planned" in answer["reason"]
    assert not store.folder(run.digest).exists()


def test_a_host_with_other_code_refuses_and_says_where_it_differs(planned):
    _, job = planned()
    job["digest"] = job["identity"]["code"] = "another"
    job["identity"]["definitions"]["vicreg.methods.vicreg:vicreg_loss"] = "another"
    assert "(code changed in vicreg/methods/vicreg.py (vicreg_loss))" in run_job(job)["reason"]


def test_a_host_whose_code_measures_otherwise_refuses(planned):
    _, job = planned()
    job["evaluation"] = "another"
    assert "other code would measure the run than was planned" in run_job(job)["reason"]


def test_a_host_with_other_data_refuses_and_takes_the_right_ones_once_they_are_there(planned, digits, data):
    _, job = planned()
    right = data.with_name("right")
    shutil.copytree(data, right)
    mean, std = channel_statistics(digits.test.images)
    save_dataset(dataclasses.replace(digits, train=digits.test, test=digits.train, mean=mean, std=std), data)
    answer = run_job(job)
    assert answer["status"] == "failed" and "must have the digest" in answer["reason"]
    shutil.rmtree(data)
    assert "but it has no dataset.json" in run_job(job)["reason"]
    right.rename(data)
    assert run_job(job)["status"] == "finished"


def test_a_host_that_does_not_see_the_store_refuses_and_makes_none(planned, store):
    _, job = planned()
    store.root.rmdir()
    answer = run_job(job)
    assert answer["status"] == "failed" and "must see the store" in answer["reason"] and not store.root.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_run_that_is_planned_for_a_gpu_is_refused_where_there_is_none(planned):
    _, job = planned()
    assert "has none that torch can use" in run_job({**job, "device": "cuda"})["reason"]
