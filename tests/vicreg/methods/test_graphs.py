"""Steps of every method captured as CUDA graphs: their state, random numbers, queues and freezing stay on the device."""

import copy

import pytest
import torch

from tests.vicreg.methods.helpers import batch_of
from tests.vicreg.training.steps import apart, differing, on_gpu, state
from vicreg.methods import method_names
from vicreg.methods.base import Method
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep

GPU = torch.device("cuda")
# Beside every method as it is: options with operations of their own, and prototypes that other optimisers freeze.
OPTIONS = {
    "simclr-joint": {"method": "simclr", "simclr.denominator": "n", "view_passes": "joint"},
    "dcl-weighted": {"method": "dcl", "dcl.weighting": "differentiated"},
    "mocov2-split": {"method": "mocov2", "mocov2.symmetric": False, "mocov2.batchnorm_splits": 4},
    "swav-lars": {"method": "swav", "optimizer": "lars"},
    "swav-adamw": {"method": "swav", "optimizer": "adamw"},
    "online_clustering-lars": {"method": "online_clustering", "optimizer": "lars"},
}
CASES = {**{name: {"method": name} for name in method_names()}, **OPTIONS}


def batch(method: Method, number: int, *, n: int = 16) -> list[torch.Tensor]:
    made = [one.to(GPU) for one in batch_of(method, n=n, seed=number)]
    return [one.to(memory_format=torch.channels_last) if one.ndim == 4 else one for one in made]


def unmoved(method: Method, start: Method) -> list[str]:
    """Return the names of the matrices that are what they were at the start, bit for bit."""
    before = dict(start.named_parameters())
    return [name for name, value in method.named_parameters() if value.ndim > 1 and torch.equal(value, before[name])]


@on_gpu
@pytest.mark.parametrize("name", CASES)
def test_a_graphed_step_is_the_eager_one_with_a_short_batch_between(tiny, digits, name):
    changes = {"optimizer": "sgd", "batch_size": 16, **CASES[name]}
    given = tiny(changes.pop("method"), **changes)
    steps = []
    for _ in range(2):
        set_deterministic(given)
        model = new_model(given, digits).to(device=GPU, memory_format=torch.channels_last)
        steps.append(TrainStep(given, model, make_optimizer(given, model), device=GPU))
        steps[-1].reset()
    eager, captured = steps
    untouched = copy.deepcopy(eager.model)
    initial = state(captured)
    graphed = GraphedStep(captured, *batch(captured.model, 100))
    now = state(captured)
    assert differing({name: now[name] for name in initial}, initial) == []  # capturing trains nothing
    for number, n in enumerate((16, 16, 16, 8, 16, 16)):
        for step in (eager, graphed):
            step(*batch(step.model, number, n=n), learning_rate=0.02, progress=number / 10)
        assert unmoved(captured.model, untouched) == unmoved(eager.model, untouched)  # what is frozen
    assert apart(captured.model, eager.model, since=untouched) < 0.01
    counters = {name: value for name, value in eager.model.named_buffers() if not value.is_floating_point()}
    assert all(torch.equal(captured.model.get_buffer(name), value) for name, value in counters.items())
