"""Runs are planned with the machinery of the workers, which must be one; each GPU of this host has its own workers."""

import json

import pytest
import torch

from study.execution import session as sessions
from study.execution.gpus import device_environments, gpu_environments
from study.execution.machine import describe_host, recorded_machine, workers_machine
from study.execution.request import Request
from study.execution.session import open_session
from study.runs.identity import machinery
from study.runs.store import Store
from vicreg.errors import InputError

CPU = torch.device("cpu")


def report(host, *, gpu=None, torch_version="2.13.0"):
    """What a worker says: its versions, and its GPU where it has one."""
    kinds = {"cpu": "cpu (AVX512)"} | ({"cuda": f"cuda ({gpu})"} if gpu else {})
    below = {kind: {"torch": torch_version, "device": device} for kind, device in kinds.items()}
    return {"host": host, "machinery": {kind: {"float32": one, "bfloat16": one} for kind, one in below.items()}}


def test_a_host_says_of_itself_what_a_run_that_is_made_there_has():
    below = describe_host()["machinery"]
    assert below["cpu"] == {one: machinery(CPU, precision=one) for one in ("float32", "bfloat16")}
    assert ("cuda" in below) == torch.cuda.is_available()


def test_auto_is_a_gpu_where_the_workers_have_one_whatever_this_host_has():
    machine = workers_machine([report("a", gpu="H200"), report("b", gpu="H200")], "auto")
    assert machine.device.type == "cuda" and machine.machinery["float32"]["device"] == "cuda (H200)"
    assert workers_machine([report("a", gpu="H200"), report("b")], "cpu").device == CPU


@pytest.mark.parametrize(
    ("reports", "device", "sentence"),
    [
        ([report("a", gpu="H200"), report("b", gpu="A100")], "auto",
         "workers must have one device, but it is cuda (H200) on host a and cuda (A100) on host b"),
        ([report("a"), report("b", torch_version="2.12.0")], "cpu",
         "workers must have one torch, but it is 2.13.0 on host a and 2.12.0 on host b"),
        ([report("a", gpu="H200"), report("b")], "auto",
         "every worker must have a GPU that torch can use, but host b has none"),
        ([report("a")], "cuda", "but host a has none"),
    ],
)  # fmt: skip
def test_workers_that_disagree_are_refused_in_one_sentence(reports, device, sentence):
    with pytest.raises(InputError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        workers_machine(reports, device)


@pytest.mark.parametrize("settings", [{}, {"precision": "float8"}])
def test_an_identity_without_a_known_precision_does_not_stop_questions_about_other_runs(tmp_path, settings):
    below = {"torch": "9.1", "device": "cpu (AVX2)"}
    whole = {"settings": {"precision": "float32"}, "data": "d", "code": "c", "machinery": below, "definitions": {}}
    damaged = ({**whole, "settings": settings}, {**whole, "machinery": {"torch": "9.1"}})
    for name, identity in (("a", whole), ("b", damaged[0]), ("c", damaged[1])):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "identity.json").write_text(json.dumps(identity))
    assert recorded_machine(Store(tmp_path), "AVX2").machinery["float32"] == below


def test_a_study_is_planned_with_the_machinery_of_the_workers_that_its_request_names(project, monkeypatch):
    there = [report("a", gpu="H200", torch_version="3.0")]
    monkeypatch.setattr(sessions, "ask_workers", lambda address: there if address == "tcp://far:1" else [])
    project.set({"ablate.device": "auto"})
    opened = open_session(Request(study="tiny", store=project.store.root, executor="tcp://far:1"))
    assert opened.device.type == "cuda"
    assert {cell.run.identity.machinery["device"] for cell in opened.plan().cells} == {"cuda (H200)"}
    assert {cell.run.identity.machinery["torch"] for cell in opened.plan().cells} == {"3.0"}
    assert opened.own_device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("names", "visible", "expected"),
    [
        (["H200", "H200"], None, ["0", "1"]),
        (["H200", "H200"], "3,1", ["3", "1"]),
        (["H200"], "GPU-1f,GPU-2e", ["GPU-1f"]),
        (["H200", "T4", "H200"], "", ["0", "2"]),  # on a T4 it would be another run
    ],
)
def test_a_worker_sees_one_gpu_and_every_gpu_like_the_first_has_workers(names, visible, expected):
    assert [one["CUDA_VISIBLE_DEVICES"] for one in gpu_environments(names, visible)] == expected


@pytest.mark.parametrize(
    ("names", "each", "expected"),
    [(["H200"] * 5, 2, ["0,1", "2,3"]), (["H200", "T4", "H200"], 2, ["0,2"]), (["H200"] * 2, 4, ["0,1"])],
)
def test_a_worker_sees_as_many_gpus_as_processes_train_a_run(names, each, expected):
    assert [one["CUDA_VISIBLE_DEVICES"] for one in gpu_environments(names, None, each=each)] == expected


def test_without_a_gpu_a_worker_has_the_environment_of_its_parent():
    assert device_environments(CPU) == [{}]


def test_on_a_server_with_several_gpus_each_is_given_as_many_runs_as_one_holds(project, monkeypatch):
    """The GPUs are made up."""
    monkeypatch.setattr(sessions, "choose_workers", lambda *_, **__: 3)
    monkeypatch.setattr(sessions, "device_environments", lambda device, *, each: [{}] * (4 // each))
    project.set({"ablate.workers": None})
    assert open_session(Request(study="tiny", store=project.store.root)).workers == 12
    assert open_session(Request(study="tiny", store=project.store.root, workers=2)).workers == 2


def test_runs_that_several_gpus_train_are_as_many_as_there_are_groups_of_gpus(project, monkeypatch):
    """The GPUs are made up."""
    monkeypatch.setattr(sessions, "device_environments", lambda device, *, each: [{}] * (8 // each))
    monkeypatch.setattr(sessions, "choose_device", lambda name: torch.device("cuda"))
    project.set({"ablate.workers": None, "pretrain.processes": 4})
    opened = open_session(Request(study="tiny", store=project.store.root))
    assert (opened.devices_each, opened.workers) == (4, 2)
