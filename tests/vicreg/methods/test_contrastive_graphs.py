"""Steps of contrastive methods without state, captured as CUDA graphs."""

import copy

import pytest
import torch

from tests.vicreg.training.steps import apart, on_gpu, pair
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep


@on_gpu
@pytest.mark.parametrize(
    "changes",
    [
        {"method": "simclr"},
        {"method": "simclr", "denominator": "n", "view_passes": "joint"},
        {"method": "dcl"},
        {"method": "dcl", "weighting": "differentiated"},
        {"method": "directclr", "d0": 0.5},
    ],
    ids=["simclr", "simclr-n-joint", "dcl", "dclw", "directclr"],
)
def test_a_graphed_step_is_the_eager_one_with_a_short_batch_between(settings, digits, changes):
    gpu, given = torch.device("cuda"), settings(optimizer="sgd", batch_size=16, **changes)
    steps = []
    for _ in range(2):
        set_deterministic(given)
        model = new_model(given, digits).to(device=gpu, memory_format=torch.channels_last)
        steps.append(TrainStep(given, model, make_optimizer(given, model), device=gpu))
        steps[-1].reset()
    eager, captured = steps
    untouched = copy.deepcopy(eager.model)
    graphed = GraphedStep(captured, *pair(100, device=gpu))
    for step in (eager, graphed):
        for number, n in enumerate((16, 16, 5, 16)):
            step(*pair(number, n=n, device=gpu), learning_rate=0.02, progress=number / 10)
    assert apart(captured.model, eager.model, since=untouched) < 0.01
