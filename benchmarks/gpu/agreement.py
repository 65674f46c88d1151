"""Whether a GPU computes what the CPU does, and shortcuts what they stand for."""

import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.gpu.bench import Bench
from benchmarks.step import with_plain_convolutions
from study.config.config import Config
from vicreg.methods.vicreg import VICRegSettings, vicreg_loss
from vicreg.randomness import make_generator
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.loop import pretrain
from vicreg.training.step import TrainStep
from vicreg.views.parameters import draw_parameters
from vicreg.views.pipeline import apply_view

# Relative errors. In float64 only the order of sums differs, and a real difference is a million times larger. In float32
# rounding alone has moved the gradient of a ResNet-34 by 7e-3, with views that differ by 1e-7: it decides which ReLU is
# open. So float32 is for the record, and its bound for what is grossly wrong.
DOUBLE, SINGLE, EXACT = 1e-6, 5e-2, 0.0
STEPS = 4


class Check(NamedTuple):
    """How far apart two results are that must agree, relative to the second, and how far they may be."""

    name: str
    error: float
    bound: float


def agreement(bench: Bench, record: Any) -> None:
    """Record each check's error, its bound, and whether it keeps to it."""
    if bench.device.type == "cuda":  # the CPU is only a reference, and would take most of the time on a run's few threads
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    for check in checks(bench):
        agrees = math.isfinite(check.error) and check.error <= check.bound
        record(check.name, {"error": _plain(check.error), "bound": check.bound, "agrees": agrees})


def checks(bench: Bench) -> Iterator[Check]:
    """Yield the checks, one as soon as it is made."""
    view = view_of_first_batch(bench, torch.device("cpu"))
    yield Check("device against CPU: views", relative(view_of_first_batch(bench, bench.device), view), SINGLE)
    for double in (True, False):
        name, bound = ("float64", DOUBLE) if double else ("float32", SINGLE)
        ours, cpu = (one_step(bench, view, device, double=double) for device in (bench.device, torch.device("cpu")))
        for what, found in ours.items():
            yield Check(f"device against CPU: {what}, {name}", relative(found, cpu[what]), bound)
        together = one_step(bench, view, bench.device, double=double, view_passes="together")
        separate = one_step(bench, view, bench.device, double=double, view_passes="separate")
        for what, found in together.items():
            yield Check(f"both views in one pass against two: {what}, {name}", relative(found, separate[what]), bound)
        if bench.device.type == "cuda":
            eager, graphed = (some_steps(bench, view, double=double, graph=graph) for graph in (False, True))
            yield Check(f"graph against eager: weights after {STEPS} steps, {name}", relative(graphed, eager), bound)
    yield Check("live taps against plain convolutions: gradient, float64", live_against_plain(bench, view), DOUBLE)
    yield Check("stopped and resumed against whole: weights", relative(*stopped_and_whole(bench)), EXACT)


def view_of_first_batch(bench: Bench, device: torch.device) -> Tensor:
    """Return views of the first batch (N, C, side, side), made on a device from parameters drawn on the host."""
    settings, dataset = bench.config.pretrain, bench.dataset
    images = dataset.train.images[: settings.batch_size]
    side = images.shape[-1]
    generator = make_generator(0, "agreement")
    parameters = draw_parameters(len(images), height=side, width=side, settings=settings.views[0], generator=generator)
    return apply_view(images.to(device), parameters, size=side, mean=dataset.mean, std=dataset.std)


def one_step(bench: Bench, view: Tensor, device: torch.device, *, double: bool, **changes: Any) -> dict[str, Tensor]:
    """Return loss, gradient and weights after one step on views (N, C, side, side) and their mirror images."""
    config = bench.settings(precision="float32", **changes)
    step = bench.step(config, device, double=double)
    step.reset()
    view = view.to(device, torch.float64 if double else torch.float32)
    step(view, view.flip(3), learning_rate=config.pretrain.base_lr)
    return {"loss": step.totals[:1], "gradient": gradient_of(step.model), "weights": weights_of(step.model)}


def some_steps(bench: Bench, view: Tensor, *, double: bool, graph: bool) -> Tensor:
    """Return the weights after some steps on the device, each on views (N, C, side, side) turned further."""
    config: Config = bench.settings(precision="float32", view_passes="separate")
    eager = bench.step(config, double=double)
    eager.reset()
    view = view.to(bench.device, torch.float64 if double else torch.float32)
    step: TrainStep | GraphedStep = GraphedStep(eager, view, view.flip(3)) if graph else eager
    for turn in range(STEPS):
        turned = view.roll(turn, dims=3)
        step(turned, turned.flip(3), learning_rate=config.pretrain.base_lr)
    return weights_of(step.model)


def live_against_plain(bench: Bench, view: Tensor) -> float:
    """Compare the gradient of a step with live taps and that with torch's convolutions, on the CPU, in float64.

    A GPU has live taps too; the checks of one step compare them with the CPU's.
    """
    view, gradients = view.cpu().double(), []
    for plain in (False, True):
        model = bench.step(bench.settings(precision="float32"), torch.device("cpu"), double=True).model.train()
        if plain:
            with_plain_convolutions(model)
        own = bench.config.pretrain.method_settings
        assert isinstance(own, VICRegSettings), "the loss that is compared is VICReg's"
        z, z_prime = model.embed_views(view, view.flip(3), passes="separate")
        vicreg_loss(z, z_prime, coefficients=own.coefficients(z.shape[1])).total.backward()
        gradients.append(gradient_of(model))
    return relative(*gradients)


def stopped_and_whole(bench: Bench) -> tuple[Tensor, Tensor]:
    """Return the weights of a run that was stopped after one of two epochs and resumed, and of one that was not."""
    config = bench.settings(epochs=2, warmup_epochs=1, probe_every=None)

    class Stopped(Exception):
        pass

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 1:
            raise Stopped

    def run(folder: str, **named: Any) -> Tensor:
        trained = pretrain(
            config.pretrain, bench.dataset, device=bench.device, folder=Path(folder), identity="benchmark", **named
        )
        return weights_of(trained.model)

    with tempfile.TemporaryDirectory() as stopped, tempfile.TemporaryDirectory() as whole:
        try:
            run(stopped, on_epoch=stop)
        except Stopped:
            return run(stopped), run(whole)
        raise RuntimeError("the run that was to stop after its first epoch did not stop")


def weights_of(model: nn.Module) -> Tensor:
    """Return all parameters in one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def gradient_of(model: nn.Module) -> Tensor:
    """Return the gradients of all parameters, which a backward pass has left, in one vector."""
    gradients = [parameter.grad for parameter in model.parameters()]
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


def relative(found: Tensor, reference: Tensor) -> float:
    """Return ||found - reference|| / ||reference|| in float64."""
    found, reference = found.detach().cpu().double(), reference.detach().cpu().double()
    return ((found - reference).norm() / reference.norm()).item()


def _plain(error: float) -> float | None:
    """Return an error as JSON has it: null where it is no number."""
    return error if math.isfinite(error) else None
