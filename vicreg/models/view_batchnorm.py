"""BatchNorm of a batch that holds several views of the same images: each view is normalised by its own statistics.

The authors encode one view after the other, so BatchNorm sees one view at a time. Both views in one forward pass cost
fewer, larger operations; with BatchNorm per view the result is the same to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class _PerView:
    """What both BatchNorms below add to torch's; `views` equal parts of a training batch have statistics of their own."""

    views = 1

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or self.views == 1:  # type: ignore[attr-defined]
            return super().forward(input)  # type: ignore[misc]
        # One after the other, as with one forward pass a view: the running statistics see the same sequence.
        return torch.cat([super(_PerView, self).forward(view) for view in input.chunk(self.views)])  # type: ignore[misc]


class ViewBatchNorm1d(_PerView, nn.BatchNorm1d):
    """BatchNorm1d of (views * n, d)."""


class ViewBatchNorm2d(_PerView, nn.BatchNorm2d):
    """BatchNorm2d of (views * n, C, H, W)."""


@contextmanager
def normalised_per_view(module: nn.Module, views: int) -> Iterator[None]:
    """Within it, a training batch of `module` holds `views` views of equal size, one after the other."""
    layers = [layer for layer in module.modules() if isinstance(layer, _PerView)]
    for layer in layers:
        layer.views = views
    try:
        yield
    finally:
        for layer in layers:
            layer.views = 1
