"""Add labels to the batches of an epoch, for methods that are trained with them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.randomness import make_generator
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import training_labels


def with_labels(
    batches: Iterator[tuple[Tensor, ...]], settings: PretrainSettings, dataset: Dataset, *, device: torch.device, epoch: int
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the batches of views, each followed by the labels (n,) of its images, int64, on `device`.

    Views may be of this process's part of a batch. Labels are of the whole batch, as its gathered embeddings are.
    The order of images is that of `epoch_of_views`, whose permutation depends on the seed and the epoch alone.
    """
    labels = training_labels(settings, dataset)
    order = torch.randperm(len(labels), generator=make_generator(settings.seed, "order", epoch))
    labels = labels[order].to(device)  # once an epoch; a batch then waits for nothing
    start = 0
    for views in batches:
        count = len(views[0]) * settings.processes if settings.distributed else len(views[0])
        yield (*views, labels[start : start + count])
        start += count
