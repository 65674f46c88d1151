"""What a step is fed: an epoch's batches as pairs of random views, made on the device, several batches at a time.

Every random number is the host's, from one counted stream a view that is read image by image. So a seed gives the same
batches and, to rounding, the same views on any device and however many batches are made at once, and the device is never
waited for.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.randomness import make_generator
from vicreg.training.settings import PretrainSettings
from vicreg.views.pipeline import two_views

# Bytes of one view that are made at once. On a CPU about what its second-level cache holds (1 MiB: small batches are made
# several at a time, of larger ones each by itself). On a GPU enough work to hide some hundred launches.
_AT_ONCE = {"cpu": 2**20, "cuda": 2**28}


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
    """The epoch's batches in order: so many views each, (batch_size, C, size, size) float32 on `device`, channels last.

    Args:
        images: the training images (N, C, H, W) uint8, where `vicreg.training.memory.place` put them.
        size: side of a view, pixels.
        epoch: counted from 0; it decides the permutation and the views.
        steps: how many batches are taken; the last may be short.
        views: of each image. The settings' two kinds take turns, and each view has a stream of random numbers of its own.
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
    return max(1, _AT_ONCE.get(device.type, _AT_ONCE["cuda"]) // bytes_of_batch)
