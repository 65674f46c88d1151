"""Convolve small maps by minimal filtering, on a CPU.

Four outputs of a kernel of three taps along an axis take twelve products. Toom and Cook's interpolation at six points
takes six products, of sums of pixels with sums of taps; in two dimensions it takes 36 instead of 144 (Winograd, Arithmetic
Complexity of Computations, 1980; Lavin and Gray, arXiv 1509.09308). The sums are products with small constant matrices.
An axis of two pixels, padded by one at both ends, takes three products where the live taps take four.

In exact arithmetic it is the same convolution. In float32 the relative error of outputs is 1.0e-6 to 2.1e-6 with 64 to 512
channels, and 3e-7 to 5e-7 on 2 x 2 maps; that of a direct convolution is 1e-7 to 4e-7.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

POINTS = (
    0.0,
    1.0,
    -1.0,
    0.5,
    -2.0,
)  # and infinity; with 2 for 0.5, as Lavin and Gray have it, errors are 1.5 times as large
CHUNK = 2 * 2**20  # bytes of sums of pixels at a time, which stay in the cache: the fastest of 1 to 10 MiB on 8 x 8 maps


class Filtering(NamedTuple):
    """Minimal filtering of maps of one size, with K products: those of the rows' algorithm times those of the columns'.

    Axes longer than 4 are cut into tiles that use the same algorithm. The tiles of the rows are further rows of the K
    matrices; for the tiles of the columns the sums of taps are repeated.
    """

    of_taps: Tensor  # (K, 9): the sums of a kernel's taps
    of_pixels: tuple[Tensor, Tensor]  # (tiles * P, height) and (tiles * P, width): the sums of pixels along each axis
    to_outputs: tuple[Tensor, Tensor]  # (height, tiles * P) and (width, tiles * P): sums of products
    tiles: int  # of the rows


def is_faster(layer: nn.Conv2d, images: Tensor) -> bool:
    """Return whether `convolve` computes this layer faster than torch, in training with batches of 64 and more.

    The layer must have no groups, dilation or bias. Speed of forward and backward, as a multiple of torch's, with batches
    of 256 on two cores with AVX-512 (AVX2):

        channels    64          64          128         128         128         256         512         64          32
        maps        8 x 8       4 x 4       16 x 16     8 x 8       4 x 4       8 x 8       4 x 4       32 x 32     8 x 8
        speed       1.2 (1.4)   1.1 (1.3)   1.25 (1.4)  1.4 (1.6)   1.4 (1.8)   1.6 (1.9)   2.1 (2.5)   0.7 (1.0)   0.5 (0.7)

    On 2 x 2 maps, as a multiple of the live taps' speed: 256 channels 1.25, 128 channels 1.0 (one thread 1.1), 64 0.8.
    """
    if images.device.type != "cpu" or images.dtype not in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu"):
        return False  # GPU libraries have faster algorithms, and half precision is too coarse for the sums
    if (layer.kernel_size, layer.stride, layer.padding) != ((3, 3), (1, 1), (1, 1)):
        return False
    least = {2: 128, 4: 64, 8: 64, 16: 128}  # side -> channels
    height, width = images.shape[2:]
    return height == width in least and min(layer.in_channels, layer.out_channels) >= least[height]


def sums_of_taps(weight: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the kernels (O, C, 3, 3) as `convolve` takes them for maps of `size` (height, width): (K, O, C)."""
    out, channels = weight.shape[:2]
    of_taps = filtering(*size, weight.dtype).of_taps
    return (of_taps @ weight.permute(2, 3, 0, 1).reshape(9, out * channels)).view(-1, out, channels)


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Return images (N, C, H, W) convolved with padding 1 and stride 1: (N, O, H, W), channels last in memory.

    Args:
        images: float32 or float64.
        kernels: (K, O, C), from `sums_of_taps` for maps of this size.
    """
    return _Convolution.apply(images.permute(0, 2, 3, 1).contiguous(), kernels).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    """Convolve contiguous maps (N, H, W, C), one chunk of the batch at a time.

    The backward pass computes the sums of pixels again, which takes as long as reading them from memory would.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(maps, kernels)
        use, work = filtering(*maps.shape[1:3], maps.dtype), _Workspace(maps)
        outputs = maps.new_empty(*maps.shape[:3], kernels.shape[1])
        for part in chunks(maps, kernels):
            pixels = work.spread("pixels", use.of_pixels, maps[part], tiles=use.tiles)  # (K, n, C)
            work.gather(use.to_outputs, work.product(pixels, kernels.mT), out=outputs[part])
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        maps, kernels = ctx.saved_tensors
        use, work = filtering(*maps.shape[1:3], maps.dtype), _Workspace(maps)
        of_pixels, to_outputs = ((rows.T, columns.T) for rows, columns in (use.of_pixels, use.to_outputs))
        gradient, of_maps, of_kernels = gradient.contiguous(), torch.empty_like(maps), torch.empty_like(kernels)
        for number, part in enumerate(chunks(maps, kernels)):
            products = work.spread("products", to_outputs, gradient[part], tiles=use.tiles)  # (K, n, O)
            work.gather(of_pixels, work.product(products, kernels), out=of_maps[part])
            pixels = work.spread("pixels", use.of_pixels, maps[part], tiles=use.tiles)
            of_kernels.baddbmm_(products.mT, pixels, beta=min(1, number))
        return of_maps, of_kernels


class _Workspace:
    """Buffers that all chunks share, so that they stay in the cache."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._taken: dict[str, Tensor] = {}

    def _take(self, name: str, *shape: int) -> Tensor:
        size = math.prod(shape)
        if name not in self._taken or self._taken[name].numel() < size:
            self._taken[name] = self._like.new_empty(size)
        return self._taken[name][:size].view(shape)

    def product(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the batched product of (K, a, b) and (K, b, c)."""
        return torch.bmm(one, other, out=self._take("product", len(one), one.shape[1], other.shape[2]))

    def spread(self, name: str, along: tuple[Tensor, Tensor], maps: Tensor, *, tiles: int) -> Tensor:
        """Multiply maps (N, H, W, C) by a matrix along each axis, and return them by product: (K, N * tiles, C)."""
        n, channels = len(maps), maps.shape[-1]
        spread = self._take(name, n, len(along[0]), len(along[1]), channels)  # (N, tiles * P, tiles * P, C)
        self._along_both(along, maps, out=spread)
        return spread.view(n * tiles, -1, channels).transpose(0, 1)

    def gather(self, along: tuple[Tensor, Tensor], products: Tensor, *, out: Tensor) -> None:
        """Multiply products (K, N * tiles, C) by a matrix along each axis, into the maps `out` (N, H, W, C)."""
        ordered = self._take("ordered", products.shape[1], products.shape[0], products.shape[2])
        ordered.copy_(products.transpose(0, 1))
        self._along_both(along, ordered.view(len(out), along[0].shape[1], along[1].shape[1], -1), out=out)

    def _along_both(self, along: tuple[Tensor, Tensor], maps: Tensor, *, out: Tensor) -> None:
        """Multiply maps (N, h, w, C) by matrices (p, h) and (q, w) along their axes, into `out` (N, p, q, C)."""
        rows, columns = along
        n, height, width, channels = maps.shape
        if max(height * width, len(rows) * len(columns)) <= 36:  # both at once: 1.2 to 2 times as fast there, 0.4 beyond
            _along(torch.kron(rows, columns), maps.view(n, height * width, channels), out=out.view(n, -1, channels))
            return
        half = self._take("half", n, len(rows), width * channels)
        _along(rows, maps.view(n, height, width * channels), out=half)
        _along(columns, half.view(-1, width, channels), out=out.view(n * len(rows), -1, channels))


def _along(matrix: Tensor, maps: Tensor, *, out: Tensor) -> None:
    """Multiply maps (N, q, d) by a matrix (p, q), into `out` (N, p, d)."""
    torch.bmm(matrix.expand(len(maps), *matrix.shape), maps, out=out)


def chunks(maps: Tensor, kernels: Tensor) -> list[slice]:
    """Return equal parts of a batch whose sums of pixels fill `CHUNK` bytes, or as many as the kernels fill if more.

    `maps` are (N, H, W, C) and `kernels` (K, O, C).
    """
    sums = maps.nbytes * 9 // 4
    size = -(-len(maps) // max(1, sums // max(CHUNK, kernels.nbytes)))
    return [slice(start, start + size) for start in range(0, len(maps), size)]


@functools.cache
def filtering(height: int, width: int, dtype: torch.dtype) -> Filtering:
    """Return the algorithm for maps of this size; each side is 2 or a multiple of 4."""
    with (
        torch.inference_mode(False),
        torch.device("cpu"),
    ):  # the cached tensors must serve training, whatever mode the first caller is in
        rows, columns = along_axis(height), along_axis(width)
        return _both(rows, columns, dtype)


def _both(rows: "Axis", columns: "Axis", dtype: torch.dtype) -> Filtering:
    """Return the algorithm in two dimensions that the algorithms of both axes make."""
    tiles = [len(axis.of_pixels) // len(axis.of_taps) for axis in (rows, columns)]
    return Filtering(
        of_taps=torch.kron(rows.of_taps, columns.of_taps.repeat(tiles[1], 1)).to(dtype),
        of_pixels=(rows.of_pixels.to(dtype), columns.of_pixels.to(dtype)),
        to_outputs=(rows.to_outputs.to(dtype), columns.to_outputs.to(dtype)),
        tiles=tiles[0],
    )


class Axis(NamedTuple):
    """Minimal filtering along one axis, in float64, with P products for each tile.

    outputs = to_outputs @ ((of_taps @ taps) * (of_pixels @ pixels)), with the sums of taps repeated for each tile.
    """

    of_taps: Tensor  # (P, 3)
    of_pixels: Tensor  # (tiles * P, side)
    to_outputs: Tensor  # (side, tiles * P)


def along_axis(side: int) -> Axis:
    """Return the algorithm for an axis of `side` pixels and as many outputs, with one pixel of padding at both ends.

    For four outputs, which read six pixels, it is Toom and Cook's product of polynomials, transposed (Winograd, 1980). At
    the finite points p_j of `POINTS`:

        sum of taps      has weights p_j^k / prod_l (p_j - p_l), l != j, for the taps k
        sum of pixels    has the coefficients of prod_l (x - p_l), l != j
        output i         has weights p_j^i

    At infinity they are the last tap, the coefficients of the product over all p_l, and the last output. Longer axes are
    tiles of four outputs.
    """
    if side == 2:  # y_0 = b x_0 + c x_1 and y_1 = a x_0 + b x_1 are sums of b (x_0 + x_1), (c - b) x_1, (a - b) x_0
        return Axis(
            of_taps=torch.tensor([[0, 1, 0], [0, -1, 1], [1, -1, 0]], dtype=torch.float64),
            of_pixels=torch.tensor([[1, 1], [0, 1], [1, 0]], dtype=torch.float64),
            to_outputs=torch.tensor([[1, 1, 0], [1, 0, 1]], dtype=torch.float64),
        )
    assert side % 4 == 0, side
    points = np.array(POINTS)
    others = [np.delete(points, j) for j in range(len(points))]
    norms = [np.prod(point - other) for point, other in zip(points, others, strict=True)]
    taps = np.array([[point**k / norm for k in range(3)] for point, norm in zip(points, norms, strict=True)] + [[0, 0, 1]])
    pixels = np.array([[*np.poly(other)[::-1], 0.0] for other in others] + [np.poly(points)[::-1]])
    outputs = np.array([[*points**i, float(i == 3)] for i in range(4)])
    tiles, products = side // 4, len(taps)
    of_pixels = np.zeros((tiles, products, side + 2))  # with the padding, which is dropped below
    for tile in range(tiles):
        of_pixels[tile, :, 4 * tile : 4 * tile + 6] = pixels
    return Axis(
        of_taps=torch.from_numpy(taps),
        of_pixels=torch.from_numpy(of_pixels[:, :, 1:-1].reshape(tiles * products, side)),
        to_outputs=torch.from_numpy(np.kron(np.eye(tiles), outputs)),
    )
