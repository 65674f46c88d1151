"""What a study would cost is timed once for each kind of run."""

import pytest
import torch

from study.execution import dry_run
from study.execution.dry_run import Costs

CPU = torch.device("cpu")


@pytest.fixture
def timed(monkeypatch):
    """The configs that steps were timed of; each takes a second."""
    configs = []
    monkeypatch.setattr(dry_run, "seconds_per_step", lambda config, dataset, device: configs.append(config) or 1.0)
    return configs


def test_runs_that_differ_in_what_costs_nothing_are_timed_together(tiny_config, digits, timed):
    costs = Costs(digits, CPU)
    alike = [{}, {"pretrain.nu": 3}, {"pretrain.seed": 5}, {"pretrain.base_lr": 0.5}, {"pretrain.epochs": 4}]
    seconds = [costs.seconds(tiny_config(settings)) for settings in alike]
    assert len(timed) == 1 and seconds[0] == seconds[1] == seconds[2] == seconds[3]


@pytest.mark.parametrize(
    "settings",
    [{"pretrain.width": 8}, {"pretrain.batch_size": 40}, {"pretrain.optimizer": "sgd"}, {"pretrain.threads": 2}],
)
def test_runs_that_differ_in_what_decides_the_cost_are_timed_apart(tiny_config, digits, timed, settings):
    costs = Costs(digits, CPU)
    for config in (tiny_config(), tiny_config(settings), tiny_config(settings)):
        costs.seconds(config)
    assert len(timed) == 2


def test_twice_the_epochs_cost_twice_as_much_and_none_cost_nothing(tiny_config, digits, timed):
    costs = Costs(digits, CPU)
    two, four, none = (costs.seconds(tiny_config({"pretrain.epochs": n, "pretrain.warmup_epochs": 0})) for n in (2, 4, 0))
    assert four == pytest.approx(2 * two) and two > 0 and none == 0.0
