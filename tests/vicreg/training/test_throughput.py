"""Steps are timed of any settings that a run can have, whatever would come out."""

import pytest
import torch

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
