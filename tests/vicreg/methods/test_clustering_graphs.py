"""Steps of clustering methods, whose freezing and queues are decided on the device, captured as CUDA graphs."""

import copy

import pytest
import torch
from torch import Tensor

from tests.vicreg.methods.helpers import random_views
from tests.vicreg.training.steps import apart, differing, on_gpu, state
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep

GPU = torch.device("cuda")
RUNS = {
    "swav": {"method": "swav", "swav.prototypes": 10, "swav.queue_length": 40, "swav.queue_start": 0.2, "swav.freeze": 0.25},
    "swav-local": {
        "method": "swav",
        "swav.prototypes": 10,
        "swav.freeze": 0.25,
        "swav.local_views": 2,
        "swav.local_size": 4,
    },
    "online": {"method": "online_clustering", "online_clustering.clusters": 10, "online_clustering.bank_length": 40},
}


def batch(number: int, *, n: int, local: int) -> list[Tensor]:
    views = [*random_views(n=n, seed=number), *random_views(local, n=n, size=4, seed=100 + number)]
    return [view.to(GPU, memory_format=torch.channels_last) for view in views]


@on_gpu
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("optimizer", ["lars", "adamw"])
def test_a_graphed_step_is_the_eager_one_through_freezing_a_filling_queue_and_a_short_batch(
    settings, digits, name, optimizer
):
    given = settings(optimizer=optimizer, batch_size=16, expander=[16, 16], **RUNS[name])
    local = 2 if name == "swav-local" else 0
    steps = []
    for _ in range(2):
        set_deterministic(given)
        model = new_model(given, digits).to(device=GPU, memory_format=torch.channels_last)
        steps.append(TrainStep(given, model, make_optimizer(given, model), device=GPU))
        steps[-1].reset()
    eager, captured = steps
    untouched = copy.deepcopy(eager.model)
    initial = state(captured)
    graphed = GraphedStep(captured, *batch(100, n=16, local=local))
    now = state(captured)
    assert differing({name: now[name] for name in initial}, initial) == []
    for number, n in enumerate((16, 16, 16, 5, 16, 16)):
        for step in (eager, graphed):
            step(*batch(number, n=n, local=local), learning_rate=0.02, progress=number / 10)
        if name != "online":
            frozen = [torch.equal(step.model.prototypes.weight, untouched.prototypes.weight) for step in (eager, graphed)]
            assert frozen == [number < 3] * 2
    assert apart(captured.model, eager.model, since=untouched) < 0.01
    if name == "swav":
        assert captured.model.queued.tolist() == eager.model.queued.tolist() == [53, 53]
