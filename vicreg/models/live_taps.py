"""Convolutions of maps so small that most of the kernel only ever sees padding: only the other taps are computed.

With the ImageNet stem a 32 x 32 image is 2 x 2 in the third stage of a ResNet and 1 x 1 in the fourth. A 3 x 3 kernel on
a 1 x 1 map reads the pixel with its middle tap and padding with the eight others; on 2 x 2 each output reads the whole
map with four of the nine. What is left is a dense product, and gives the same outputs and gradients to rounding (dead
taps have a gradient of exactly 0 in both) at a fraction of the time.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.models import winograd

# Channels that oneDNN's AVX2 kernels take at a time. Of a 1 x 1 convolution with a stride whose input channels do not fill
# one (4 or 6 of them, seen with oneDNN 3.12), the weights' gradient is written beyond its buffer and the process dies later.
# Such a convolution is a dense product of every other pixel, so that is what is computed.
ONEDNN_BLOCK = 8


class Live(NamedTuple):
    """What an output coordinate along one axis reads: its pixels and the taps they meet, both slices of equal length."""

    pixels: slice
    taps: slice


def live_taps(*, side: int, kernel: int, stride: int, padding: int) -> tuple[Live, ...]:
    """One entry for each output coordinate along an axis of `side` pixels; one that reads padding alone has no taps."""
    outputs = (side + 2 * padding - kernel) // stride + 1
    found = []
    for output in range(outputs):
        start = output * stride - padding  # the pixel under the kernel's first tap
        first, end = min(max(0, start), side), max(0, min(side, start + kernel))
        end = max(first, end)
        found.append(Live(pixels=slice(first, end), taps=slice(first - start, end - start)))
    return tuple(found)


def parameters_without_gradient(module: nn.Module, images: Tensor) -> tuple[int, int]:
    """(dead, all): how many of a module's parameters are taps that only ever see padding on `images` (N, C, H, W), whose
    loss gradient is therefore exactly 0 at this size of image; and how many parameters there are. For convolutions without
    dilation."""
    dead = 0
    sizes: dict[nn.Conv2d, torch.Size] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: sizes.__setitem__(layer, inputs[0].shape))
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(images)
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    for layer, shape in sizes.items():
        alive = 1
        for axis in (0, 1):
            rows = live_taps(
                side=shape[2 + axis], kernel=layer.kernel_size[axis], stride=layer.stride[axis], padding=layer.padding[axis]
            )
            alive *= len({tap for row in rows for tap in range(row.taps.start, row.taps.stop)})
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        dead += layer.weight.numel() // taps * (taps - alive)
    return dead, sum(parameter.numel() for parameter in module.parameters())


class LiveTapConv2d(nn.Conv2d):
    """torch's Conv2d with the same parameters, which takes fewer products where the input is small enough.

    Where every output reads the same pixels it is one dense product: (N, C, H, W) with H and W up to 2 for a 3 x 3 kernel
    with padding 1, up to 4 for a 7 x 7 kernel with padding 3, and wherever one output is left. 3 x 3 kernels of enough
    channels are convolved by minimal filtering on a CPU (`winograd.pays`). Elsewhere, and with groups, dilation, a bias or
    padding given by name, it is torch's own.
    """

    _shared: dict[torch.Size, Tensor] | None = None  # within `shared_live_taps`: size of the input -> what kernels become

    def forward(self, input: Tensor) -> Tensor:
        usual = self.groups == 1 and self.dilation == (1, 1) and self.bias is None and self.padding_mode == "zeros"
        if not usual or isinstance(self.padding, str) or input.ndim != 4 or len(input) == 0:
            return super().forward(input)
        compiling = torch.compiler.is_compiling()
        if not compiling and winograd.pays(self, input):
            size = input.shape[2:]
            return winograd.convolve(input, self._once(size, lambda: winograd.sums_of_taps(self.weight, size)))
        find = _axes.__wrapped__ if compiling else _axes  # a compiler cannot look into a cache
        axes = find(*input.shape[2:], self.kernel_size, self.stride, self.padding)
        if axes is None:
            strided_pixel = self.kernel_size == (1, 1) and self.padding == (0, 0) and max(self.stride) > 1
            if not (strided_pixel and self.in_channels % ONEDNN_BLOCK):
                return super().forward(input)
            pixels = input[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)  # (N, H', W', C)
            return functional.linear(pixels, self.weight.flatten(1)).permute(0, 3, 1, 2)
        rows, columns = axes
        n, out = len(input), len(self.weight)
        x = input[:, :, rows[0].pixels, columns[0].pixels].permute(0, 2, 3, 1).reshape(n, -1)  # (N, h w C), no copy
        y = functional.linear(x, self._once(input.shape[2:], lambda: _live_matrix(self.weight, rows, columns)))
        return y.view(n, len(rows), len(columns), out).permute(0, 3, 1, 2)

    def _once(self, size: torch.Size, make: Callable[[], Tensor]) -> Tensor:
        """What the kernels become for inputs of a size: the tensor of before within `shared_live_taps`, else a new one."""
        if self._shared is None or not torch.is_grad_enabled():
            return make()
        if size not in self._shared:
            self._shared[size] = make()
        return self._shared[size]


@contextmanager
def shared_live_taps(module: nn.Module) -> Iterator[None]:
    """Within it, forward passes of a module whose weights do not change take their live taps, or the sums of them, from one
    copy: gradients of several passes are then summed before they are spread over the whole kernels, not after."""
    layers = [layer for layer in module.modules() if isinstance(layer, LiveTapConv2d)]
    for layer in layers:
        layer._shared = {}
    try:
        yield
    finally:
        for layer in layers:
            layer._shared = None


@functools.cache
def _axes(
    height: int, width: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[tuple[Live, ...], tuple[Live, ...]] | None:
    """What outputs read along both axes where all of them read the same pixels; None where they do not."""
    axes = tuple(
        live_taps(side=side, kernel=kernel[i], stride=stride[i], padding=padding[i])
        for i, side in enumerate((height, width))
    )
    for axis in axes:
        if len({(one.pixels.start, one.pixels.stop) for one in axis}) != 1 or axis[0].pixels.stop == axis[0].pixels.start:
            return None
    return axes


def _live_matrix(weight: Tensor, rows: tuple[Live, ...], columns: tuple[Live, ...]) -> Tensor:
    taps = weight.permute(0, 2, 3, 1)  # (O, k, k, C)
    matrices = [taps[:, row.taps, column.taps] for row in rows for column in columns]  # (O, h, w, C) each
    matrix = matrices[0] if len(matrices) == 1 else torch.stack(matrices)
    return matrix.reshape(len(matrices) * len(weight), -1)
