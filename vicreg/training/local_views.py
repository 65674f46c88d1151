"""Smaller views of the images of a batch (multi-crop, arXiv 2006.09882, Section 3.2)."""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.methods.base import Method
from vicreg.randomness import make_generator
from vicreg.training.batches import drawn_ahead, images_at_once
from vicreg.training.memory import images_of
from vicreg.training.settings import PretrainSettings
from vicreg.views.pipeline import draw_two_views, make_two_views
from vicreg.views.plan import ViewPlan
from vicreg.views.settings import ViewSettings
from vicreg.views.transfer import send


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
    """Yield the batches, each followed by the method's smaller views of its images.

    A smaller view is (n, C, `method.local_size`, `method.local_size`), float32 on `device`, channels last. Its crop has a
    share of the image's area in `method.local_crop_scale`. All else is of the settings' first and second kind of view in
    turn, as in the authors' code, whose crops of all sizes have the same distortions.

    Batches are passed on as they are. Each smaller view has its own stream of random numbers, so no other view depends on
    how many of them there are.

    Args:
        batches: an epoch's, of `epoch_of_views` with the same settings, images, epoch and steps.
        method: says how many smaller views there are, of which size and which crops.
        settings, dataset, images, device, epoch, steps: as `epoch_of_views` takes them.

    Raises:
        ValueError: where there are more or fewer batches than the steps have images for.
    """
    if method.local_views == 0:
        return batches
    local = _epoch_of_local_views(method, settings, dataset, images, device=device, epoch=epoch, steps=steps)
    return ((*views, *smaller) for views, smaller in zip(batches, local, strict=True))


def local_view_settings(views: tuple[ViewSettings, ViewSettings], method: Method) -> tuple[ViewSettings, ViewSettings]:
    """Return the two kinds of a method's smaller views: those of whole views, with the method's range of crops."""
    first, second = (dataclasses.replace(view, crop_scale=method.local_crop_scale) for view in views)
    return first, second


def _epoch_of_local_views(
    method: Method,
    settings: PretrainSettings,
    dataset: Dataset,
    images: Tensor,
    *,
    device: torch.device,
    epoch: int,
    steps: int,
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the smaller views of an epoch's batches, in the order of `epoch_of_views`."""
    order = torch.randperm(len(images), generator=make_generator(settings.seed, "order", epoch))
    order = order[: steps * settings.batch_size]
    channels, height, width = images.shape[1:]
    kinds = local_view_settings(settings.views, method)
    pairs = [
        [make_generator(settings.seed, f"local-view-{number}", epoch) for number in (first, first + 1)]
        for first in range(1, method.local_views + 1, 2)
    ]

    def draw(indices: Tensor) -> tuple[Tensor, list[list[ViewPlan]]]:
        return indices, [
            draw_two_views(
                len(indices), channels=channels, height=height, width=width, settings=kinds, generator=pair,
                compiled=settings.compile,
            )
            for pair in pairs
        ]  # fmt: skip

    drawn = map(draw, order.split(images_at_once(settings, images, device, method.local_size, len(order))))
    for indices, plans in drawn_ahead(drawn) if device.type == "cuda" else drawn:
        batch = images_of(images, indices, *send([indices], device))
        made: list[Tensor] = []
        for pair in plans:
            made += make_two_views(batch, pair, size=method.local_size, mean=dataset.mean, std=dataset.std)
        yield from zip(*(view.split(settings.batch_size) for view in made[: method.local_views]), strict=True)
