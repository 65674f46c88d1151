"""How fast a run trains on this machine, from a few steps."""

import time
from collections.abc import Callable

import torch

from vicreg.data.dataset import Dataset
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.loop import train_epoch
from vicreg.training.memory import keep_freed_memory, place, place_network
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, set_deterministic, steps_per_epoch
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
    """
    set_deterministic(settings)
    keep_freed_memory()
    model = place_network(new_model(settings, dataset), device)
    step: TrainStep | GraphedStep = TrainStep(settings, model, make_optimizer(settings, model), device=device)
    images = place(dataset.train.images, device)
    most = steps_per_epoch(settings, len(images))
    steps, seen = min(steps, most), 0
    _, step = train_epoch(settings, dataset, step, images, device=device, epoch=0, steps=min(2, most))
    before()
    started = time.perf_counter()
    while seen == 0 or time.perf_counter() - started < seconds:
        _, step = train_epoch(settings, dataset, step, images, device=device, epoch=0, steps=steps)  # reads its metrics,
        seen += min(steps * settings.batch_size, len(images))  # so it waits for the device
    return seen / (time.perf_counter() - started)
