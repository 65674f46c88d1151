"""Steps and runs of tiny models, for the tests of training."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.vicreg.training.runs import IDENTITY
from tests.vicreg.training.steps import CPU
from vicreg.data.dataset import Dataset
from vicreg.training.loop import Pretrained, pretrain
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep


@pytest.fixture
def start(digits) -> Callable[..., TrainStep]:
    """`start(settings)`: a step of a new model, in training mode."""

    def build(given: PretrainSettings, *, device: torch.device = CPU) -> TrainStep:
        set_deterministic(given)
        model = new_model(given, digits).to(device=device, memory_format=torch.channels_last)
        step = TrainStep(given, model, make_optimizer(given, model), device=device)
        step.reset()
        return step

    return build


@pytest.fixture
def train(tmp_path, digits):
    """`train(settings)`: one run in a folder of its own, or in the one that is given."""
    count = iter(range(100))

    def run(given: PretrainSettings, *, folder: Path | None = None, dataset: Dataset = digits, **named) -> Pretrained:
        folder = folder or tmp_path / f"run-{next(count)}"
        return pretrain(given, dataset, device=torch.device("cpu"), folder=folder, identity=IDENTITY, **named)

    return run
