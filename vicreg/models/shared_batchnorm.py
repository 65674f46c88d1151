"""BatchNorm with the statistics of all processes' rows.

torch's SyncBatchNorm takes CUDA tensors alone, and would drop the statistics of each view by itself.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vicreg.distributed.collectives import group_size, sum_over_processes
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.view_batchnorm import ViewBatchNorm1d, ViewBatchNorm2d


class _Normalise(torch.autograd.Function):
    """Normalise this process's rows by the mean and the biased variance of all processes'.

    With m(.) the mean over all rows, x' the normalised input and g the gradient of the output:

        dx = weight / std * (g - m(g) - x' m(g x'))

    Gradients of weight and bias are of this process's rows alone, since gradients of parameters are summed later.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = x if x.dtype == torch.float64 else x.float()
        axes, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        count = x.numel() // x.shape[1] * group_size()
        mean = sum_over_processes(wide.sum(axes)) / count  # (C,)
        centred = wide - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(axes)) / count  # (C,)
        inverse = torch.rsqrt(variance + epsilon)
        normal = centred.mul_(inverse.view(shape))
        ctx.save_for_backward(normal, weight, inverse)
        ctx.mark_non_differentiable(mean, variance)
        out = normal
        if weight is not None and bias is not None:
            out = normal * weight.view(shape) + bias.view(shape)
        return out.to(x.dtype, copy=True), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        normal, weight, inverse = ctx.saved_tensors
        wide = gradient.to(normal.dtype)
        axes, shape = [0, *range(2, wide.ndim)], [1, -1] + [1] * (wide.ndim - 2)
        count = wide.numel() // wide.shape[1] * group_size()
        own = torch.stack((wide.sum(axes), (wide * normal).sum(axes)))  # (2, C)
        means = sum_over_processes(own) / count
        scale = inverse if weight is None else inverse * weight
        by_input = (wide - means[0].view(shape) - normal * means[1].view(shape)) * scale.view(shape)
        by_weight, by_bias = (None, None) if weight is None else (own[1], own[0])
        return by_input.to(gradient.dtype), by_weight, by_bias, None


class _OverProcesses:
    """A mixin for our BatchNorm: in training its statistics are of the rows of all processes."""

    def _normalise(self, input: Tensor) -> Tensor:
        if not self.training:  # type: ignore[attr-defined]
            return super()._normalise(input)  # type: ignore[misc]
        self._check_input_dim(input)  # type: ignore[attr-defined]
        if self.passes is None:  # type: ignore[attr-defined]
            self.num_batches_tracked.add_(1)  # type: ignore[attr-defined]
        else:
            self.passes += 1  # type: ignore[attr-defined]
        out, mean, variance = _Normalise.apply(input, self.weight, self.bias, self.eps)  # type: ignore[attr-defined]
        count = input.numel() // input.shape[1] * group_size()
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)  # type: ignore[attr-defined]
            unbiased = variance * (count / (count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)  # type: ignore[attr-defined]
        return out


class SharedBatchNorm1d(_OverProcesses, ViewBatchNorm1d):
    """BatchNorm1d of (views * n, d), of which this process has (views * n / N, d)."""


class SharedBatchNorm2d(_OverProcesses, ViewBatchNorm2d):
    """BatchNorm2d of (views * n, C, H, W), of which this process has (views * n / N, C, H, W)."""


def share_batchnorm(model: nn.Module) -> None:
    """Turn BatchNorm below the embeddings, in every backbone and expander of `model`, into that of all processes' rows.

    What follows the embeddings, such as a predictor, has the whole batch already. Parameters and buffers stay.

    Raises:
        TypeError: for a kind of BatchNorm that has no such form.
    """
    for network in model.modules():
        if not isinstance(network, JointEmbedding):
            continue
        for layer in (*network.backbone.modules(), *network.expander.modules()):
            if type(layer) is ViewBatchNorm1d:
                layer.__class__ = SharedBatchNorm1d
            elif type(layer) is ViewBatchNorm2d:
                layer.__class__ = SharedBatchNorm2d
            elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and not isinstance(layer, _OverProcesses):
                raise TypeError(f"{type(layer).__name__} has no form over processes")
