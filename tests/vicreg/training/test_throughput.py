"""Steps are timed of any settings that a run can have, whatever would come out."""

from types import SimpleNamespace

import pytest
import torch

from vicreg.training import throughput
from vicreg.training.throughput import measure_throughput

pytestmark = pytest.mark.usefixtures("shallow")

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {"pretrain.base_lr": 1e6, "pretrain.warmup_epochs": 0},
        {"pretrain.optimizer": "sgd", "pretrain.base_lr": 1e30, "pretrain.start_lr": 1e30},
        {"pretrain.lambda": 1e300},  # the loss itself is infinite
        {"pretrain.epochs": 0},
        {"pretrain.epochs": 0, "pretrain.warmup_epochs": 7},
        {"pretrain.epochs": 1, "pretrain.warmup_epochs": 0.99},
        {"pretrain.stop_after": 1},
        {"pretrain.batch_size": 100, "pretrain.drop_last": False},
    ],
)
def test_steps_are_timed_where_a_run_would_diverge_or_train_nothing(tiny_config, digits, settings):
    called = []
    found = measure_throughput(
        tiny_config(settings).pretrain, digits, device=CPU, steps=1, before=lambda: called.append(None)
    )
    assert found > 0 and len(called) == 1


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 1), (4.0, 3), (4.5, 3)])
def test_images_a_second_are_those_of_the_steps_after_the_warm_up(tiny_config, digits, monkeypatch, seconds, rounds):
    clock, taken = SimpleNamespace(now=0.0), []

    def train_epoch(settings, dataset, step, images, *, device, epoch, steps):
        clock.now += 0.5 * steps if taken else 1000  # the first ones compile
        taken.append(steps)
        return None, step

    def wait():
        clock.now += 1000

    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(throughput, "train_epoch", train_epoch)
    settings = tiny_config({"pretrain.batch_size": 40}).pretrain
    found = measure_throughput(settings, digits, device=CPU, steps=3, seconds=seconds, before=wait)
    assert taken == [2] + [3] * rounds and found == 40 / 0.5
