"""LARS, layer-wise adaptive rate scaling, as in the VICReg authors' code."""

import math
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vicreg.errors import InputError

_EPSILON = 1e-8  # in the divisor of the clipped ratio; solo/utils/lars.py


class LARS(torch.optim.Optimizer):
    """SGD with momentum in which each weight tensor takes steps in proportion to its own norm (arXiv 1708.03888).

    For a parameter p with gradient g, buffer m:

        u = g + weight_decay * p
        u = u * eta * ||p|| / ||u||     if both norms are above 0
        m = momentum * m + u
        p = p - lr * m

    Biases and BatchNorm's scale and shift, parameters of at most one dimension, skip the first line unless
    `decay_bias_and_norm` and the second unless `adapt_bias_and_norm`. These are the authors' exclusions.

    With `lars_clip` the adapted step never exceeds SGD's, which is LARC's clipping, in the form of solo-learn:

        ratio = min(eta * ||p|| / (||g|| + weight_decay * ||p|| + 1e-8) / lr, 1)
        u = ratio * (g + weight_decay * p)     if both norms, of p and of g, are above 0, else u = g

    With `nesterov` the last line is p = p - lr * (u + momentum * m), as in torch's SGD.

    On a GPU a step runs over all tensors of a group at once and never waits for the device. On a CPU it runs tensor by
    tensor, each of which stays in the cache meanwhile, which is 2 to 3 times as fast.

    Args:
        params: parameters or groups of them; those of a group are on one device.
        lr: a float, or a 0-d tensor on the parameters' device that a captured loop fills in place.

    Raises:
        InputError: for a negative lr, weight decay or eta, for a momentum outside [0, 1), and for `nesterov` without one.

    Source: github.com/facebookresearch/vicreg, main_vicreg.py, class LARS (eta 0.001, momentum 0.9). Its buffer is named
    `mu`; this one is `momentum_buffer`, as in torch's SGD. Of `lars_clip` and `nesterov`: github.com/vturrisi/solo-learn,
    solo/utils/lars.py, class LARS (`clip_lr`, with eta 0.02 on CIFAR).
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
        if nesterov:
            _check_nesterov(momentum)
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
            if group["lars_clip"]:
                step_with_options(group, self.state)
                continue
            if group["nesterov"]:
                step_with_options(group, self.state)
                continue
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


def step_with_options(group: dict[str, Any], state: MutableMapping[Tensor, dict[str, Tensor]]) -> None:
    """Take LARS's step, clipped or of Nesterov, on the parameters of a group that have a gradient.

    Args:
        group: one of the optimiser's, with its options.
        state: parameter -> its buffers; those that are missing are made.
    """
    given = [parameter for parameter in group["params"] if parameter.grad is not None]
    matrices = [parameter for parameter in given if parameter.ndim > 1]
    vectors = [parameter for parameter in given if parameter.ndim <= 1]
    decays_vectors, adapts_vectors = group["decay_bias_and_norm"], group["adapt_bias_and_norm"]
    for params, decay, adapt in ((matrices, True, True), (vectors, decays_vectors, adapts_vectors)):
        if not params:
            continue
        for parameter in params:
            if "momentum_buffer" not in state[parameter]:
                state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        step = step_one_by_one if params[0].is_cpu else step_at_once_with_options
        step(
            params, [state[parameter]["momentum_buffer"] for parameter in params],
            lr=group["lr"], momentum=group["momentum"], weight_decay=group["weight_decay"] if decay else 0.0,
            eta=group["eta"] if adapt else None, clip=group["lars_clip"], nesterov=group["nesterov"],
        )  # fmt: skip


def step_one_by_one(
    params: list[Tensor],
    momenta: list[Tensor],
    *,
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    eta: float | None,
    clip: bool,
    nesterov: bool,
) -> None:
    """Take the step of `step_at_once_with_options` tensor by tensor, which suits a CPU."""
    rate = float(lr)
    for parameter, buffer in zip(params, momenta, strict=True):
        gradient: Tensor = parameter.grad  # type: ignore[assignment]  # all have one
        decayed = gradient.add(parameter, alpha=weight_decay) if weight_decay != 0 else gradient
        if eta is None:
            update = decayed
        elif clip:
            norm, of_gradient = (float(torch.linalg.vector_norm(tensor)) for tensor in (parameter, gradient))
            adaptive = eta * norm / (of_gradient + weight_decay * norm + _EPSILON)
            is_adapted = norm > 0 and of_gradient > 0
            update = (decayed if is_adapted else gradient) * (adaptive / rate if is_adapted and adaptive < rate else 1.0)
        else:
            update = decayed * _trust_ratio(parameter, decayed, eta=eta)
        buffer.mul_(momentum).add_(update)
        parameter.sub_(update.add(buffer, alpha=momentum) if nesterov else buffer, alpha=rate)


def step_at_once_with_options(
    params: list[Tensor],
    momenta: list[Tensor],
    *,
    lr: float | Tensor,
    momentum: float,
    weight_decay: float,
    eta: float | None,
    clip: bool,
    nesterov: bool,
) -> None:
    """Take LARS's step, clipped or of Nesterov, by operations over all parameters, which suits a GPU.

    No operation waits for the device. Gradients stay as they are.

    Args:
        params: with a gradient; changed in place, as are `momenta`, their buffers.
        lr: a number, or a 0-d tensor on the parameters' device.
        eta: of the ratio; None takes updates as they are.
        clip: whether the ratio is solo-learn's, of at most 1; else it is eta * ||p|| / ||g + weight_decay * p||.
        nesterov: whether the step looks ahead by the momentum.
    """
    gradients: list[Tensor] = [p.grad for p in params]  # type: ignore[misc]  # all have one
    updates: Sequence[Tensor]
    if eta is not None and clip:
        ratios, decays = _clipped_ratios(params, gradients, lr=lr, eta=eta, weight_decay=weight_decay)
        updates = torch._foreach_mul(gradients, ratios)
        if weight_decay != 0:
            torch._foreach_addcmul_(updates, params, decays)  # type: ignore[arg-type]  # as in the stubs of step_at_once
    else:
        updates = torch._foreach_add(gradients, params, alpha=weight_decay) if weight_decay != 0 else gradients
        if eta is not None:
            updates = torch._foreach_mul(updates, _trust_ratios(params, updates, eta=eta))  # type: ignore[arg-type]
    torch._foreach_mul_(momenta, momentum)
    torch._foreach_add_(momenta, updates)  # type: ignore[arg-type]  # torch's stubs take numbers alone here
    steps = torch._foreach_add(updates, momenta, alpha=momentum) if nesterov else momenta  # type: ignore[arg-type]
    torch._foreach_sub_(params, torch._foreach_mul(steps, lr))  # type: ignore[arg-type]


def _clipped_ratios(
    params: list[Tensor], gradients: list[Tensor], *, lr: float | Tensor, eta: float, weight_decay: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the factors of each gradient and of each parameter in the clipped update, as 0-d tensors."""
    norms = torch.stack(torch._foreach_norm(params))
    of_gradients = torch.stack(torch._foreach_norm(gradients))
    are_adapted = (norms > 0) & (of_gradients > 0)
    adaptive = eta * norms / (of_gradients + weight_decay * norms + _EPSILON)
    # Compared before it is divided by: at a rate of 0, where a warm-up may start, the ratio is 1.
    ratios = torch.where(are_adapted & (adaptive < lr), adaptive / lr, 1.0)
    return list(ratios.unbind()), list(torch.where(are_adapted, weight_decay * ratios, 0.0).unbind())


def _check_nesterov(momentum: float) -> None:
    """Refuse Nesterov's momentum where there is none."""
    if momentum == 0:
        raise InputError("nesterov needs a momentum above 0, but got 0; the authors use 0.9.")


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
