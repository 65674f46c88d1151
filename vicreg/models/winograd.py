"""3 x 3 convolutions of small maps by fewer products: minimal filtering, on a CPU.

Along an axis four outputs of a kernel of three taps take twelve products; Toom and Cook's interpolation at six points takes
six, of sums of pixels with sums of taps, and in two dimensions 36 take the place of 144 (Winograd, Arithmetic Complexity
of Computations, 1980; Lavin and Gray, arXiv 1509.09308). The sums are products with small constant matrices. An axis of
two pixels, with one of padding at either end, takes three products where its live taps are four.

In exact arithmetic it is the same convolution. In float32 the relative error of its outputs is 1.0e-6 to 2.1e-6 (64 to 512
channels), on 2 x 2 3e-7 to 5e-7; a direct convolution's is 1e-7 to 4e-7.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity. With 2 in place of 0.5 (Lavin and Gray) errors are 1.5 times as large
CHUNK = 2 * 2**20  # bytes of sums of pixels at a time, to stay in the cache; the best of 1 to 10 MiB on 8 x 8 maps


class Filtering(NamedTuple):
    """Minimal filtering of maps of one size: its K products are those of the rows' algorithm times those of the columns'.

    Along an axis of `tiles` tiles the same algorithm is used on neighbouring outputs. Rows' tiles are more rows of the K
    matrices that are multiplied; for columns' tiles the sums of taps are repeated.
    """

    of_taps: Tensor  # (K, 9): the sums of a kernel's taps
    of_pixels: tuple[Tensor, Tensor]  # (tiles * P, height) and (tiles * P, width): the sums of pixels along each axis
    to_outputs: tuple[Tensor, Tensor]  # (height, tiles * P) and (width, tiles * P): sums of products
    tiles: int  # of the rows


def pays(layer: nn.Conv2d, images: Tensor) -> bool:
    """Whether a convolution without groups, dilation and bias is one that `convolve` computes, and computes faster in
    training with batches of 64 and more (sums of taps cost the same for any batch).

    Forward and backward, batch 256, two cores with AVX-512 (AVX2), times torch's own: 64 channels on 8 x 8 1.2 (1.4), on
    4 x 4 1.1 (1.3), 128 on 16 x 16 1.25 (1.4), on 8 x 8 1.4 (1.6), on 4 x 4 1.4 (1.8), 256 on 8 x 8 1.6 (1.9), 512 on 4 x 4
    2.1 (2.5); 64 on 32 x 32 0.7 (1.0), 32 on 8 x 8 0.5 (0.7). On 2 x 2, times the live taps alone: 256 channels 1.25,
    128 1.0 (one thread 1.1), 64 0.8.
    """
    if images.device.type != "cpu" or images.dtype not in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu"):
        return False  # a GPU's libraries have this and better, and half precision does not bear the sums
    if (layer.kernel_size, layer.stride, layer.padding) != ((3, 3), (1, 1), (1, 1)):
        return False
    least = {2: 128, 4: 64, 8: 64, 16: 128}  # side -> channels
    height, width = images.shape[2:]
    return height == width in least and min(layer.in_channels, layer.out_channels) >= least[height]


def sums_of_taps(weight: Tensor, size: tuple[int, int]) -> Tensor:
    """The kernels (O, C, 3, 3) as `convolve` takes them for maps of `size` (height, width): (K, O, C)."""
    out, channels = weight.shape[:2]
    of_taps = filtering(*size, weight.dtype).of_taps
    return (of_taps @ weight.permute(2, 3, 0, 1).reshape(9, out * channels)).view(-1, out, channels)


def convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """`images` (N, C, H, W) convolved, with padding 1 and stride 1, with what `sums_of_taps` made of kernels for maps of
    their size: (N, O, H, W), in memory as channels_last."""
    return _Convolution.apply(images.permute(0, 2, 3, 1).contiguous(), kernels).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    """`convolve` of contiguous maps (N, H, W, C), a chunk of the batch at a time. Sums of pixels are made again for the
    gradient: fetching them from memory takes as long."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(maps, kernels)
        use, work = filtering(*maps.shape[1:3], maps.dtype), _Workspace(maps)
        outputs = maps.new_empty(*maps.shape[:3], kernels.shape[1])
        for part in _chunks(maps, kernels):
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
        for number, part in enumerate(_chunks(maps, kernels)):
            products = work.spread("products", to_outputs, gradient[part], tiles=use.tiles)  # (K, n, O)
            work.gather(of_pixels, work.product(products, kernels), out=of_maps[part])
            pixels = work.spread("pixels", use.of_pixels, maps[part], tiles=use.tiles)
            of_kernels.baddbmm_(products.mT, pixels, beta=min(1, number))
        return of_maps, of_kernels


class _Workspace:
    """Memory for what chunks are computed by, the same for every chunk, so that it stays in the cache."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._taken: dict[str, Tensor] = {}

    def _take(self, name: str, *shape: int) -> Tensor:
        size = math.prod(shape)
        if name not in self._taken or self._taken[name].numel() < size:
            self._taken[name] = self._like.new_empty(size)
        return self._taken[name][:size].view(shape)

    def product(self, one: Tensor, other: Tensor) -> Tensor:
        return torch.bmm(one, other, out=self._take("product", len(one), one.shape[1], other.shape[2]))

    def spread(self, name: str, along: tuple[Tensor, Tensor], maps: Tensor, *, tiles: int) -> Tensor:
        """Maps (N, H, W, C) times a matrix along each axis, by product: (K, N * tiles, C)."""
        n, channels = len(maps), maps.shape[-1]
        spread = self._take(name, n, len(along[0]), len(along[1]), channels)  # (N, tiles * P, tiles * P, C)
        self._along_both(along, maps, out=spread)
        return spread.view(n * tiles, -1, channels).transpose(0, 1)

    def gather(self, along: tuple[Tensor, Tensor], products: Tensor, *, out: Tensor) -> None:
        """The way back: products (K, N * tiles, C) times a matrix along each axis, into the maps `out` (N, H, W, C)."""
        ordered = self._take("ordered", products.shape[1], products.shape[0], products.shape[2])
        ordered.copy_(products.transpose(0, 1))
        self._along_both(along, ordered.view(len(out), along[0].shape[1], along[1].shape[1], -1), out=out)

    def _along_both(self, along: tuple[Tensor, Tensor], maps: Tensor, *, out: Tensor) -> None:
        """(N, p, q, C) of matrices (p, h) and (q, w), and maps (N, h, w, C)."""
        rows, columns = along
        n, height, width, channels = maps.shape
        if max(height * width, len(rows) * len(columns)) <= 36:  # both at once: 1.2 to 2 times as fast there, 0.4 beyond
            _along(torch.kron(rows, columns), maps.view(n, height * width, channels), out=out.view(n, -1, channels))
            return
        half = self._take("half", n, len(rows), width * channels)
        _along(rows, maps.view(n, height, width * channels), out=half)
        _along(columns, half.view(-1, width, channels), out=out.view(n * len(rows), -1, channels))


def _along(matrix: Tensor, maps: Tensor, *, out: Tensor) -> None:
    """(N, p, d) of a matrix (p, q) and maps (N, q, d)."""
    torch.bmm(matrix.expand(len(maps), *matrix.shape), maps, out=out)


def _chunks(maps: Tensor, kernels: Tensor) -> list[slice]:
    """Parts of the batch whose sums of pixels fill about `CHUNK` bytes, or as many as the kernels do."""
    sums = maps.nbytes * 9 // 4
    size = -(-len(maps) // max(1, sums // max(CHUNK, kernels.nbytes)))
    return [slice(start, start + size) for start in range(0, len(maps), size)]


@functools.cache
def filtering(height: int, width: int, dtype: torch.dtype) -> Filtering:
    """The algorithm for maps of this size; each side is 2 or a multiple of 4."""
    with torch.inference_mode(False), torch.device("cpu"):  # what is kept must serve training, whoever asks first
        rows, columns = along_axis(height), along_axis(width)
        return _both(rows, columns, dtype)


def _both(rows: "Axis", columns: "Axis", dtype: torch.dtype) -> Filtering:
    tiles = [len(axis.of_pixels) // len(axis.of_taps) for axis in (rows, columns)]
    return Filtering(
        of_taps=torch.kron(rows.of_taps, columns.of_taps.repeat(tiles[1], 1)).to(dtype),
        of_pixels=(rows.of_pixels.to(dtype), columns.of_pixels.to(dtype)),
        to_outputs=(rows.to_outputs.to(dtype), columns.to_outputs.to(dtype)),
        tiles=tiles[0],
    )


class Axis(NamedTuple):
    """Minimal filtering along one axis, P products a tile: outputs = to_outputs @ ((of_taps @ taps) * (of_pixels @ pixels)),
    with the sums of taps repeated for every tile. All float64."""

    of_taps: Tensor  # (P, 3)
    of_pixels: Tensor  # (tiles * P, side)
    to_outputs: Tensor  # (side, tiles * P)


def along_axis(side: int) -> Axis:
    """The algorithm for an axis of `side` pixels and as many outputs, one pixel of padding at either end.

    On four outputs and the six pixels they read it is Toom and Cook's product of polynomials, transposed (Winograd, 1980):
    at the finite points p_j of `POINTS` the sums of taps are those of p_j^k / prod_l (p_j - p_l), the sums of pixels have
    the coefficients of prod_l (x - p_l), l != j, and outputs are sums with p_j^i; the point at infinity is the last tap, the
    coefficients of the product over all p_l, and the last output. Longer axes are tiles of it.
    """
    if side == 2:  # y_0 = b x_0 + c x_1 and y_1 = a x_0 + b x_1 from b (x_0 + x_1), (c - b) x_1 and (a - b) x_0
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
    of_pixels = np.zeros((tiles, products, side + 2))  # padding included, and dropped below
    for tile in range(tiles):
        of_pixels[tile, :, 4 * tile : 4 * tile + 6] = pixels
    return Axis(
        of_taps=torch.from_numpy(taps),
        of_pixels=torch.from_numpy(of_pixels[:, :, 1:-1].reshape(tiles * products, side)),
        to_outputs=torch.from_numpy(np.kron(np.eye(tiles), outputs)),
    )
