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

from vicreg.kernels.filtering import AlongBothAxes, Layout

POINTS = (
    0.0,
    1.0,
    -1.0,
    0.5,
    -2.0,
)  # and infinity; with 2 for 0.5, as Lavin and Gray have it, errors are 1.5 times as large
LARGEST = 32  # pixels of a side, of the maps that were measured
CHUNK = 2 * 2**20  # bytes of sums of pixels at a time, which stay in the cache: the fastest of 1 to 10 MiB on 8 x 8 maps


class Filtering(NamedTuple):
    """Minimal filtering of maps of one size, with K products: those of the rows' algorithm times those of the columns'.

    Axes longer than 4 are cut into tiles that use the same algorithm, so the K products are of all tiles of all images. Sums
    along an axis of `side` pixels are products with the matrices of `Axis`, one for the rows and one for the columns.
    """

    of_taps: AlongBothAxes  # (P, 3): the sums of a kernel's taps
    from_taps: AlongBothAxes  # (3, P), its transpose
    of_pixels: AlongBothAxes  # (tiles * P, side): the sums of pixels
    from_pixels: AlongBothAxes  # (side, tiles * P), its transpose
    to_outputs: AlongBothAxes  # (side, tiles * P): sums of products
    from_outputs: AlongBothAxes  # (tiles * P, side), its transpose
    tiles: tuple[int, int]  # along the rows' axis and along the columns'
    products: tuple[int, int]  # P of each axis


def is_faster(layer: nn.Conv2d, images: Tensor) -> bool:
    """Return whether `convolve` computes this layer faster than torch, in training with batches of 64 and more.

    The layer must have no groups, dilation or bias. Speed of forward and backward, as a multiple of torch's, on one thread
    of a Xeon with AVX-512 (with oneDNN held to AVX2):

        channels    64          64          128         64          128         64          64          32
        maps        8 x 8       4 x 4       4 x 4       16 x 16     16 x 16     24 x 24     32 x 32     8 x 8
        speed       1.4 (2.7)   1.4 (2.7)   1.9 (3.5)   1.3 (2.6)   1.8 (3.7)   1.4 (2.7)   1.4 (2.6)   1.0 (1.8)

    On 2 x 2 maps, as a multiple of the live taps' speed: 256 channels 1.5, 128 channels 1.1 to 1.3, 64 0.9.
    """
    if images.device.type != "cpu" or images.dtype not in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu"):
        return False  # GPU libraries have faster algorithms, and half precision is too coarse for the sums
    if (layer.kernel_size, layer.stride, layer.padding) != ((3, 3), (1, 1), (1, 1)):
        return False
    height, width = images.shape[2:]
    if height != width or not (height == 2 or (height % 4 == 0 and 4 <= height <= LARGEST)):
        return False
    return min(layer.in_channels, layer.out_channels) >= (128 if height == 2 else 64)


def sums_of_taps(weight: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the kernels (O, C, 3, 3) as `convolve` takes them for maps of `size` (height, width): (K, O, C)."""
    return _SumsOfTaps.apply(weight.permute(0, 2, 3, 1), size)  # type: ignore[no-any-return]


class _SumsOfTaps(torch.autograd.Function):
    """Sum the taps (O, 3, 3, C) to kernels (K, O, C)."""

    @staticmethod
    def forward(ctx: Any, taps: Tensor, size: tuple[int, ...]) -> Tensor:
        ctx.size = size
        use, (out, _, _, channels) = filtering(*size, taps.dtype), taps.shape
        kernels = taps.new_empty(math.prod(use.products), out, channels)
        use.of_taps(
            taps.contiguous(), _of_maps(3, 3, channels), out=kernels, count=out, channels=channels,
            to=_places_of_tiles((1, 1), use.products, channels, out * channels),
        )  # fmt: skip
        return kernels

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        use, (_, out, channels) = filtering(*ctx.size, gradient.dtype), gradient.shape
        of_taps = gradient.new_empty(out, 3, 3, channels)
        use.from_taps(
            gradient.contiguous(), _places_of_tiles((1, 1), use.products, channels, out * channels),
            out=of_taps, to=_of_maps(3, 3, channels), count=out, channels=channels,
        )  # fmt: skip
        return of_taps, None


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
            pixels = work.spread("pixels", use.of_pixels, maps[part], use)  # (K, n, C)
            work.gather(use.to_outputs, work.product(pixels, kernels.mT), use, out=outputs[part])
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        maps, kernels = ctx.saved_tensors
        use, work = filtering(*maps.shape[1:3], maps.dtype), _Workspace(maps)
        gradient, of_maps, of_kernels = gradient.contiguous(), torch.empty_like(maps), torch.empty_like(kernels)
        for number, part in enumerate(chunks(maps, kernels)):
            products = work.spread("products", use.from_outputs, gradient[part], use)  # (K, n, O)
            work.gather(use.from_pixels, work.product(products, kernels), use, out=of_maps[part])
            pixels = work.spread("pixels", use.of_pixels, maps[part], use)
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

    def spread(self, name: str, along: AlongBothAxes, maps: Tensor, use: "Filtering") -> Tensor:
        """Multiply maps (n, H, W, C) by a matrix along each axis, and return them by product: (K, n * tiles, C)."""
        n, channels, (down, across), (p, q) = len(maps), maps.shape[-1], use.tiles, use.products
        sums = self._take(name, n * down * across, p * q, channels)
        along(
            maps, _of_maps(*maps.shape[1:]), out=sums, count=n, channels=channels,
            to=_of_tiles(use, tile=p * q * channels, product=channels),
        )  # fmt: skip
        return sums.transpose(0, 1)

    def gather(self, along: AlongBothAxes, products: Tensor, use: "Filtering", *, out: Tensor) -> None:
        """Multiply products (K, n * tiles, C) by a matrix along each axis, into the maps `out` (n, H, W, C)."""
        channels = out.shape[-1]
        along(
            products, _of_tiles(use, tile=channels, product=products.stride(0)), out=out,
            to=_of_maps(*out.shape[1:]), count=len(out), channels=channels,
        )  # fmt: skip


@functools.cache
def _of_maps(height: int, width: int, channels: int) -> Layout:
    """Return where contiguous maps lie."""
    rows, columns = np.arange(height, dtype=np.int64), np.arange(width, dtype=np.int64)
    return Layout(height * width * channels, rows * width * channels, columns * channels)


@functools.cache
def _places_of_tiles(tiles: tuple[int, int], products: tuple[int, int], tile: int, product: int) -> Layout:
    """Return where products lie: those of the next tile `tile` numbers apart, and of the next product `product` apart."""
    (down, across), (p, q) = tiles, products
    rows = np.add.outer(np.arange(down) * across * tile, np.arange(p) * q * product)
    columns = np.add.outer(np.arange(across) * tile, np.arange(q) * product)
    return Layout(down * across * tile, rows.ravel().astype(np.int64), columns.ravel().astype(np.int64))


def _of_tiles(use: "Filtering", *, tile: int, product: int) -> Layout:
    """Return where the products of all tiles lie, those of the next tile `tile` and of the next product `product` apart."""
    return _places_of_tiles(use.tiles, use.products, tile, product)


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
    return Filtering(
        of_taps=AlongBothAxes(rows.of_taps, columns.of_taps, dtype),
        from_taps=AlongBothAxes(rows.of_taps.T, columns.of_taps.T, dtype),
        of_pixels=AlongBothAxes(rows.of_pixels, columns.of_pixels, dtype),
        from_pixels=AlongBothAxes(rows.of_pixels.T, columns.of_pixels.T, dtype),
        to_outputs=AlongBothAxes(rows.to_outputs, columns.to_outputs, dtype),
        from_outputs=AlongBothAxes(rows.to_outputs.T, columns.to_outputs.T, dtype),
        tiles=(len(rows.of_pixels) // len(rows.of_taps), len(columns.of_pixels) // len(columns.of_taps)),
        products=(len(rows.of_taps), len(columns.of_taps)),
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
