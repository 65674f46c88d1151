"""Steps on made-up batches, and how their states are compared."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.vicreg.training.runs import IDENTITY
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.loop import pretrain
from vicreg.training.settings import PretrainSettings
from vicreg.training.step import TrainStep

CPU = torch.device("cpu")
OPTIMIZERS = {"lars": 0.3, "sgd": 0.02, "adamw": 0.01}  # name -> the learning rate of a step
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def pair(number: int, *, n: int = 16, device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(number)
    view, view_prime = torch.randn(2, n, 1, 8, 8, generator=random).to(device)
    return view, (view + 0.3 * view_prime)


def take(step: TrainStep | GraphedStep, numbers: range, *, rate: float, device: torch.device = CPU) -> None:
    for number in numbers:
        step(*pair(number, device=device), learning_rate=rate / (number + 1))


def state(step: TrainStep) -> dict[str, Tensor]:
    """Copies of everything training depends on, by name: weights, statistics, the optimiser's buffers, the sums."""
    parameters = {parameter: name for name, parameter in step.model.named_parameters()}
    buffers = {
        f"{parameters[parameter]}/{name}": value
        for parameter, named in step.optimizer.state.items()
        for name, value in named.items()
        if isinstance(value, Tensor)
    }
    found = {**step.model.state_dict(), **buffers, "totals": step.totals}
    return {name: value.detach().clone() for name, value in found.items()}


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


def apart(first: nn.Module, second: nn.Module, *, since: nn.Module) -> float:
    """How far two models are from each other, as a share of how far the second has come from `since`: the larger of the
    share of their weights and that of their statistics."""
    shares = []
    for kind in (nn.Module.parameters, nn.Module.buffers):
        a, b, c = (
            torch.cat([value.detach().flatten().double().cpu() for value in kind(model) if value.is_floating_point()])
            for model in (first, second, since)
        )
        shares.append(((a - b).norm() / (b - c).norm()).item())
    return max(shares)


def whole_run(given: PretrainSettings, digits, folder: Path, *, device: torch.device = CPU, **named: Any):
    return pretrain(given, digits, device=device, folder=folder, identity=IDENTITY, **named)
