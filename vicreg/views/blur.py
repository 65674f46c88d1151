"""Blur each image of a batch with a Gaussian of its own width."""

import functools

import torch
from torch import Tensor

_BLUR_REACH = 3.0  # the kernel holds ceil(3 sigma) pixels each way: 99.7 % of the Gaussian's mass, then normalised


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    return _separable(x, _blur_matrix(sigma, x.shape[1]))


def _separable(x: Tensor, kernel: Tensor) -> Tensor:
    """K X K^T of each sample and channel: square images (n, S, C, S), kernels (n, S, S)."""
    n, size, channels, _ = x.shape
    rows = kernel @ x.view(n, size, channels * size)
    return (rows.view(n, size * channels, size) @ kernel.mT).view_as(x)


def _blur_matrix(sigma: Tensor, size: int) -> Tensor:
    """The (n, size, size) matrices of a Gaussian blur with reflected borders, of radius min(ceil(3 sigma), size - 1).

    K[i, j] is the sum of the kernel at the distances from i at which j is seen; taken as a product, which is cubic in size:
    at 32 pixels twice as fast as picking entries by an index, at 224 five times as slow. Reflection that does not repeat the
    border pixel reaches size - 1 far at most, as torch's does, so the radius ends there.
    """
    distance = torch.arange(size, device=sigma.device)
    radius = torch.ceil(_BLUR_REACH * sigma).clamp(max=size - 1)[:, None]
    kernel = torch.exp(-0.5 * (distance / sigma[:, None]).square()) * (distance <= radius)  # (n, size)
    kernel /= 2 * kernel.sum(dim=1, keepdim=True) - 1  # both sides, the middle once; the middle is exp(0)
    find = _seen_at.__wrapped__ if torch.compiler.is_compiling() else _seen_at  # a compiler cannot look into a cache
    return (kernel @ find(size, sigma.device)).view(-1, size, size)  # exact: a sum of at most three entries


@functools.lru_cache(maxsize=4)
def _seen_at(size: int, device: torch.device) -> Tensor:
    """(size, size * size): how often pixel i sees pixel j at distance d, at [d, i * size + j]: directly, |i - j|; in the
    mirror before the first pixel, i + j; and in the one behind the last, 2 (size - 1) - i - j."""
    pixel = torch.arange(size, device=device)
    distance, i, j = pixel[:, None, None], pixel[:, None], pixel
    direct = (i - j).abs() == distance
    before = (i + j == distance) & (j >= 1)
    behind = (2 * (size - 1) - i - j == distance) & (j <= size - 2)
    return (direct.float() + before.float() + behind.float()).view(size, size * size)
