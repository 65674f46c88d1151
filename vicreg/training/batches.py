"""An epoch's batches of random views, made on the device.

All random numbers are drawn on the host, image by image, from one stream a view. A seed therefore gives the same batches
and, to rounding, the same views on any device, however many batches are made at once. On a GPU nothing waits for the
device: a thread draws the next batches' numbers meanwhile, and they are sent in one copy from pinned memory.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.distributed.collectives import own_rows
from vicreg.randomness import make_generator
from vicreg.training.memory import images_of
from vicreg.training.settings import PretrainSettings
from vicreg.views.parameters import ViewParameters
from vicreg.views.pipeline import draw_two_views, make_two_views
from vicreg.views.plan import ViewPlan, plan_view
from vicreg.views.transfer import send

# Bytes of one view that are made at once. On a CPU about what its second-level cache holds, 1 MiB: several small batches, or
# one large one. On a GPU enough work to hide some hundred kernel launches.
BYTES_AT_ONCE = {"cpu": 2**20, "cuda": 2**28}
# On a GPU, which would wait for an epoch's first views, these are few: so many bytes at once, and then each time so many
# times more. Drawing for 4 batches takes less time than training on one, by a factor of 1.6 at 2.5 ms a step.
_FIRST_BYTES, _GROWTH = 2**22, 4


class _Drawn(NamedTuple):
    """What is drawn on the host for batches that are made at once: indices (n,) of images, and a plan for each two views."""

    indices: Tensor
    plans: list[list[ViewPlan]]


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
    pairs = [
        [make_generator(settings.seed, f"view-{number}", epoch) for number in (first, first + 1)]
        for first in range(1, views + 1, 2)
    ]
    channels, height, width = images.shape[1:]

    def draw(indices: Tensor) -> _Drawn:
        plans = [
            draw_two_views(
                len(indices), channels=channels, height=height, width=width, settings=settings.views, generator=pair,
                compiled=settings.compile,
            )
            for pair in pairs
        ]  # fmt: skip
        if settings.distributed:
            return _own_rows(indices, plans, batch_size=settings.batch_size, channels=channels)
        return _Drawn(indices, plans)

    drawn: Iterator[_Drawn] = map(draw, order.split(images_at_once(settings, images, device, size, len(order))))
    for one in drawn_ahead(drawn) if device.type == "cuda" else drawn:
        batch, plans = _on_device(one, images, device)
        made: list[Tensor] = []
        for pair in plans:
            made += make_two_views(batch, pair, size=size, mean=dataset.mean, std=dataset.std)
        yield from zip(
            *(view.split(own_count(settings) if settings.distributed else settings.batch_size) for view in made[:views]),
            strict=True,
        )


def own_count(settings: PretrainSettings) -> int:
    """Return how many rows of a full batch are this process's."""
    return settings.batch_size // settings.processes


def _own_rows(indices: Tensor, plans: list[list[ViewPlan]], *, batch_size: int, channels: int) -> _Drawn:
    """Return what was drawn for this process's part of each batch: its equal share of rows, in order.

    Rows of views depend on their own parameters alone, so they are those of one process, bit for bit.
    """
    mine = torch.cat([own_rows(batch) for batch in torch.arange(len(indices)).split(batch_size)])

    def own(plan: ViewPlan) -> ViewPlan:
        of_both_views = len(plan.parameters.top) > len(indices)  # one plan of both views, the first view's rows first
        rows = torch.cat((mine, len(indices) + mine)) if of_both_views else mine
        parameters = ViewParameters(*(tensor[rows] for tensor in plan.parameters))
        return plan_view(
            parameters, channels=channels, solarize_threshold=plan.solarize_threshold, static=plan.static
        )  # fmt: skip

    return _Drawn(indices[mine], [[own(plan) for plan in pair] for pair in plans])


Item = TypeVar("Item")


def drawn_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield items in their order, each made in a thread while the one before it is in use."""
    end = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item  # type: ignore[misc]  # it is not the end


def _on_device(drawn: _Drawn, images: Tensor, device: torch.device) -> tuple[Tensor, list[list[ViewPlan]]]:
    """Return the images (n, C, H, W) that were drawn, and the plans, all on `device`, without waiting for it."""
    tensors = [tensor for pair in drawn.plans for plan in pair for tensor in plan.tensors()]
    indices, *sent = send([drawn.indices, *tensors], device)
    following = iter(sent)
    plans = [[plan.holding(following) for plan in pair] for pair in drawn.plans]
    return images_of(images, drawn.indices, indices), plans


def images_at_once(settings: PretrainSettings, images: Tensor, device: torch.device, size: int, count: int) -> list[int]:
    """Return of how many of an epoch's `count` images the views are made at once, whole batches, in order."""
    of_batch = 4 * settings.batch_size * images.shape[1] * size**2
    most = BYTES_AT_ONCE.get(device.type, BYTES_AT_ONCE["cuda"])
    bytes_at_once = min(most, _FIRST_BYTES) if device.type == "cuda" else most
    counts: list[int] = []
    while (left := count - sum(counts)) > 0:
        counts.append(min(left, settings.batch_size * max(1, bytes_at_once // of_batch)))
        bytes_at_once = min(most, _GROWTH * bytes_at_once)
    return counts
