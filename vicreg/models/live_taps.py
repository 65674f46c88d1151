"""Convolve very small maps without the kernel taps that only see padding.

With the ImageNet stem a 32 x 32 image is 2 x 2 in the third stage of a ResNet and 1 x 1 in the fourth. On a 1 x 1 map a
3 x 3 kernel reads the pixel with its middle tap, and padding with the eight others. On 2 x 2 each output reads the whole
map with four of the nine taps. The convolution with these live taps is a dense product, which takes a fraction of the
time. Outputs and gradients are the same to rounding; dead taps have a gradient of exactly 0 in both.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.models import unfolded, winograd

# Channels that oneDNN's AVX2 kernels take at a time. In a strided 1 x 1 convolution of 4 or 6 input channels, which fill no
# block, oneDNN 3.12 writes the gradient of the weights beyond its buffer, and the process crashes later. Such convolutions
# are computed as a dense product of the pixels that they read.
ONEDNN_BLOCK = 8


class Live(NamedTuple):
    """What an output coordinate reads along one axis: pixels, and the taps that meet them, slices of equal length."""

    pixels: slice
    taps: slice


def live_taps(*, side: int, kernel: int, stride: int, padding: int) -> tuple[Live, ...]:
    """Return what each output coordinate reads along an axis of `side` pixels: no tap where it reads only padding."""
    outputs = (side + 2 * padding - kernel) // stride + 1
    found = []
    for output in range(outputs):
        start = output * stride - padding  # the pixel under the kernel's first tap
        first, end = min(max(0, start), side), max(0, min(side, start + kernel))
        end = max(first, end)
        found.append(Live(pixels=slice(first, end), taps=slice(first - start, end - start)))
    return tuple(found)


def parameters_without_gradient(module: nn.Module, images: Tensor) -> tuple[int, int]:
    """Return how many parameters never have a gradient on images (N, C, H, W) of this size, and how many there are.

    Those without are kernel taps that see only padding: their gradient is exactly 0. Convolutions must have no dilation
    and a padding given in pixels.
    """
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
            padding = layer.padding[axis]
            assert isinstance(padding, int), layer.padding
            side, kernel, stride = shape[2 + axis], layer.kernel_size[axis], layer.stride[axis]
            rows = live_taps(side=side, kernel=kernel, stride=stride, padding=padding)
            alive *= len({tap for row in rows for tap in range(row.taps.start, row.taps.stop)})
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        dead += layer.weight.numel() // taps * (taps - alive)
    return dead, sum(parameter.numel() for parameter in module.parameters())


def convolves_plainly(device: torch.device) -> bool:
    """Return whether a network that trains on a device keeps its dead taps, as plain convolutions have them.

    On a GPU it does: the kernels that leave them out of LARS's sums are compiled for a CPU. Its convolutions still read the
    live ones alone.
    """
    return device.type == "cuda"


class LiveTapConv2d(nn.Conv2d):
    """torch's Conv2d with the same parameters and results to rounding, which is faster on small maps.

    Where all outputs read the same pixels it is one dense product. This is always so for a single output. With a 3 x 3
    kernel and padding 1 it is so for H and W up to 2, with a 7 x 7 kernel and padding 3 up to 4. On a CPU 3 x 3 kernels of
    enough channels are convolved by minimal filtering (`winograd.is_faster`). In all other cases, and with groups,
    dilation, a bias or a padding given by name, it calls torch's convolution.

    On a GPU a step of a ResNet-34 at 32 x 32 pixels takes 10.2 ms in place of 14.9 (H200, float32, batch 128, both views
    together).
    """

    _shared: dict[torch.Size, Tensor] | None = None  # in `shared_live_taps`: input size -> converted kernels

    def forward(self, input: Tensor) -> Tensor:
        usual = self.groups == 1 and self.dilation == (1, 1) and self.bias is None and self.padding_mode == "zeros"
        if not usual or isinstance(self.padding, str) or input.ndim != 4 or len(input) == 0:
            return super().forward(input)
        compiling = torch.compiler.is_compiling()
        if not compiling and winograd.is_faster(self, input):
            size = input.shape[2:]
            return winograd.convolve(input, self._once(size, lambda: winograd.sums_of_taps(self.weight, size)))
        find = axes_of.__wrapped__ if compiling else axes_of  # compilers cannot trace a cached function
        axes = find(*input.shape[2:], self.kernel_size, self.stride, self.padding)
        if axes is None and not compiling and unfolded.is_faster(self, input):
            return unfolded.convolve(input, self.weight)
        if axes is None:
            strided_pixel = self.kernel_size == (1, 1) and self.padding == (0, 0) and max(self.stride) > 1
            if not (strided_pixel and self.in_channels % ONEDNN_BLOCK):
                return super().forward(input)
            pixels = input[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)  # (N, H', W', C)
            return functional.linear(pixels, self.weight.flatten(1)).permute(0, 3, 1, 2)
        return self._product(input, *axes)

    def _product(self, input: Tensor, rows: tuple[Live, ...], columns: tuple[Live, ...]) -> Tensor:
        """Return outputs (N, O, H', W') that all read the same pixels, from one product."""
        n, out = len(input), len(self.weight)
        x = input[:, :, rows[0].pixels, columns[0].pixels].permute(0, 2, 3, 1).reshape(n, -1)  # (N, h w C), no copy
        y = functional.linear(x, self._once(input.shape[2:], lambda: live_matrix(self.weight, rows, columns)))
        return y.view(n, len(rows), len(columns), out).permute(0, 3, 1, 2)

    def _once(self, size: torch.Size, make: Callable[[], Tensor]) -> Tensor:
        """Return the kernels converted for inputs of `size`: once within `shared_live_taps`, else anew in each pass."""
        if self._shared is None or not torch.is_grad_enabled():
            return make()
        if size not in self._shared:
            self._shared[size] = make()
        return self._shared[size]


@contextmanager
def shared_live_taps(module: nn.Module) -> Iterator[None]:
    """Share the converted kernels between the forward passes of a module, whose weights must not change meanwhile.

    Gradients of several passes are then summed before they are spread over the whole kernels, not after.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, LiveTapConv2d)]
    for layer in layers:
        layer._shared = {}
    try:
        yield
    finally:
        for layer in layers:
            layer._shared = None


@functools.cache
def axes_of(
    height: int, width: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[tuple[Live, ...], ...] | None:
    """Return what outputs read along both axes, or None where they do not all read the same pixels."""
    axes = tuple(
        live_taps(side=side, kernel=kernel[i], stride=stride[i], padding=padding[i])
        for i, side in enumerate((height, width))
    )
    for axis in axes:
        if len({(one.pixels.start, one.pixels.stop) for one in axis}) != 1 or axis[0].pixels.stop == axis[0].pixels.start:
            return None
    return axes


def live_matrix(weight: Tensor, rows: tuple[Live, ...], columns: tuple[Live, ...]) -> Tensor:
    """Return the live taps as the matrix (rows * columns * O, h w C) of one product for all outputs."""
    taps = weight.permute(0, 2, 3, 1)  # (O, k, k, C)
    matrices = [taps[:, row.taps, column.taps] for row in rows for column in columns]  # (O, h, w, C) each
    matrix = matrices[0] if len(matrices) == 1 else torch.stack(matrices)
    return matrix.reshape(len(matrices) * len(weight), -1)
