"""Steps of methods with a momentum target and a queue, captured as CUDA graphs."""

import copy

import pytest
import torch

from tests.vicreg.training.steps import apart, differing, on_gpu, pair, state
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep


@on_gpu
@pytest.mark.parametrize(
    "changes",
    [
        {"method": "byol"},
        {"method": "mocov2", "queue_length": 40},
        {"method": "mocov2", "queue_length": 40, "symmetric": False, "batchnorm_splits": 4},
        {"method": "mocov3"},
    ],
    ids=["byol", "mocov2", "mocov2-split", "mocov3"],
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
    initial = state(captured)
    graphed = GraphedStep(captured, *pair(100, device=gpu))
    now = state(captured)
    assert differing({name: now[name] for name in initial}, initial) == []
    for step in (eager, graphed):
        for number, n in enumerate((16, 16, 5, 16)):
            step(*pair(number, n=n, device=gpu), learning_rate=0.02, progress=number / 10)
    assert apart(captured.model, eager.model, since=untouched) < 0.01
    if changes["method"] == "mocov2":
        assert torch.equal(captured.model.pushed, eager.model.pushed) and set(eager.model.pushed.tolist()) == {53}
