"""Walks through training, evaluation and runs on the pretended device, and counts.

It is started by `python -m benchmarks.pretended_cuda`, in a process whose environment `build.environment` gives.
"""

import argparse
import dataclasses
import itertools
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import ROOT, machine, noise_images, write
from benchmarks.pretended_cuda.events import Seen, seen
from study.cli.arguments import positive
from study.config.config import Config
from study.config.load import load_config
from study.runs.execute import execute
from study.runs.outcomes import FINISHED
from study.runs.run import make_run
from study.runs.store import Store
from vicreg.data.dataset import Dataset
from vicreg.evaluation.evaluate import PROBES, evaluate
from vicreg.training.batches import epoch_of_views
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.loop import pretrain, probe, watch
from vicreg.training.memory import place, place_network
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import make_optimizer, new_model, set_deterministic
from vicreg.training.step import TrainStep

GPU = torch.device("cuda")
OPTIMIZERS, PRECISIONS, PASSES = ("lars", "sgd", "adamw"), ("float32", "bfloat16"), ("separate", "together", "joint")
COUNTED_STEPS = 4
# What is walked through for its errors alone is small; what is counted has the source paper's network, batches and images.
SMALL = {
    "pretrain.backbone": "resnet18", "pretrain.width": 8, "pretrain.expander": [32, 32], "pretrain.epochs": 2,
    "pretrain.warmup_epochs": 1, "pretrain.batch_size": 64, "evaluate.linear.epochs": 2, "pretrain.threads": 1,
}  # fmt: skip


class Stopped(Exception):
    """Ends a run in the middle, as Ctrl-C does."""


def main() -> int:
    arguments = parse_arguments()
    small = load_config(path=ROOT / "params.yaml", profile="cifar10", settings=SMALL)
    paper = load_config(path=ROOT / "params.yaml", profile="cifar10", settings={"pretrain.threads": 1})
    found: dict[str, Any] = {"machine": machine(GPU), "images": arguments.images, "walked": {}}
    set_deterministic(small.pretrain)
    for name, walk in itertools.chain(walks(small), counts(paper, images=arguments.images)):
        if any(word in name for word in arguments.only or [""]):
            found["walked"][name] = one = attempt(walk)
            print(name, "-" if one["error"] else "ok", one["summary"], one["error"] or "", flush=True)
            write(arguments.out, found)
    wrong = [name for name, one in found["walked"].items() if one["error"] or one["summary"]["forbidden"]]
    print(f"{len(found['walked'])} walked through, {len(wrong)} with an error or what a capture forbids", *wrong, sep="\n")
    return 1 if wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretended_cuda", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--images", type=positive, default=45_000, help="training images of the epochs that are counted")
    parser.add_argument("--only", action="append", metavar="WORD", help="walks whose name holds this; repeatable")
    return parser.parse_args()


def attempt(walk: Callable[[Seen], None]) -> dict[str, Any]:
    """Return what happened in a walk, and the error that ended it, if any did.

    A walk may fill in the `Seen` that it is given with a part of itself; otherwise all of it is counted.
    """
    part, error, started = Seen(), None, time.perf_counter()
    with seen() as whole:
        try:
            walk(part)
        except Exception:
            error = traceback.format_exc()
    shown = part if part.counts else whole
    return {
        "error": error,
        "host_seconds": time.perf_counter() - started,
        "summary": shown.summary() | {"forbidden": sum(whole.forbidden.values())},
        "counts": dict(shown.counts.most_common()),
        "places": {" | ".join(place): number for place, number in shown.places.most_common(60)},
    }


def walks(config: Config) -> Iterator[tuple[str, Callable[[Seen], None]]]:
    """Yield what must end without an error, small: training in every way, a stop and a resume, evaluation, whole runs."""
    dataset = noise_images(32, count=300)
    settings = config.pretrain
    for optimizer, precision, passes, graph in itertools.product(OPTIMIZERS, PRECISIONS, PASSES, (True, False)):
        given = dataclasses.replace(
            settings, optimizer=optimizer, precision=precision, view_passes=passes, graph=graph, drop_last=not graph
        )
        name = f"train: {optimizer}, {precision}, {passes}, {'graph' if graph else 'eager'}"
        yield name, lambda part, given=given: train(given, dataset)  # type: ignore[misc]
    for graph in (True, False):
        given = dataclasses.replace(settings, graph=graph)
        yield f"stop and resume: graph {graph}", lambda part, given=given: stop_and_resume(given, dataset)  # type: ignore[misc]
    probing = dataclasses.replace(settings, probe_every=1)
    yield "train: k-NN each epoch", lambda part: train(probing, dataset)
    yield "train: images in pinned memory", lambda part: train_from_the_host(settings, dataset)
    yield "evaluate: every probe", lambda part: measure(config, dataset)
    yield "execute: a run and its control", lambda part: execute_both(config, dataset)


def counts(config: Config, *, images: int) -> Iterator[tuple[str, Callable[[Seen], None]]]:
    """Yield what is counted, as the source paper has it: a step in every way, and an epoch by its parts."""
    few = noise_images(32, count=8 * config.pretrain.batch_size)
    for optimizer, precision, passes in itertools.product(OPTIMIZERS, PRECISIONS, PASSES[:2]):
        given = dataclasses.replace(config.pretrain, optimizer=optimizer, precision=precision, view_passes=passes)
        yield (
            f"step, eager: {optimizer}, {precision}, {passes}",
            lambda part, given=given: eager_step(given, few, part),  # type: ignore[misc]
        )
    yield "step, replayed: lars, float32, separate", lambda part: replayed_step(config.pretrain, few, part)
    whole = noise_images(32, count=images)
    epochs = dataclasses.replace(config.pretrain, epochs=3, warmup_epochs=1)
    yield "epoch, graph: training, held-out images, checkpoint", lambda part: second_epoch(epochs, whole, part)
    yield "epoch: views alone", lambda part: views_alone(config.pretrain, whole, part)
    yield "epoch: held-out images alone", lambda part: watch_alone(config.pretrain, whole, part)
    yield "k-NN while training", lambda part: probe_alone(config.pretrain, whole, part)


# ---- Walks


def train(settings: PretrainSettings, dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trained = pretrain(settings, dataset, device=GPU, folder=Path(folder), identity="walk")
        assert len(trained.history) == settings.epochs


def stop_and_resume(settings: PretrainSettings, dataset: Dataset) -> None:
    def stop(record: dict[str, Any]) -> None:
        raise Stopped

    with tempfile.TemporaryDirectory() as folder:
        named: dict[str, Any] = {"device": GPU, "folder": Path(folder), "identity": "walk"}
        try:
            pretrain(settings, dataset, on_epoch=stop, **named)
        except Stopped:
            pass
        assert len(pretrain(settings, dataset, **named).history) == settings.epochs


def train_from_the_host(settings: PretrainSettings, dataset: Dataset) -> None:
    free, torch.cuda.mem_get_info = torch.cuda.mem_get_info, lambda device=None: (1, 2**30)  # as if there were no room
    try:
        train(settings, dataset)
    finally:
        torch.cuda.mem_get_info = free


def measure(config: Config, dataset: Dataset) -> None:
    settings = config.pretrain
    model, control = (place_network(new_model(settings, dataset), GPU) for _ in range(2))
    found = evaluate(
        model, dataset, control=control, settings=config.evaluate, probes=PROBES, views=settings.views, target_std=1.0,
        size=32, seed=0, device=GPU,
    )  # fmt: skip
    assert {"linear", "linear_cached"} <= set(found["test"])


def execute_both(config: Config, dataset: Dataset) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for one in (config, config.with_settings({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})):
            run = make_run(one, data=dataset.digest, device=GPU, probes=PROBES, views=config.pretrain.views)
            assert execute(run, store=store, dataset=dataset, device=GPU) == FINISHED
            assert store.result(run)["status"] == FINISHED


# ---- Counts


def new_step(settings: PretrainSettings, dataset: Dataset) -> TrainStep:
    set_deterministic(settings)
    model = place_network(new_model(settings, dataset), GPU)
    step = TrainStep(settings, model, make_optimizer(settings, model), device=GPU)
    step.reset()
    return step


def views_of(settings: PretrainSettings, dataset: Dataset) -> tuple[torch.Tensor, ...]:
    images = place(dataset.train.images, GPU)
    return next(epoch_of_views(settings, dataset, images, device=GPU, size=32, epoch=0, steps=8))


def eager_step(settings: PretrainSettings, dataset: Dataset, part: Seen) -> None:
    step, views = new_step(settings, dataset), views_of(settings, dataset)
    step(*views, learning_rate=0.1)
    with seen() as found:
        for _ in range(COUNTED_STEPS):
            step(*views, learning_rate=0.1)
    _take(part, found, each=COUNTED_STEPS)


def replayed_step(settings: PretrainSettings, dataset: Dataset, part: Seen) -> None:
    eager, views = new_step(settings, dataset), views_of(settings, dataset)
    eager(*views, learning_rate=0.1)
    with seen() as capturing:
        step = GraphedStep(eager, *views)
    with seen() as found:
        for _ in range(COUNTED_STEPS):
            step(*views, learning_rate=0.1)
    _take(part, found, each=COUNTED_STEPS)
    part.counts.update({name: number for name, number in capturing.counts.items() if name.startswith("captured ")})


def second_epoch(settings: PretrainSettings, dataset: Dataset, part: Seen) -> None:
    """Count from the end of the first epoch to that of the second: what an epoch in the middle of a run is."""
    recording: list[Any] = []

    def on_epoch(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            recording.append(seen())
            recording.append(recording[0].__enter__())
        elif record["epoch"] == 2:
            recording[0].__exit__(None, None, None)
            raise Stopped

    with tempfile.TemporaryDirectory() as folder:
        try:
            pretrain(settings, dataset, device=GPU, folder=Path(folder), identity="walk", on_epoch=on_epoch)
        except Stopped:
            pass
    _take(part, recording[1])


def views_alone(settings: PretrainSettings, dataset: Dataset, part: Seen) -> None:
    images = place(dataset.train.images, GPU)
    steps = len(images) // settings.batch_size
    with seen() as found:
        for _ in epoch_of_views(settings, dataset, images, device=GPU, size=32, epoch=0, steps=steps):
            pass
    _take(part, found)


def watch_alone(settings: PretrainSettings, dataset: Dataset, part: Seen) -> None:
    model, images = place_network(new_model(settings, dataset), GPU), dataset.validation.images[:2048].to(GPU)
    with seen() as found:
        watch(settings, dataset, model, images, epoch=0)
    _take(part, found)


def probe_alone(settings: PretrainSettings, dataset: Dataset, part: Seen) -> None:
    model = place_network(new_model(settings, dataset), GPU)
    with seen() as found:
        probe(settings, dataset, model, device=GPU)
    _take(part, found)


def _take(part: Seen, found: Seen, *, each: int = 1) -> None:
    """Take what was found as a walk's own; of some equal steps, what one has of it."""
    part.counts.update({name: -(-number // each) for name, number in found.counts.items()})
    part.places.update({place: -(-number // each) for place, number in found.places.items()})


if __name__ == "__main__":
    raise SystemExit(main())
