"""LARS, layer-wise adaptive rate scaling, as the VICReg authors' code has it (after arXiv 1708.03888)."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from vicreg.errors import InputError


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose every weight tensor takes a step in proportion to its own norm.

    For a parameter p with gradient g, buffer m:

        u = g + weight_decay * p
        u = u * eta * ||p|| / ||u||     where both norms are above 0, else u as it is
        m = momentum * m + u
        p = p - lr * m

    Parameters of one dimension or none (biases, BatchNorm's scale and shift) skip the first line unless
    `decay_bias_and_norm` and the second unless `adapt_bias_and_norm`: the authors' exclusions. The learning rate is a
    float or a 0-d tensor on the parameters' device, which a captured loop fills in place. On a GPU a step runs over all
    tensors of a group at once and never waits for the device; on a CPU it runs tensor by tensor, each of which stays in
    the cache meanwhile (2 to 3 times as fast). A group's parameters share a device.

    Raises InputError for a negative lr, weight decay or eta and for a momentum outside [0, 1).
    Source: github.com/facebookresearch/vicreg, main_vicreg.py, class LARS (eta 0.001, momentum 0.9); its buffer is
    named `mu`, this one `momentum_buffer`, as torch's SGD has it.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.001,
        decay_bias_and_norm: bool = False,
        adapt_bias_and_norm: bool = False,
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
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Update every parameter that has a gradient; returns the closure's loss, if there is a closure."""
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

    def _update(self, params: list[Tensor], group: dict, *, decay: bool, adapt: bool) -> None:
        weight_decay = group["weight_decay"] if decay else 0.0
        if params and not params[0].is_cpu:
            self._update_at_once(params, group, weight_decay=weight_decay, adapt=adapt)
            return
        lr = float(group["lr"])
        for parameter in params:
            update, momentum = parameter.grad, self._momentum(parameter)
            if weight_decay != 0:
                update = update.add(parameter, alpha=weight_decay)
            ratio = _trust_ratio(parameter, update, eta=group["eta"]) if adapt else 1.0
            momentum.mul_(group["momentum"]).add_(update, alpha=ratio)
            parameter.sub_(momentum, alpha=lr)

    def _update_at_once(self, params: list[Tensor], group: dict, *, weight_decay: float, adapt: bool) -> None:
        updates = [p.grad for p in params]
        if weight_decay != 0:
            updates = torch._foreach_add(updates, params, alpha=weight_decay)
        if adapt:
            updates = torch._foreach_mul(updates, _trust_ratios(params, updates, eta=group["eta"]))
        momenta = [self._momentum(p) for p in params]
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, updates)
        # A product and a difference, not one call with alpha=-lr: alpha must be a number, and a learning rate that
        # lives on the device would have to be waited for.
        torch._foreach_sub_(params, torch._foreach_mul(momenta, group["lr"]))

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def _trust_ratio(parameter: Tensor, update: Tensor, *, eta: float) -> float:
    """eta * ||p|| / ||u||, and 1 where either norm is 0."""
    norm, of_update = (float(torch.linalg.vector_norm(tensor)) for tensor in (parameter, update))
    return eta * norm / of_update if norm > 0 and of_update > 0 else 1.0


def _trust_ratios(params: list[Tensor], updates: list[Tensor], *, eta: float) -> list[Tensor]:
    """eta * ||p|| / ||u|| of each pair, and 1 where either norm is 0, as 0-d tensors."""
    param_norms = torch.stack(torch._foreach_norm(params))
    update_norms = torch.stack(torch._foreach_norm(updates))
    both_positive = (param_norms > 0) & (update_norms > 0)
    return list(torch.where(both_positive, eta * param_norms / update_norms, 1.0).unbind())
