"""One script for a machine with a GPU: does it agree with the CPU, where does a step's time go, and then studies.

    python -m benchmarks.gpu --out OUT [--data FOLDER] [--profile source] [--study lambda-mu-nu] [--minutes 9]

1. agreement: views from the same parameters, loss and gradient, and one whole step, on the CPU and on the device;
2. parts: milliseconds of views, encoder, loss and optimiser, beside a floor from the device's own measured rates;
3. a study, stopped at the deadline by Ctrl-C: called again, it goes on where it stopped.

Writes `gpu.json` to OUT. `--device cpu` runs all of it without a GPU, which is how it is tested.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from study.command import choose_device, run_command
from study.config import Config, load_config
from study.identity import machinery
from study.runs import current_commit
from vicreg.augmentation import apply_view, two_views
from vicreg.checkpoints import to_json, write_atomically
from vicreg.datasets import Dataset, Split, channel_statistics
from vicreg.losses import vicreg_loss
from vicreg.pretrain import exact_arithmetic, make_optimizer, new_model
from vicreg.randomness import make_generator
from vicreg.views import draw_parameters

# Relative error of float32 against float32 on another device: sums in another order. A real difference (TF32, another
# order of operations) is a thousand times larger.
AGREEMENT = 1e-3
REPEATS = 7


def main() -> int:
    arguments = parse_arguments()
    deadline = time.monotonic() + 60 * arguments.minutes
    device = choose_device(arguments.device)
    config = load_config(profile=arguments.profile)
    exact_arithmetic(config.pretrain)
    dataset = noise_images(arguments.side, count=4 * config.pretrain.batch_size)
    results: dict[str, Any] = {"commit": current_commit(), "machine": machinery(device), "profile": config.profile}
    results["agreement"] = agreement(config, dataset, device)
    results["parts"] = parts(config, dataset, device)
    write_atomically(arguments.out / "gpu.json", to_json(results))
    print(to_json(results).decode())
    bad = [name for name, error in results["agreement"].items() if not error < AGREEMENT]
    if bad:
        print(f"{device} and the CPU disagree on {', '.join(bad)}; no study is run", file=sys.stderr)
        return 1
    if arguments.study:
        return run_study(arguments, deadline)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--profile", default="source")
    parser.add_argument("--study", help="run this study until the deadline; called again it goes on")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for the study")
    parser.add_argument("--store", type=Path, default=Path("store"))
    parser.add_argument("--side", type=int, default=32, help="side of the images that are timed, pixels")
    parser.add_argument("--minutes", type=float, default=9.0)
    return parser.parse_args()


def noise_images(side: int, *, count: int) -> Dataset:
    """Random images: timings and agreement do not depend on what is in them, and zeros would flatter both."""
    generator = make_generator(0, "benchmark")
    images = torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    split = Split(images=images, labels=torch.arange(count) % 10)
    mean, std = channel_statistics(images)
    names = tuple(map(str, range(10)))
    return Dataset(
        name="noise", classes=names, train=split, validation=split, test=split, mean=mean, std=std, note=None
    )


def agreement(config: Config, dataset: Dataset, device: torch.device) -> dict[str, float]:
    """Relative errors ||device - cpu|| / ||cpu|| of views, loss, gradient and updated weights."""
    settings = config.pretrain
    images = dataset.train.images[: settings.batch_size]
    side = images.shape[-1]
    parameters = draw_parameters(
        len(images), height=side, width=side, settings=settings.views[0], generator=make_generator(0, "agreement")
    )

    def on(place: torch.device) -> dict[str, Tensor]:
        view = apply_view(
            images.to(place), parameters.to(place), size=side, mean=dataset.mean, std=dataset.std,
            solarize_threshold=settings.views[0].solarize_threshold,
        )  # fmt: skip
        model = new_model(settings, dataset).to(device=place, memory_format=torch.channels_last)
        optimizer = make_optimizer(settings, model)
        loss = step(config, model, view, view.flip(3))
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        for group in optimizer.param_groups:
            group["lr"] = settings.base_lr
        optimizer.step()
        weights = torch.cat([p.detach().flatten() for p in model.parameters()])
        return {"views": view, "loss": loss.detach()[None], "gradient": gradient, "weights": weights}

    reference, measured = on(torch.device("cpu")), on(device)
    return {
        name: ((measured[name].cpu().double() - value.double()).norm() / value.double().norm()).item()
        for name, value in reference.items()
    }


def step(config: Config, model: torch.nn.Module, view: Tensor, view_prime: Tensor) -> Tensor:
    """The loss of one step, each view in its own forward pass."""
    settings = config.pretrain
    _, z = model(view.contiguous(memory_format=torch.channels_last))
    _, z_prime = model(view_prime.contiguous(memory_format=torch.channels_last))
    coefficients = settings.coefficients(z.shape[1])
    return vicreg_loss(
        z, z_prime, coefficients=coefficients, gamma=settings.gamma, epsilon=settings.epsilon, check_finite=False
    ).total


def parts(config: Config, dataset: Dataset, device: torch.device) -> dict[str, float]:
    """Milliseconds of each part of a step at the profile's batch size; medians of several."""
    settings = config.pretrain
    images = dataset.train.images[: settings.batch_size].to(device)
    side = images.shape[-1]
    model = new_model(settings, dataset).to(device=device, memory_format=torch.channels_last)
    optimizer = make_optimizer(settings, model)
    generator = make_generator(0, "parts", device=device)

    def views() -> tuple[Tensor, Tensor]:
        return two_views(
            images, settings=settings.views, size=side, mean=dataset.mean, std=dataset.std, generator=generator
        )

    pair = views()
    z, z_prime = (
        torch.randn(settings.batch_size, model.embedding_dimension, device=device, requires_grad=True) for _ in range(2)
    )
    coefficients = settings.coefficients(model.embedding_dimension)

    def loss() -> None:
        vicreg_loss(
            z, z_prime, coefficients=coefficients, gamma=settings.gamma, epsilon=settings.epsilon, check_finite=False
        ).total.backward()

    measured = {
        "views": milliseconds(views, device),
        "forward_and_backward": milliseconds(lambda: step(config, model, *pair).backward(), device),
        "loss": milliseconds(loss, device),
        "optimizer": milliseconds(optimizer.step, device),
        "matmul_tflops": matmul_tflops(device),
    }
    whole = measured["views"] + measured["forward_and_backward"] + measured["optimizer"]
    return {**measured, "images_per_second": 1000 * settings.batch_size / whole}


def matmul_tflops(device: torch.device) -> float:
    """What the device reaches on a large float32 product of random numbers: the floor's denominator."""
    n = 8192 if device.type == "cuda" else 1024
    left, right = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    return 2 * n**3 / milliseconds(lambda: left @ right, device) / 1e9


def milliseconds(function: Callable[[], Any], device: torch.device) -> float:
    """The median wall time of some calls after one to warm up, the device waited for."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - started))
    return median(times[1:])


def run_study(arguments: argparse.Namespace, deadline: float) -> int:
    """Runs a study until it is done or the time is up; 0 in both cases, since nothing finished is lost."""
    command = [
        sys.executable, "-m", "study.ablate", "--study", arguments.study, "--profile", arguments.profile,
        "--device", arguments.device, "--store", str(arguments.store), "--out", str(arguments.out / arguments.study),
        "--allow-diverged", *[part for setting in arguments.set for part in ("--set", setting)],
    ]  # fmt: skip
    process = subprocess.Popen(command)
    try:
        return process.wait(timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
        print(json.dumps({"study": arguments.study, "status": "stopped at the deadline; call again to go on"}))
        return 0


if __name__ == "__main__":
    run_command(main)
