"""A pass that finds which taps of a model's convolutions its training never uses."""

import copy

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.methods.base import Method
from vicreg.models.compact_taps import Maps, compact, maps_seen
from vicreg.models.live_taps import convolves_plainly
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import view_size

_IMAGES = 8  # of the pass: enough for BatchNorm and for statistics of a batch


def compact_dead_taps(model: Method, settings: PretrainSettings, dataset: Dataset) -> None:
    """Make a new model's dead taps cost nothing in training, where it is on a CPU; `expand` gives it whole kernels again.

    The loss of a few images, of a copy of the model, shows on which maps each convolution is trained. Their sizes depend
    neither on what is in the images nor on their number. Where that pass fails, all taps are kept, and training says why.
    """
    if convolves_plainly(next(model.parameters()).device):
        return
    # A method may refuse so few images.
    maps = _maps_of_loss(model, settings, dataset, count=min(_IMAGES, settings.batch_size)) or _maps_of_loss(
        model, settings, dataset, count=settings.batch_size
    )  # fmt: skip
    compact(model, maps)


def _maps_of_loss(model: Method, settings: PretrainSettings, dataset: Dataset, *, count: int) -> Maps:
    """Return on which maps the loss of `count` images convolves, by layer; nothing where it cannot be computed."""
    tried = copy.deepcopy(model).train()
    with maps_seen(tried) as seen, torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            tried.loss(_views(tried, settings, dataset, count), progress=torch.zeros(()))
        except Exception:  # whatever a method raises; training says why
            return {}
    return {name: frozenset(maps) for name, maps in seen.items()}


def _views(model: Method, settings: PretrainSettings, dataset: Dataset, count: int) -> list[Tensor]:
    """Return what a step on `count` images gives to the method's loss: views of noise, local ones, labels."""
    images = dataset.train.images
    random = torch.Generator().manual_seed(0)
    sides = [view_size(settings, images)] * model.VIEWS
    if model.LOCAL_VIEWS:
        sides += [model.local_size] * model.local_views
    views = [
        torch.randn(count, images.shape[1], side, side, generator=random).contiguous(memory_format=torch.channels_last)
        for side in sides
    ]
    return [*views, torch.zeros(count, dtype=torch.int64)] if model.WANTS_LABELS else views
