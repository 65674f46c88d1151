"""Embeddings (n, d) that are healthy, or collapsed in a known way, by construction."""

import torch
from torch import Tensor

ROWS, WIDTH = 400, 32


def healthy(*, scale: float = 1.0) -> Tensor:
    """Return independent dimensions of standard deviation `scale`."""
    return scale * torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))


def near_constant(*, scale: float = 1.0) -> Tensor:
    """Return rows that share a constant of size `scale` in each dimension, but for a hundredth of it."""
    return scale + healthy(scale=0.01 * scale)


def copies(*, scale: float = 1.0) -> Tensor:
    """Return copies of one dimension of standard deviation `scale`, but for a hundredth of it."""
    return healthy(scale=scale)[:, :1] + 0.01 * healthy(scale=scale)


def on_sphere(rows: Tensor) -> Tensor:
    """Return rows of length 1."""
    return torch.nn.functional.normalize(rows, dim=1)
