"""A training step captured once as a CUDA graph and replayed."""

from typing import Any

import torch
from torch import Tensor

from vicreg.methods.base import Method
from vicreg.training.step import TrainStep

_WARM_UP = 3  # steps before a capture, as torch's notes on CUDA graphs ask: libraries allocate and choose in the first ones


class GraphedStep:
    """The same step captured once as a CUDA graph and replayed: the same kernels, without the cost of launching each.

    A batch of another size than the captured one, the short last of an epoch, takes the eager step.
    """

    def __init__(self, step: TrainStep, *views: Tensor) -> None:
        self._step = step
        self._views = [view.clone(memory_format=torch.preserve_format) for view in views]
        before = snapshot(step)
        device = views[0].device
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                step.run(self._views)
        torch.cuda.current_stream(device).wait_stream(stream)
        step.optimizer.zero_grad(set_to_none=True)  # so that gradients are allocated in the graph's own memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            step.run(self._views)
        restore(step, before)

    @property
    def totals(self) -> Tensor:
        return self._step.totals

    @property
    def model(self) -> Method:
        return self._step.model

    def __call__(self, *views: Tensor, learning_rate: float, progress: float = 0.0) -> None:
        if views[0].shape != self._views[0].shape:
            self._step(*views, learning_rate=learning_rate, progress=progress)
            return
        self._step.set_course(learning_rate=learning_rate, progress=progress)
        for captured, view in zip(self._views, views, strict=True):
            captured.copy_(view)
        self._graph.replay()

    def reset(self) -> None:
        self._step.reset()


def snapshot(step: TrainStep) -> dict[str, Any]:
    """Copies of all that a step changes."""
    return {
        "model": {name: value.detach().clone() for name, value in step.model.state_dict().items()},
        "optimizer": {
            parameter: {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
            for parameter, state in step.optimizer.state.items()
        },
        "totals": step.totals.clone(),
    }


@torch.no_grad()
def restore(step: TrainStep, before: dict[str, Any]) -> None:
    """Puts a snapshot back in place, where a captured graph looks for it. What the optimiser has made since then is set
    to 0, which is where its first step starts from."""
    for name, value in step.model.state_dict().items():
        value.copy_(before["model"][name])
    for parameter, state in step.optimizer.state.items():
        earlier = before["optimizer"].get(parameter, {})
        for name, value in state.items():
            if isinstance(value, Tensor):
                value.copy_(earlier[name]) if name in earlier else value.zero_()
    step.totals.copy_(before["totals"])
