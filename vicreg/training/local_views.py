"""Smaller views of the images of a batch (multi-crop, arXiv 2006.09882, Section 3.2)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.methods.base import Method
from vicreg.training.settings import PretrainSettings


def with_local_views(
    batches: Iterator[tuple[Tensor, ...]],
    method: Method,
    settings: PretrainSettings,
    dataset: Dataset,
    images: Tensor,
    *,
    device: torch.device,
    epoch: int,
    steps: int,
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the batches, each followed by the method's smaller views of its images."""
    raise NotImplementedError
