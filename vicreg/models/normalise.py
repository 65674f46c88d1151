"""BatchNorm of each view of a batch with the sum and the ReLU that follow it, on a CPU."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vicreg.kernels import batchnorm
from vicreg.kernels.rows import numbers_of

COMPILED_TYPES = (torch.float32, torch.bfloat16)


class Running(NamedTuple):
    """BatchNorm's running statistics (C,), changed in place by each view in turn, and their momentum."""

    mean: Tensor
    variance: Tensor
    momentum: float


def normalise(
    x: Tensor, weight: Tensor, bias: Tensor, running: Running, *, views: int, epsilon: float, relu: bool = False,
    residual: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return BatchNorm of x, plus `residual`, through ReLU where `relu`: the same to rounding as torch's one by one.

    Args:
        x: (N, C) or (N, C, H, W), float32 or bfloat16 on a CPU.
        weight, bias: (C,), float32.
        running: is updated.
        views: equal parts of the batch, each of which has statistics of its own.
        epsilon: is added to variances.
        residual: of x's shape and type.
    """
    return _Normalise.apply(x, weight, bias, residual, running, views, epsilon, relu)  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    """Normalise each view: y = relu(weight * (x - mean) / std + bias + residual).

    With g the gradient of what enters ReLU, m(.) the mean over a view's rows and x' the normalised input:

        dx = weight / std * (g - m(g) - x' m(g x')),    dweight = sum(g x'),    dbias = sum(g),    dresidual = g
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, running: Running, views: int,
        epsilon: float, relu: bool,
    ) -> Tensor:  # fmt: skip
        x, residual = _dense(x), None if residual is None else _dense(residual)
        y, channels = torch.empty_like(x), x.shape[1]
        rows = x.numel() // channels // views
        fold = batchnorm.foldable(channels, rows)
        means, inverses = torch.empty(views, channels), torch.empty(views, channels)
        numbers = numbers_of(x)
        batchnorm.forward(
            numbers, numbers if residual is None else numbers_of(residual),
            weight.detach().numpy(), bias.detach().numpy(), running.mean.numpy(), running.variance.numpy(),
            running.momentum, epsilon, views, rows, channels, fold, residual is not None, relu, numbers_of(y),
            means.numpy(), inverses.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(x, weight, means, inverses, *([y] if relu else []))
        ctx.views, ctx.relu, ctx.has_residual, ctx.fold = views, relu, residual is not None, fold
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, means, inverses, *rest = ctx.saved_tensors
        gradient, channels = _dense(gradient, like=x), x.shape[1]
        rows = x.numel() // channels // ctx.views
        of_x, of_residual = torch.empty_like(x), torch.empty_like(x) if ctx.has_residual else None
        of_weight, of_bias = torch.zeros(channels), torch.zeros(channels)
        numbers, out = numbers_of(x), numbers_of(of_x)
        batchnorm.backward(
            numbers_of(gradient), numbers, numbers_of(rest[0]) if ctx.relu else numbers,
            weight.detach().numpy(), means.numpy(), inverses.numpy(), ctx.views, rows, channels, ctx.fold,
            ctx.has_residual, ctx.relu, out, out if of_residual is None else numbers_of(of_residual), of_weight.numpy(),
            of_bias.numpy(),
        )  # fmt: skip
        return of_x, of_weight, of_bias, of_residual, None, None, None, None


def _dense(x: Tensor, *, like: Tensor | None = None) -> Tensor:
    """Return a tensor in the layout that loops take, channels last, in the type of `like`."""
    if like is not None:
        x = x.to(like.dtype)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x.contiguous()
