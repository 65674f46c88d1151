"""Pretraining: the loop that turns settings and images into an encoder.

for each epoch:  a permutation of the images, cut into batches, views of each (batches.py)
    for each batch:  views -> model -> loss -> gradients -> optimiser (step.py), at the schedule's learning rate
    a record of the log, with collapse metrics of held-out images; a checkpoint
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.distributed.collectives import has_joined, is_first
from vicreg.methods.base import Method
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.collapse import collapse_trace
from vicreg.metrics.features import HELD_OUT_IMAGES, encode, encoded_at_once, evenly_spread, held_out
from vicreg.metrics.knn import knn_scores
from vicreg.models.compact_taps import expand, go_on
from vicreg.training.batches import epoch_of_views
from vicreg.training.checkpoint import (
    CheckpointInterval,
    latest_checkpoint,
    load_checkpoint,
    restore_optimizer,
    save_checkpoint,
)
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.dry_pass import compact_dead_taps
from vicreg.training.labels import with_labels
from vicreg.training.local_views import with_local_views
from vicreg.training.memory import keep_freed_memory, place, place_network
from vicreg.training.processes import share, started_processes
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import (
    learning_rates,
    make_optimizer,
    new_model,
    normalised,
    set_deterministic,
    steps_per_epoch,
    training_count,
    training_images,
    view_size,
)
from vicreg.training.step import TrainStep, step_metric_names

# The k-NN that is logged while training (`probe_every`). The temperature is that of arXiv 1805.01978. k is the smaller of
# the usual two, 20 and 200, since the bank holds `HELD_OUT_IMAGES` of the training images alone.
_PROBE_NEIGHBOURS, _PROBE_TEMPERATURE = 20, 0.07
# How often a GPU logs ranks: in the source paper's 100 epochs, of about a second each, every tenth. Estimated, not measured:
# two decompositions in float64, of 0.1 to 0.2 s, are then 1 to 2 % of the run.
_RANKS_ON_A_GPU = 10

Keep = Callable[[Method, torch.optim.Optimizer, list[dict[str, Any]]], None]  # takes the state in which a run ends


class Diverged(RuntimeError):
    """The loss, a gradient or the network stopped being finite; the message names the epoch."""


class Pretrained(NamedTuple):
    """A trained model and its log, one record an epoch."""

    model: Method
    history: list[dict[str, Any]]


def pretrain(
    settings: PretrainSettings,
    dataset: Dataset,
    *,
    device: torch.device,
    folder: Path,
    identity: str,
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None,
    start: Mapping[str, Tensor] | None = None,
    keep: Mapping[int, Keep] = MappingProxyType({}),
) -> Pretrained:
    """Train a model, or go on where `folder` holds a checkpoint of the same run.

    Where the settings name several processes, this one starts the others, and they end with it. It alone logs, measures and
    writes.

    Args:
        settings: of the run.
        dataset: its `train` split is trained on, and its `validation` split is only measured; with `train_on: all` both are
            trained on, and validation is measured as well.
        device: where data, views and model live.
        folder: for checkpoints.
        identity: digest of the run; a checkpoint of another run is refused.
        on_epoch: called with each epoch's record. Where the epoch has a checkpoint (`CheckpointInterval`), that is on disk
            before. An exception that it raises ends the run.
        start: the backbone's state dict to start from, where the settings name `weights`; None where they are drawn.
        keep: for runs that are the same but for an earlier `stop_after`: that epoch -> what is called with the model, the
            optimiser and the log with which such a run ends.

    Raises:
        InputError: for settings that do not fit the data, an unreadable checkpoint, or a full disk.
        Diverged: when the loss or the network stops being finite. The last finite checkpoint is kept.
    """
    assert (settings.weights is None) == (start is None), "weights are handed on by whoever reads them"
    if settings.distributed:
        if not has_joined():
            with started_processes(settings, dataset, device=device, folder=folder, identity=identity, start=start):
                return pretrain(
                    settings, dataset, device=device, folder=folder, identity=identity, on_epoch=on_epoch, start=start,
                    keep=keep,
                )  # fmt: skip
    set_deterministic(settings)
    keep_freed_memory()
    dataset = normalised(settings, dataset)
    model = place_network(new_model(settings, dataset, start=start), device)
    steps = steps_per_epoch(settings, training_count(settings, dataset))
    if settings.epochs == 0:
        return Pretrained(model, [])
    compact_dead_taps(model, settings, dataset)
    if settings.distributed:
        share(model, settings)
    optimizer = make_optimizer(settings, model)
    history: list[dict[str, Any]] = []
    checkpoint_path = latest_checkpoint(folder)
    if checkpoint_path is not None:
        checkpoint = load_checkpoint(checkpoint_path, identity=identity)
        go_on(model, checkpoint.weights, checkpoint.dead_norms)
        restore_optimizer(optimizer, checkpoint.optimizer)
        history = checkpoint.history
    step: TrainStep | GraphedStep = TrainStep(settings, model, optimizer, device=device)
    images = place(training_images(settings, dataset), device)
    watched = held_out(dataset).to(device)
    interval = CheckpointInterval(
        every=settings.checkpoint_every, share=settings.checkpoint_share, last=settings.trained_epochs
    )
    for epoch in range(len(history), settings.trained_epochs):
        started = time.perf_counter()
        record, step = train_epoch(settings, dataset, step, images, device=device, epoch=epoch, steps=steps)
        if settings.distributed:
            if not is_first():
                history.append(record)
                continue
        seen = min(steps * settings.batch_size, len(images))
        record["images_per_second"] = seen / (time.perf_counter() - started)
        record.update(measure_epoch(settings, dataset, model, watched, device=device, epoch=epoch))
        history.append(record)
        if epoch + 1 in keep:  # before this run's own checkpoint, after which it is not asked for again
            ended = dataclasses.replace(settings, stop_after=epoch + 1)
            last = measure_epoch(ended, dataset, model, watched, device=device, epoch=epoch)
            keep[epoch + 1](model, optimizer, [*history[:-1], record | last])
        if interval.due(epoch + 1):
            with interval.saving():
                save_checkpoint(folder, identity=identity, model=model, optimizer=optimizer, history=history)
        on_epoch(record)
    expand(model)
    return Pretrained(model, history)


def train_epoch(
    settings: PretrainSettings,
    dataset: Dataset,
    step: TrainStep | GraphedStep,
    images: Tensor,
    *,
    device: torch.device,
    epoch: int,
    steps: int,
) -> tuple[dict[str, Any], TrainStep | GraphedStep]:
    """Train an epoch; return the means of the step's metrics, and the step to train the next epoch with.

    On a GPU that is the step captured as a graph, at the first full batch, unless the settings have no graph.

    Args:
        settings: of the run.
        dataset: whose channel statistics normalise the views.
        step: a step on the model, captured or not.
        images: the training images (N, C, H, W), uint8.
        device: where views and model live.
        epoch: counted from 0.
        steps: the number of batches.

    Raises:
        Diverged: where a mean is not finite.
    """
    step.reset()
    batches = epoch_of_views(
        settings, dataset, images, device=device, size=view_size(settings, images), epoch=epoch, steps=steps,
        views=step.model.VIEWS,
    )  # fmt: skip
    if step.model.LOCAL_VIEWS:
        batches = with_local_views(
            batches, step.model, settings, dataset, images, device=device, epoch=epoch, steps=steps
        )  # fmt: skip
    if step.model.WANTS_LABELS:
        batches = with_labels(batches, settings, dataset, device=device, epoch=epoch)
    last = max(1, settings.epochs * steps - 1)
    for number, (views, lr) in enumerate(
        zip(batches, learning_rates(settings, steps, epoch), strict=True), start=epoch * steps
    ):
        whole = len(views[0]) == settings.batch_size
        if device.type == "cuda" and settings.graph and isinstance(step, TrainStep) and whole:
            step = GraphedStep(step, *views)
        step(*views, learning_rate=lr, progress=number / last)
    names = step_metric_names(step.model)
    means = dict(zip(names, (step.totals / steps).tolist(), strict=True))  # the epoch's only wait for the device
    if not all(math.isfinite(value) for value in means.values()):
        raise Diverged(f"the loss stopped being finite in epoch {epoch + 1} of {settings.epochs}")
    weighted = {f"weighted_{name}": weight * means[name] for name, weight in step.model.coefficients().items()}
    return {"epoch": epoch + 1, "learning_rate": lr, **means, **weighted}, step


def measure_epoch(
    settings: PretrainSettings, dataset: Dataset, model: Method, images: Tensor, *, device: torch.device, epoch: int
) -> dict[str, Any]:
    """Return what is logged of the model after an epoch, counted from 0: `watch`, and the k-NN accuracy where it is due."""
    measured = watch(settings, dataset, model, images, epoch=epoch)
    if settings.probe_every is not None:
        due = (epoch + 1) % settings.probe_every == 0 or epoch + 1 == settings.trained_epochs
        measured["knn"] = probe(settings, dataset, model, device=device) if due else None
    return measured


def watch(settings: PretrainSettings, dataset: Dataset, model: Method, images: Tensor, *, epoch: int) -> dict[str, Any]:
    """Return the quick collapse metrics of held-out images, for representations and embeddings.

    On a GPU ranks are among them only where `rank_is_due`.

    The images (N, C, H, W) uint8 are not augmented, and the model is in eval mode.

    Raises:
        Diverged: where a weight or an embedding is not finite. After an epoch's last step no loss shows it.
    """
    size = view_size(settings, images)
    at_once = encoded_at_once(images.device, channels=images.shape[1], size=size)
    encoded = encode(model, images, size=size, mean=dataset.mean, std=dataset.std, batch_size=at_once)
    if not all_finite((*encoded, *model.parameters(), *model.buffers())):
        raise Diverged(f"the network stopped being finite in epoch {epoch + 1} of {settings.epochs}")
    last = epoch + 1 == settings.trained_epochs
    rank = last or rank_is_due(epoch, epochs=settings.epochs, device=images.device)
    return {
        "representations": collapse_trace(encoded.representations, rank=rank),
        "embeddings": collapse_trace(encoded.embeddings, rank=rank),
    }


def rank_is_due(epoch: int, *, epochs: int, device: torch.device) -> bool:
    """Return whether the ranks of features are logged after `epoch`, counted from 0, of `epochs`.

    The eigenvalues of a 2048 x 2048 matrix take as long on a GPU as a good part of its epoch, and on a CPU as a small part
    of one. So a GPU logs them about `_RANKS_ON_A_GPU` times in a run, evenly spread, and at its end.
    """
    if device.type != "cuda":
        return True
    return (epoch + 1) % math.ceil(epochs / _RANKS_ON_A_GPU) == 0 or epoch + 1 == epochs


@torch.no_grad()
def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether all numbers of tensors on one device are finite, for which it is waited for once.

    The largest absolute value of a tensor is finite where all its values are. No sum is formed that could overflow.
    """
    numbers = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.numel() > 0]
    return not numbers or bool(torch.stack(torch._foreach_norm(numbers, ord=math.inf)).isfinite().all())


def probe(settings: PretrainSettings, dataset: Dataset, model: Method, *, device: torch.device) -> float:
    """Return the top-1 accuracy of a weighted k-NN of representations on validation images, in [0, 1].

    Its neighbours are a fixed part of the train split, so it takes a fraction of an epoch's time, and no query is its own
    neighbour. With `train_on: all` the queries were trained on: without their labels, unless the method takes them. Test
    images are not used.
    """
    bank = evenly_spread(len(dataset.train.images), HELD_OUT_IMAGES)
    queries = evenly_spread(len(dataset.validation.images), HELD_OUT_IMAGES)
    size = view_size(settings, dataset.train.images)
    at_once = encoded_at_once(device, channels=dataset.train.images.shape[1], size=size)
    features, asked = (
        encode(model, images.to(device), size=size, mean=dataset.mean, std=dataset.std, batch_size=at_once).representations
        for images in (dataset.train.images[bank], dataset.validation.images[queries])
    )
    scores = knn_scores(
        features, dataset.train.labels[bank].to(device), asked,
        classes=len(dataset.classes), k=_PROBE_NEIGHBOURS, temperature=_PROBE_TEMPERATURE,
    )  # fmt: skip
    return accuracy(scores, dataset.validation.labels[queries].to(device)).top1
