"""BatchNorm with separate statistics for each view of a batch.

The VICReg authors encode one view after the other, so that BatchNorm sees one view at a time. Encoding both views in one
pass takes fewer and larger operations; with BatchNorm per view the result is the same to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class _PerView:
    """A mixin for torch's BatchNorm: `views` equal parts of a training batch have separate statistics."""

    views = 1

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.views == 1:  # type: ignore[attr-defined]
            return super().forward(input)  # type: ignore[misc]
        # One view after the other, so that the running statistics are those of one forward pass for each view.
        return torch.cat([super(_PerView, self).forward(view) for view in input.chunk(self.views)])  # type: ignore[misc]


class ViewBatchNorm1d(_PerView, nn.BatchNorm1d):
    """BatchNorm1d of (views * n, d)."""


class ViewBatchNorm2d(_PerView, nn.BatchNorm2d):
    """BatchNorm2d of (views * n, C, H, W)."""


@contextmanager
def normalised_per_view(module: nn.Module, views: int) -> Iterator[None]:
    """Normalise each of `views` equal parts of a training batch separately in all layers of `module`."""
    layers = [layer for layer in module.modules() if isinstance(layer, _PerView)]
    for layer in layers:
        layer.views = views
    try:
        yield
    finally:
        for layer in layers:
            layer.views = 1
