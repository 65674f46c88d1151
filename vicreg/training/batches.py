"""An epoch's batches of random views, made on the device.

All random numbers are drawn on the host, image by image, from one stream a view. A seed therefore gives the same batches
and, to rounding, the same views on any device, however many batches are made at once. Nothing waits for the device.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.randomness import make_generator
from vicreg.training.settings import PretrainSettings
from vicreg.views.pipeline import two_views

# Bytes of one view that are made at once. On a CPU about what its second-level cache holds, 1 MiB: several small batches, or
# one large one. On a GPU enough work to hide some hundred kernel launches.
BYTES_AT_ONCE = {"cpu": 2**20, "cuda": 2**28}


def epoch_of_views(
    settings: PretrainSettings,
    dataset: Dataset,
    images: Tensor,
    *,
    device: torch.device,
    size: int,
    epoch: int,
    steps: int,
    views: int = 2,
) -> Iterator[tuple[Tensor, ...]]:
    """Yield an epoch's batches in order, each as a tuple of views.

    A view is (batch_size, C, size, size), float32 on `device`, channels last.

    Args:
        settings: of the run: its seed, batch size and two kinds of views.
        dataset: its channels' mean and standard deviation normalise the views.
        images: the training images (N, C, H, W) uint8, where `vicreg.training.memory.place` put them.
        device: where views are made.
        size: side of a view, pixels.
        epoch: counted from 0; it decides the permutation and the views.
        steps: the number of batches; the last may be short.
        views: how many of each image. They are of the settings' first and second kind in turn. Each has its own stream of
            random numbers, so the first two are the same for any number.
    """
    order = torch.randperm(len(images), generator=make_generator(settings.seed, "order", epoch))
    order = order[: steps * settings.batch_size]
    mean, std = (torch.tensor(values, device=device) for values in (dataset.mean, dataset.std))
    pairs = [
        [make_generator(settings.seed, f"view-{number}", epoch) for number in (first, first + 1)]
        for first in range(1, views + 1, 2)
    ]
    for indices in order.split(settings.batch_size * _batches_at_once(settings, images, device, size)):
        batch = images.index_select(0, indices.to(images.device)).to(device, non_blocking=True)
        made: list[Tensor] = []
        for pair in pairs:
            made += two_views(
                batch, settings=settings.views, size=size, mean=mean, std=std, generator=pair, compiled=settings.compile
            )
        yield from zip(*(view.split(settings.batch_size) for view in made[:views]), strict=True)


def _batches_at_once(settings: PretrainSettings, images: Tensor, device: torch.device, size: int) -> int:
    bytes_of_batch = 4 * settings.batch_size * images.shape[1] * size**2
    return max(1, BYTES_AT_ONCE.get(device.type, BYTES_AT_ONCE["cuda"]) // bytes_of_batch)
