"""LARS, layer-wise adaptive rate scaling, as in the VICReg authors' code."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.kernels.lars import Squares, flat, sum_squares, update
from vicreg.optim.at_once import EPSILON, step_at_once, step_at_once_with_options
from vicreg.threads import halves, side_by_side


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
    tensor; in float32 it passes twice over each (`vicreg/kernels/lars.py`).

    Args:
        params: parameters or groups of them; those of a group are on one device.
        lr: a float, or a 0-d tensor on the parameters' device that a captured loop fills in place.
        joined: weight -> another parameter, of one number, both on a CPU. They are parts of one tensor: the norms are of
            both, and the second has a gradient of 0. See `compact_taps.py`.

    Attributes:
        rounded: weight -> a bfloat16 tensor of its shape and layout, empty at first. After a step on a CPU it holds the new
            weights, rounded. Where the weight has no gradient, the tensor's own is taken.
        gradient_norm: the L2 norm of all gradients of the last step, a scalar tensor; None where no step has found it.

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
        joined: Mapping[Tensor, Tensor] | None = None,
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
        self._joined = dict(joined or {})
        self._parts = set(self._joined.values())
        self.rounded: dict[Tensor, Tensor] = {}
        self.gradient_norm: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]  # loss: a tensor
        """Update every parameter that has a gradient, and return the loss of the closure if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        squares: list[float | None] = []
        for group in self.param_groups:
            given = [p for p in group["params"] if p not in self._parts and self._gradient(p) is not None]
            matrices, vectors = [p for p in given if p.ndim > 1], [p for p in given if p.ndim <= 1]
            squares += self._update(matrices, group, decay=True, adapt=True)
            squares += self._update(
                vectors, group, decay=group["decay_bias_and_norm"], adapt=group["adapt_bias_and_norm"]
            )  # fmt: skip
        found = [one for one in squares if one is not None]
        self.gradient_norm = torch.tensor(math.sqrt(sum(found))) if squares and len(found) == len(squares) else None
        return loss

    def _update(self, params: list[Tensor], group: dict[str, Any], *, decay: bool, adapt: bool) -> list[float | None]:
        """Update parameters of a group, all with a gradient, by weight decay and adaptation where these are asked for.

        Returns the sum of squares of each gradient, None where it was not needed.
        """
        weight_decay, eta = group["weight_decay"] if decay else 0.0, group["eta"] if adapt else None
        if not params:
            return []
        on_cpu = params[0].is_cpu
        # Vectors are short: of those of a CPU, too, all are done at once where none needs a norm of its own.
        is_plain = eta is None and all(p.ndim <= 1 and p.grad is not None and p not in self._joined for p in params)
        if on_cpu and not is_plain:
            lr = float(group["lr"])

            @torch.no_grad()  # a thread has a mode of its own
            def update_these(indices: list[int]) -> dict[int, float | None]:
                return {i: self._update_one(params[i], group, lr=lr, weight_decay=weight_decay, eta=eta) for i in indices}

            if torch.get_num_threads() == 1:
                found = update_these(list(range(len(params))))
            else:
                one, other = halves([p.numel() for p in params])
                first, second = side_by_side(lambda: update_these(one), lambda: update_these(other))
                found = first | second
            return [found[i] for i in range(len(params))]
        assert on_cpu or not self._joined, "parts of a tensor are joined on a CPU alone"
        momenta = [self._momentum(p) for p in params]
        options: dict[str, Any] = {"momentum": group["momentum"], "weight_decay": weight_decay, "eta": eta}
        if group["lars_clip"] or group["nesterov"]:
            step_at_once_with_options(
                params, momenta, lr=group["lr"], clip=group["lars_clip"], nesterov=group["nesterov"], **options
            )
        else:
            step_at_once(params, momenta, lr=group["lr"], **options)
        if not on_cpu:
            return [None] * len(params)
        norms: list[float] = torch.stack(torch._foreach_norm([p.grad for p in params])).double().tolist()  # type: ignore[misc]
        return [norm**2 for norm in norms]

    def _update_one(
        self, parameter: Tensor, group: dict[str, Any], *, lr: float, weight_decay: float, eta: float | None
    ) -> float | None:
        """Update a parameter on a CPU, and return the sum of squares of its gradient, None where it was not needed."""
        gradient, buffer, rounded = self._gradient(parameter), self._momentum(parameter), self.rounded.get(parameter)
        assert gradient is not None
        part = self._joined.get(parameter)
        arrays = flat(parameter, gradient, buffer, *([] if rounded is None else [rounded]))
        squares = None
        if arrays is not None:
            squares = sum_squares(arrays[0], arrays[1], decay=weight_decay)
        elif eta is not None:
            squares = _squares(parameter, gradient, decay=weight_decay)
        of_gradient, of_weight = 1.0, weight_decay
        if eta is not None:
            assert squares is not None
            whole = squares if part is None else squares.with_part(float(part), decay=weight_decay)
            of_gradient, of_weight = _factors(whole, group, lr=lr, weight_decay=weight_decay, eta=eta)
        if arrays is not None:
            update(
                *arrays[:3], of_gradient=of_gradient, of_weight=of_weight, momentum=group["momentum"], lr=lr,
                nesterov=group["nesterov"], rounded=arrays[3] if rounded is not None else None,
            )  # fmt: skip
        else:
            own = gradient if of_gradient == 1 else gradient * of_gradient
            step = own if of_weight == 0 else own.add(parameter, alpha=of_weight)
            _move(parameter, buffer, step, group, lr=lr)
            if rounded is not None:
                rounded.copy_(parameter)
        if part is not None:
            _move(part, self._momentum(part), part * of_weight, group, lr=lr)
        return None if squares is None else squares.gradient

    def _gradient(self, parameter: Tensor) -> Tensor | None:
        """Return the gradient of a parameter, or of its copy in bfloat16."""
        if parameter.grad is None and parameter in self.rounded:
            return self.rounded[parameter].grad
        return parameter.grad

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Return the momentum buffer of a parameter, zeros before its first step."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def _move(parameter: Tensor, buffer: Tensor, step: Tensor, group: dict[str, Any], *, lr: float) -> None:
    """Add a step to the momentum buffer, and take the buffer's from a parameter, or the one that looks ahead."""
    buffer.mul_(group["momentum"]).add_(step)
    if group["nesterov"]:
        buffer = step.add(buffer, alpha=group["momentum"])
    parameter.sub_(buffer, alpha=lr)


def _factors(squares: Squares, group: dict[str, Any], *, lr: float, weight_decay: float, eta: float) -> tuple[float, float]:
    """Return the factors of the gradient and of the weight in an adapted update; infinity where float32 cannot hold one."""
    if group["lars_clip"]:
        norm, of_gradient = math.sqrt(squares.weight), math.sqrt(squares.gradient)
        if not (norm > 0 and of_gradient > 0):
            return 1.0, 0.0
        adaptive = eta * norm / (of_gradient + weight_decay * norm + EPSILON)
        # Compared before it is divided by: at a rate of 0, where a warm-up may start, the ratio is 1.
        ratio = adaptive / lr if adaptive < lr else 1.0
        return ratio, ratio * weight_decay
    norm, of_update = math.sqrt(squares.weight), math.sqrt(squares.decayed)
    ratio = eta * norm / of_update if norm > 0 and of_update > 0 else 1.0
    ratio = math.inf if ratio > torch.finfo(torch.float32).max else ratio
    return ratio, ratio * weight_decay


def _squares(parameter: Tensor, gradient: Tensor, *, decay: float) -> Squares:
    """Return the sums of squares that `sum_squares` returns, for any type and layout."""
    decayed = gradient.add(parameter, alpha=decay) if decay != 0 else gradient
    return Squares(*(float(torch.linalg.vector_norm(tensor)) ** 2 for tensor in (parameter, gradient, decayed)))


def _check_nesterov(momentum: float) -> None:
    """Refuse Nesterov's momentum where there is none."""
    if momentum == 0:
        raise InputError("nesterov needs a momentum above 0, but got 0; the authors use 0.9.")
