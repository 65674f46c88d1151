"""LARS's step over all tensors at once, in operations that never wait for the device, which suits a GPU."""

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-8  # in the divisor of the clipped ratio; solo/utils/lars.py


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
    adaptive = eta * norms / (of_gradients + weight_decay * norms + EPSILON)
    # Compared before it is divided by: at a rate of 0, where a warm-up may start, the ratio is 1.
    ratios = torch.where(are_adapted & (adaptive < lr), adaptive / lr, 1.0)
    return list(ratios.unbind()), list(torch.where(are_adapted, weight_decay * ratios, 0.0).unbind())


def _trust_ratios(
    params: list[Tensor] | tuple[Tensor, ...], updates: list[Tensor] | tuple[Tensor, ...], *, eta: float
) -> list[Tensor]:
    """Return eta * ||p|| / ||u|| of each pair as 0-d tensors, and 1 where either norm is 0."""
    param_norms = torch.stack(torch._foreach_norm(params))
    update_norms = torch.stack(torch._foreach_norm(updates))
    both_positive = (param_norms > 0) & (update_norms > 0)
    return list(torch.where(both_positive, eta * param_norms / update_norms, 1.0).unbind())
