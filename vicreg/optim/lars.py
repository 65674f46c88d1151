"""LARS, layer-wise adaptive rate scaling, as in the VICReg authors' code."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from vicreg.errors import InputError


class LARS(torch.optim.Optimizer):
    """SGD with momentum in which each weight tensor takes steps in proportion to its own norm (arXiv 1708.03888).

    For a parameter p with gradient g, buffer m:

        u = g + weight_decay * p
        u = u * eta * ||p|| / ||u||     if both norms are above 0
        m = momentum * m + u
        p = p - lr * m

    Biases and BatchNorm's scale and shift, parameters of at most one dimension, skip the first line unless
    `decay_bias_and_norm` and the second unless `adapt_bias_and_norm`. These are the authors' exclusions.

    On a GPU a step runs over all tensors of a group at once and never waits for the device. On a CPU it runs tensor by
    tensor, each of which stays in the cache meanwhile, which is 2 to 3 times as fast.

    Args:
        params: parameters or groups of them; those of a group are on one device.
        lr: a float, or a 0-d tensor on the parameters' device that a captured loop fills in place.

    Raises:
        InputError: for a negative lr, weight decay or eta, and for a momentum outside [0, 1).

    Source: github.com/facebookresearch/vicreg, main_vicreg.py, class LARS (eta 0.001, momentum 0.9). Its buffer is named
    `mu`; this one is `momentum_buffer`, as in torch's SGD.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float | Tensor,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.001,
        decay_bias_and_norm: bool = False,
        adapt_bias_and_norm: bool = False,
        *,
        lars_clip: bool = False,
        nesterov: bool = False,
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay), ("eta", eta)):
            if not value >= 0:
                raise InputError(f"{name} must be at least 0, but got {float(value)}; give 0 or a positive number.")
        if not 0 <= momentum < 1:
            raise InputError(f"momentum must lie in [0, 1), but got {momentum}; the authors use 0.9.")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "eta": eta,
            "decay_bias_and_norm": decay_bias_and_norm,
            "adapt_bias_and_norm": adapt_bias_and_norm,
            "lars_clip": lars_clip,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]  # loss: a tensor
        """Update every parameter that has a gradient, and return the loss of the closure if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            matrices = [p for p in group["params"] if p.grad is not None and p.ndim > 1]
            vectors = [p for p in group["params"] if p.grad is not None and p.ndim <= 1]
            self._update(matrices, group, decay=True, adapt=True)
            self._update(vectors, group, decay=group["decay_bias_and_norm"], adapt=group["adapt_bias_and_norm"])
        return loss

    def _update(self, params: list[Tensor], group: dict[str, Any], *, decay: bool, adapt: bool) -> None:
        """Update parameters of a group, all with a gradient, by weight decay and adaptation where these are asked for."""
        weight_decay = group["weight_decay"] if decay else 0.0
        if params and not params[0].is_cpu:
            momenta = [self._momentum(parameter) for parameter in params]
            eta = group["eta"] if adapt else None
            step_at_once(
                params, momenta, lr=group["lr"], momentum=group["momentum"], weight_decay=weight_decay, eta=eta
            )  # fmt: skip
            return
        lr = float(group["lr"])
        for parameter in params:
            update, momentum = parameter.grad, self._momentum(parameter)
            if weight_decay != 0:
                update = update.add(parameter, alpha=weight_decay)  # type: ignore[union-attr]  # all have a gradient
            ratio = _trust_ratio(parameter, update, eta=group["eta"]) if adapt else 1.0  # type: ignore[arg-type]
            momentum.mul_(group["momentum"]).add_(update, alpha=ratio)  # type: ignore[arg-type]
            parameter.sub_(momentum, alpha=lr)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Return the momentum buffer of a parameter, zeros before its first step."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def step_at_once(
    params: list[Tensor],
    momenta: list[Tensor],
    *,
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    eta: float | None,
) -> None:
    """Take LARS's step on parameters with a gradient by operations over all of them, which suits a GPU.

    No operation waits for the device. Gradients stay as they are.

    Args:
        params: changed in place, as are `momenta`, their buffers.
        lr: a number, or a 0-d tensor on the parameters' device.
        eta: of the trust ratio; None takes updates as they are.
    """
    updates: list[Tensor] | tuple[Tensor, ...] = [p.grad for p in params]  # type: ignore[misc]  # all have one
    if weight_decay != 0:
        updates = torch._foreach_add(updates, params, alpha=weight_decay)
    torch._foreach_mul_(momenta, momentum)
    if eta is None:
        torch._foreach_add_(momenta, updates)  # type: ignore[arg-type]  # torch's stubs take numbers alone here
    else:
        # A launch for each tensor, since each has a factor of its own; it reads and writes a third less than two would.
        torch._foreach_addcmul_(momenta, updates, _trust_ratios(params, updates, eta=eta))
    # Not one call with alpha=-lr: alpha must be a number, and reading a learning rate on the device would wait for it.
    torch._foreach_sub_(params, torch._foreach_mul(momenta, lr))  # type: ignore[arg-type]


def _trust_ratio(parameter: Tensor, update: Tensor, *, eta: float) -> float:
    """Return eta * ||p|| / ||u||, and 1 where either norm is 0; infinity where float32 cannot hold it."""
    norm, of_update = (float(torch.linalg.vector_norm(tensor)) for tensor in (parameter, update))
    ratio = eta * norm / of_update if norm > 0 and of_update > 0 else 1.0
    return math.inf if ratio > torch.finfo(torch.float32).max else ratio


def _trust_ratios(
    params: list[Tensor] | tuple[Tensor, ...], updates: list[Tensor] | tuple[Tensor, ...], *, eta: float
) -> list[Tensor]:
    """Return eta * ||p|| / ||u|| of each pair as 0-d tensors, and 1 where either norm is 0."""
    param_norms = torch.stack(torch._foreach_norm(params))
    update_norms = torch.stack(torch._foreach_norm(updates))
    both_positive = (param_norms > 0) & (update_norms > 0)
    return list(torch.where(both_positive, eta * param_norms / update_norms, 1.0).unbind())
