"""How many runs a device is given at a time."""

import os
from types import SimpleNamespace

import pytest
import torch

from study.execution import packing
from study.execution.packing import GAIN, best_number, choose_workers, pace
from study.runs.store import Store
from vicreg.data.cache import save_dataset
from vicreg.errors import InputError

CPU = torch.device("cpu")


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


@pytest.fixture
def asked(tiny_config, digits, tmp_path):
    def ask(settings=None) -> int:
        return choose_workers(
            tiny_config(settings), digits, data=tmp_path / "data", store=Store(tmp_path / "store"), device=CPU
        )

    return ask


@pytest.mark.parametrize(("cores", "threads", "workers"), [(8, 1, 8), (8, 2, 4), (8, 3, 2), (2, 2, 1), (1, 2, 1), (1, 1, 1)])
def test_a_cpu_is_given_as_many_runs_as_its_cores_hold(asked, monkeypatch, cores, threads, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(cores))
    monkeypatch.setattr(packing, "fitting_in_memory", lambda config, dataset: 100)
    assert asked({"pretrain.threads": threads}) == workers


def test_a_cpu_is_given_no_more_runs_than_its_memory_holds(asked, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(8))
    peak = 1024 * packing.resource.getrusage(packing.resource.RUSAGE_SELF).ru_maxrss
    for free, least, most in ((2**50, 8, 8), (6 * peak, 2, 4), (peak // 2, 1, 1)):
        monkeypatch.setattr(packing.psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free))
        assert least <= asked() <= most


def test_the_number_for_a_gpu_is_measured_once_and_remembered(tiny_config, digits, tmp_path, monkeypatch):
    calls = []

    def timed(config, *, number, data, device):
        calls.append(number)
        return measured({1: 1.0, 2: 2.0, 4: 2.1})(number)

    monkeypatch.setattr(packing, "pace", timed)
    monkeypatch.setattr(packing, "machinery", lambda device, *, precision: {"device": str(device), "precision": precision})
    gpu = torch.device("cuda")
    ask = lambda settings: choose_workers(  # noqa: E731
        tiny_config(settings), digits, data=tmp_path, store=Store(tmp_path), device=gpu
    )
    assert ask({}) == 2 and calls == [1, 2, 4]
    assert ask({}) == 2 and calls == [1, 2, 4]
    assert ask({"pretrain.width": 8}) == 2 and calls == [1, 2, 4] * 2


@pytest.mark.slow
def test_processes_train_side_by_side_and_report_their_pace_and_memory(tiny_config, digits, tmp_path):
    save_dataset(digits, tmp_path)
    found = pace(tiny_config(), number=2, data=tmp_path, device=CPU, seconds=0.1)
    assert found["images_per_second"] > 0 and 0 < found["memory_share"] < 1


@pytest.mark.slow
def test_a_process_that_fails_is_one_sentence(tiny_config, tmp_path):
    with pytest.raises(InputError, match="1 runs side by side could not be timed on cpu .*; give --workers"):
        pace(tiny_config(), number=1, data=tmp_path / "nothing", device=CPU, seconds=0.1)
