"""How fast a run trains on this machine, from a few steps."""

import dataclasses
import time
from collections.abc import Callable
from contextlib import suppress

import torch

from vicreg.data.dataset import Dataset
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.dry_pass import compact_dead_taps
from vicreg.training.loop import Diverged, train_epoch
from vicreg.training.memory import keep_freed_memory, place, place_network
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, set_deterministic, steps_per_epoch, training_images
from vicreg.training.step import TrainStep


def measure_throughput(
    settings: PretrainSettings,
    dataset: Dataset,
    *,
    device: torch.device,
    steps: int,
    seconds: float = 0.0,
    before: Callable[[], None] = lambda: None,
) -> float:
    """Train a new model for at least `steps` steps and `seconds`, and return images per second.

    Two steps before that warm up, and on a GPU capture the graph; `before` is called after them. What a run does between
    epochs (metrics of held-out images, checkpoints) is not timed. The model is discarded.

    Where several processes train a run, one is timed on whole batches: the run is faster by what they share.

    A step takes as long whatever comes out of it, so settings with which a run diverges are timed like any other.
    """
    settings = dataclasses.replace(settings, processes=1)
    set_deterministic(settings)
    keep_freed_memory()
    model = place_network(new_model(settings, dataset), device)
    compact_dead_taps(model, settings, dataset)
    step: TrainStep | GraphedStep = TrainStep(settings, model, make_optimizer(settings, model), device=device)
    images = place(training_images(settings, dataset), device)
    settings = _without_schedule(settings)
    most = steps_per_epoch(settings, len(images))
    steps, seen = min(steps, most), 0

    def train(count: int) -> None:
        nonlocal step
        with suppress(Diverged):  # which is found when all steps have been taken
            _, step = train_epoch(settings, dataset, step, images, device=device, epoch=0, steps=count)

    train(min(2, most))
    before()
    started = time.perf_counter()
    while seen == 0 or time.perf_counter() - started < seconds:
        train(steps)  # reads its metrics, so it waits for the device
        seen += min(steps * settings.batch_size, len(images))
    return seen / (time.perf_counter() - started)


def _without_schedule(settings: PretrainSettings) -> PretrainSettings:
    """Return the settings of an epoch at a learning rate of 0, which leaves the network as it is."""
    return dataclasses.replace(
        settings, epochs=1, stop_after=None, warmup_epochs=0.0, base_lr=0.0, start_lr=0.0, end_lr=0.0
    )  # fmt: skip
