"""How many runs a device is given at a time."""

import io
import json
import os
from types import SimpleNamespace

import pytest
import torch

from study.execution import packing
from study.execution.packing import GAIN, best_number, choose_workers, cost_of, pace
from study.runs.store import Store
from vicreg.data.cache import save_dataset
from vicreg.errors import InputError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def measured(paces: dict[int, float], *, share: float = 0.01):
    return lambda number: {"images_per_second": paces[number], "memory_share": share * number}


def test_the_number_is_doubled_while_that_pays():
    found = best_number(measured({1: 100.0, 2: 190.0, 4: 300.0, 8: 300.0 * GAIN - 1, 16: 1e9}), most=16)
    assert found == {"workers": 4, "measured": {"1": 100.0, "2": 190.0, "4": 300.0, "8": 300.0 * GAIN - 1}}


def test_one_run_at_a_time_where_two_disturb_each_other():
    assert best_number(measured({1: 100.0, 2: 104.0}), most=16)["workers"] == 1


def test_the_most_is_not_exceeded():
    assert best_number(measured({1: 1.0, 2: 2.0, 4: 4.0}), most=4)["workers"] == 4


def test_a_number_whose_memory_would_not_suffice_is_not_tried():
    tried = best_number(measured({1: 1.0, 2: 2.0, 4: 4.0}, share=0.3), most=16)
    assert tried["workers"] == 2 and set(tried["measured"]) == {"1", "2"}


def test_a_number_of_processes_that_fails_does_not_fit():
    def measure(number):
        if number == 4:
            raise InputError("no memory")
        return {"images_per_second": 100.0 * number, "memory_share": 0.01}

    assert best_number(measure, most=16)["workers"] == 2


@pytest.fixture
def timed(monkeypatch):
    """The config and the number of processes of each measurement; nothing is measured."""
    calls = []

    def pace(config, *, number, data, device, steps=8, seconds=4.0):
        calls.append((config, number))
        return {**measured({1: 1.0, 2: 2.0, 4: 2.1})(number), "bytes": 2**20}

    monkeypatch.setattr(packing, "pace", pace)
    monkeypatch.setattr(packing, "machinery", lambda device, *, precision: {"device": str(device), "precision": precision})
    return calls


@pytest.fixture
def asked(tiny_config, digits, tmp_path):
    def ask(*settings, device=CPU) -> int:
        configs = [tiny_config(one) for one in settings or ({},)]
        return choose_workers(configs, digits, data=tmp_path / "data", store=Store(tmp_path / "store"), device=device)

    return ask


@pytest.mark.parametrize(("cores", "threads", "workers"), [(8, 1, 8), (8, 2, 4), (8, 3, 2), (2, 2, 1), (1, 2, 1), (1, 1, 1)])
def test_a_cpu_is_given_as_many_runs_as_its_cores_hold(asked, timed, monkeypatch, cores, threads, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores))
    assert asked({"pretrain.threads": threads}) == workers
    assert len(timed) == (workers > 1)


@pytest.mark.parametrize(("free", "workers"), [(2**50, 8), (4 * 2**20, 3), (2**20, 1), (0, 1)])
def test_a_cpu_is_given_no_more_runs_than_its_memory_holds(asked, timed, monkeypatch, free, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8))
    monkeypatch.setattr(packing.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    assert asked() == workers


def numbers(calls):
    return [number for _, number in calls]


@pytest.mark.parametrize("device", [CPU, GPU])
def test_what_runs_of_one_cost_take_is_measured_once_and_kept(asked, timed, tmp_path, monkeypatch, device):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    once = [1] if device == CPU else [1, 2, 4]
    assert asked(device=device) == 2 and numbers(timed) == once
    for same in ({}, {"pretrain.nu": 3}, {"pretrain.base_lr": 1e6}, {"pretrain.seed": 4}, {"pretrain.epochs": 2}):
        assert asked(same, device=device) == 2 and numbers(timed) == once
    assert asked({"pretrain.width": 8}, device=device) == 2 and numbers(timed) == once * 2
    monkeypatch.setattr(packing.platform, "node", lambda: "another machine")
    assert asked(device=device) == 2 and numbers(timed) == once * 3
    kept = json.loads((tmp_path / "store" / "packing.json").read_bytes())
    assert len(kept) == 3 and sum("another machine" in key for key in kept) == 1


def test_of_a_studys_arms_the_costliest_is_measured(asked, timed, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    arms = [{}, {"pretrain.epochs": 0, "pretrain.width": 64}, {"pretrain.width": 16}, {"pretrain.batch_size": 40}]
    assert asked(*arms) == 2
    ((config, _),) = timed
    assert config.pretrain.width == 16


@pytest.mark.parametrize(("device", "workers"), [(CPU, 2), (GPU, 1)])
def test_nothing_is_measured_where_nothing_is_trained(asked, timed, monkeypatch, device, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    assert asked({"pretrain.epochs": 0}, device=device) == workers and timed == []


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b'{"torn": ', b'{"a": 3}'])
def test_a_damaged_record_of_measurements_is_made_again(asked, timed, tmp_path, monkeypatch, content):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "packing.json").write_bytes(content)
    assert asked() == asked() == 2 and len(timed) == 1


@pytest.mark.parametrize("device", [CPU, GPU])
def test_a_run_that_cannot_be_timed_gets_the_device_alone_and_is_timed_again(asked, monkeypatch, tmp_path, device):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    monkeypatch.setattr(packing, "machinery", lambda device, *, precision: {"device": str(device)})

    def pace(*_, **__):
        raise InputError("1 runs side by side could not be timed")

    monkeypatch.setattr(packing, "pace", pace)
    assert asked(device=device) == 1 and not (tmp_path / "store" / "packing.json").exists()


DIVERGING = {"pretrain.base_lr": 1e6, "pretrain.warmup_epochs": 0}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_settings_that_diverge_are_timed_like_any_others(asked, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(2))
    save_dataset(digits, tmp_path / "data")
    assert asked({"pretrain.nu": 1e300}) == 2
    assert (tmp_path / "store" / "packing.json").exists()


@pytest.mark.slow
def test_processes_train_side_by_side_and_report_their_pace_and_memory_though_they_diverge(tiny_config, digits, tmp_path):
    save_dataset(digits, tmp_path)
    found = pace(tiny_config(DIVERGING), number=2, data=tmp_path, device=CPU, seconds=0.1)
    assert found["images_per_second"] > 0 and 0 < found["memory_share"] < 1


def test_what_processes_reach_and_take_is_added_up(tiny_config, tmp_path, monkeypatch):
    reports = [
        {"images_per_second": 100.0, "memory_share": 0.25, "bytes": 1000},
        {"images_per_second": 30.0, "memory_share": 0.125, "bytes": 500},
    ]
    children = []

    class Child:
        returncode = 0

        def __init__(self, command, **_):
            self.report = json.dumps(reports[len(children)])
            self.stdin, self.stdout = io.StringIO(), io.StringIO("ready\n")
            children.append(self)

        def communicate(self):
            return f"{self.report}\n", ""

        def kill(self):
            pass

    monkeypatch.setattr(packing, "subprocess", SimpleNamespace(Popen=Child, PIPE=None))
    found = pace(tiny_config(), number=2, data=tmp_path, device=CPU)
    assert found == {"images_per_second": 130.0, "memory_share": 0.375, "bytes": 1500}
    assert [child.stdin.getvalue().splitlines()[-1] for child in children] == ["go", "go"]


@pytest.mark.slow
def test_a_process_that_fails_is_one_sentence(tiny_config, tmp_path):
    with pytest.raises(
        InputError, match="1 runs side by side could not be timed on cpu .*; set ablate.workers, or give --workers"
    ):
        pace(tiny_config(), number=1, data=tmp_path / "nothing", device=CPU, seconds=0.1)


def test_runs_that_several_processes_train_take_the_cores_of_all_and_several_gpus_for_themselves(
    digits, tiny_config, tmp_path, timed, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    configs = [tiny_config({"pretrain.processes": 2, "pretrain.threads": 2, "pretrain.batch_size": 80})]
    given = {"data": tmp_path, "store": Store(tmp_path / "store")}
    assert choose_workers(configs, digits, device=CPU, **given) == 2
    assert choose_workers(configs, digits, device=GPU, **given) == 1
    assert [number for _, number in timed] == [1]


def test_a_methods_own_counts_are_part_of_what_a_step_costs_and_its_weights_are_not(tiny_config):
    swav = {"pretrain.method": "swav"}
    views = [cost_of(tiny_config({**swav, "pretrain.local_views": count}).pretrain) for count in (0, 2)]
    assert views[0] != views[1]
    weights = [cost_of(tiny_config({"pretrain.nu": nu}).pretrain) for nu in (1, 2)]
    assert weights[0] == weights[1]
