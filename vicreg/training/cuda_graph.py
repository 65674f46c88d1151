"""A training step captured once as a CUDA graph and replayed."""

from typing import Any

import torch
from torch import Tensor

from vicreg.methods.base import Method
from vicreg.training.step import TrainStep

# Eager steps before a capture, as torch's notes on CUDA graphs ask for: in the first ones libraries allocate memory and
# choose their kernels, which a capture cannot hold.
_WARM_UP = 3


class GraphedStep:
    """A `TrainStep` captured as a CUDA graph: the same kernels, without the cost of launching each.

    A batch of another size than the captured one, such as an epoch's short last one, takes the eager step.

    Args:
        step: the step to capture. Its state is the same afterwards.
        views: a full batch, (N, C, H, W) each; a replay needs this shape.
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
        """The sums of the step's metrics since `reset`, float64, on the device."""
        return self._step.totals

    @property
    def model(self) -> Method:
        """The method that is trained."""
        return self._step.model

    def __call__(self, *views: Tensor, learning_rate: float, progress: float = 0.0) -> None:
        """Take a step on views (N, C, H, W); `progress` is the share of training done, in [0, 1]."""
        if views[0].shape != self._views[0].shape:
            self._step(*views, learning_rate=learning_rate, progress=progress)
            return
        self._step.set_course(learning_rate=learning_rate, progress=progress)
        for captured, view in zip(self._views, views, strict=True):
            captured.copy_(view)
        self._graph.replay()

    def reset(self) -> None:
        """Start an epoch: set training mode, and the sums to 0."""
        self._step.reset()


def snapshot(step: TrainStep) -> dict[str, Any]:
    """Return copies of everything that a step changes: weights, statistics, the optimiser's buffers, the sums."""
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
    """Copy a snapshot back into the step's own tensors, whose addresses a captured graph holds.

    Buffers that the optimiser has made since the snapshot are set to 0, the value they have before its first step.
    """
    for name, value in step.model.state_dict().items():
        value.copy_(before["model"][name])
    for parameter, state in step.optimizer.state.items():
        earlier = before["optimizer"].get(parameter, {})
        for name, value in state.items():
            if isinstance(value, Tensor):
                value.copy_(earlier[name]) if name in earlier else value.zero_()
    step.totals.copy_(before["totals"])
    step.round_weights()
