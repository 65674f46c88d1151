"""Weights in bfloat16 that networks use in place of their own, rounded once a step.

Autocast rounds every weight in each step, and turns its gradient back to float32. Here networks are given copies in bfloat16
(`functional_call`). A copy's gradient stays in bfloat16, as autocast's is before it is turned. The optimiser adds it to the
float32 weight and rounds that again; LARS does both in one pass (`LARS.rounded`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vicreg.methods.base import Loss, Method
from vicreg.optim.lars import LARS


class RoundedWeights:
    """Copies in bfloat16 of the weights of a model's convolutions and linear layers, on a CPU.

    They are those of the backbone and the expander. What follows the embeddings keeps its float32 weights, as do BatchNorm
    and biases.

    Args:
        model: its parameters are trained by `optimizer`.
        optimizer: LARS keeps the copies up to date by itself.

    Attributes:
        copies: by the weights' names, after `model.`.
    """

    def __init__(self, model: Method, optimizer: torch.optim.Optimizer) -> None:
        self._loss = _LossOf(model)
        self._optimizer = optimizer
        self._weights = dict(_weights_of(self._loss))
        self.copies = {
            name: weight.detach().to(torch.bfloat16, memory_format=torch.preserve_format).requires_grad_()
            for name, weight in self._weights.items()
        }
        if isinstance(optimizer, LARS):
            optimizer.rounded.update({weight: self.copies[name] for name, weight in self._weights.items()})

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        """Return the model's loss, of which the copies are the leaves."""
        for copy in self.copies.values():
            copy.grad = None
        found: Loss = functional_call(self._loss, self.copies, (views, progress))
        return found

    def step(self) -> None:
        """Take the optimiser's step with the gradients of the copies, and round the new weights."""
        if isinstance(self._optimizer, LARS):
            self._optimizer.step()
            return
        for name, weight in self._weights.items():
            gradient = self.copies[name].grad
            weight.grad = None if gradient is None else gradient.float()
        self._optimizer.step()
        self.round()

    @torch.no_grad()
    def round(self) -> None:
        """Round the weights as they are, where another hand than the optimiser's has changed them."""
        for name, weight in self._weights.items():
            self.copies[name].copy_(weight)


class _LossOf(nn.Module):
    """A model whose forward pass is its loss, since `functional_call` calls that."""

    def __init__(self, model: Method) -> None:
        super().__init__()
        self.model = model

    def forward(self, views: Sequence[Tensor], progress: Tensor) -> Loss:
        return self.model.loss(views, progress=progress)


def _weights_of(loss: _LossOf) -> list[tuple[str, Tensor]]:
    """Return the weights that are rounded, by their names in `loss`."""
    networks = {"model.backbone": loss.model.backbone, "model.expander": loss.model.expander}
    return [
        (f"{prefix}.{name}.weight" if name else f"{prefix}.weight", layer.weight)
        for prefix, network in networks.items()
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.weight.requires_grad
    ]
