"""Whether a GPU computes what the CPU does, and shortcuts what they stand for."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.bench import Bench
from benchmarks.step import with_plain_convolutions
from study.config.config import Config
from vicreg.methods.vicreg import vicreg_loss
from vicreg.randomness import make_generator
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.loop import pretrain, train_epoch
from vicreg.training.memory import place
from vicreg.training.step import TrainStep
from vicreg.views.parameters import draw_parameters
from vicreg.views.pipeline import apply_view

# Relative error of float32 against float32 in another order of sums; a real difference (TF32, another order of operations)
# is a thousand times larger. Steps amplify it: a weight's sign of rounding decides which ReLU is open.
AGREEMENT, AFTER_STEPS = 1e-3, 1e-2


def agreement(bench: Bench) -> dict[str, Any]:
    """Return relative errors ||a - b|| / ||b|| of pairs that must agree, and whether they do."""
    found = {f"device against CPU: {name}": (error, AGREEMENT) for name, error in against_cpu(bench).items()}
    found["live taps against plain convolutions: gradient"] = (live_against_plain(bench), AGREEMENT)
    separate, together = (some_steps(bench, bench.settings(view_passes=one)) for one in ("separate", "together"))
    found["both views in one pass against two: weights after 4 steps"] = (relative(together, separate), AFTER_STEPS)
    if bench.device.type == "cuda":
        eager, graphed = (some_steps(bench, bench.settings(graph=one)) for one in (False, True))
        found["graph against eager: weights after 4 steps"] = (relative(graphed, eager), 0.0)
    found["stopped and resumed against whole: weights"] = (relative(*stopped_and_whole(bench)), 0.0)
    return {name: {"error": error, "bound": bound, "agrees": error <= bound} for name, (error, bound) in found.items()}


def against_cpu(bench: Bench) -> dict[str, float]:
    """Compare views of the same parameters, loss, gradient, and weights after one step with those of the CPU."""
    settings, dataset = bench.config.pretrain, bench.dataset
    images = dataset.train.images[: settings.batch_size]
    side = images.shape[-1]
    generator = make_generator(0, "agreement")
    parameters = draw_parameters(len(images), height=side, width=side, settings=settings.views[0], generator=generator)

    def on(device: torch.device) -> dict[str, Tensor]:
        view = apply_view(images.to(device), parameters, size=side, mean=dataset.mean, std=dataset.std)
        step = bench.step(bench.config, device)
        step.reset()
        step(view, view.flip(3), learning_rate=settings.base_lr)
        gradient, weights = gradient_of(step.model), weights_of(step.model)
        return {"views": view, "loss": step.totals[:1], "gradient": gradient, "weights": weights}

    reference, measured = on(torch.device("cpu")), on(bench.device)
    return {name: relative(measured[name], value) for name, value in reference.items()}


def live_against_plain(bench: Bench) -> float:
    """Compare the gradient of a step with live taps and that with torch's convolutions, in float64."""
    gradients = []
    for plain in (False, True):
        step = bench.step(bench.config)
        if plain:
            with_plain_convolutions(step.model)
        step.model.double().train()
        view, view_prime = (view.double() for view in bench.views(bench.config))
        z, z_prime = step.model.embed_views(view, view_prime, passes="separate")
        vicreg_loss(z, z_prime, coefficients=step.model.settings.coefficients(z.shape[1])).total.backward()
        gradients.append(gradient_of(step.model))
    return relative(*gradients)


def some_steps(bench: Bench, config: Config) -> Tensor:
    """Return the weights after an epoch of 4 steps."""
    step: TrainStep | GraphedStep = bench.step(config)
    images = place(bench.dataset.train.images, bench.device)
    _, step = train_epoch(config.pretrain, bench.dataset, step, images, device=bench.device, epoch=0, steps=4)
    return weights_of(step.model)


def stopped_and_whole(bench: Bench) -> tuple[Tensor, Tensor]:
    """Return the weights of a run that was stopped after one of two epochs and resumed, and of one that was not."""
    config = bench.settings(epochs=2, warmup_epochs=1)

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
            pass
        return run(stopped), run(whole)


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
