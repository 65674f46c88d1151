"""One script for a machine with a GPU: checks, then where a step's time goes, then how fast whole runs are, then studies.

    python -m benchmarks.gpu --out OUT [--previous OUT/gpu.json] [--minutes 9] [--data FOLDER|ARCHIVE] [--study NAME]

It does its sections one after the other and writes `gpu.json` after each, until the minutes are over; called again with
`--previous` it goes on with the section that is next, so it can be run in pieces of ten minutes.

    agreement   the device against the CPU; a captured graph against the eager step; live taps against plain convolutions;
                one pass for both views against two; and a run that was stopped against one that was not
    ceilings    what the device reaches: large matrix products in float32 and bfloat16, and copies in memory
    parts       milliseconds of views, network, loss, metrics and optimiser, beside their floors at those ceilings
    steps       images a second of the whole step: eager and as a graph, float32 and bfloat16, both stems, ResNet-18 and 34
    recipe      the source paper's pretraining from its first image to its last: all epochs, in seconds
    packing     images a second against the number of runs side by side
    peers       our loop against lightly's (benchmarks.peers), where lightly is installed
    studies     the source paper's questions on real images, in the order of `QUEUE` (or `--study` alone), each with its
                report; stopped at the deadline, and a second call goes on from the store

`--device cpu` with smaller settings (`--set pretrain.width=8 ...`) runs all of it without a GPU, which is how it is tested.
"""

import argparse
import json
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import copy_rate, machine, median_of, noise_images, operations_of, product_rate
from benchmarks.step import STEPS, parts_of, with_plain_convolutions
from study import report
from study.cli.command import run_command
from study.config.config import Config
from study.config.device import choose_device
from study.config.load import load_config
from study.config.values import parse_setting
from study.execution.packing import best_number, pace
from study.runs.prepared_data import obtain_dataset
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.methods.vicreg import vicreg_loss
from vicreg.randomness import make_generator
from vicreg.training.batches import epoch_of_views
from vicreg.training.cuda_graph import GraphedStep
from vicreg.training.loop import exact_arithmetic, make_optimizer, new_model, pretrain, train_epoch, watch
from vicreg.training.memory import keep_freed_memory, place
from vicreg.training.step import TrainStep
from vicreg.training.throughput import rehearse
from vicreg.views.parameters import draw_parameters
from vicreg.views.pipeline import apply_view

# Relative error of float32 against float32 in another order of sums; a real difference (TF32, another order of operations)
# is a thousand times larger. Steps amplify it: a weight's sign of rounding decides which ReLU is open.
AGREEMENT, AFTER_STEPS = 1e-3, 1e-2
# The studies of the source paper by what they are worth a minute, each with what lies over the profile: the paper's recipe
# with both stems, its side study of the batch size, and the coefficients with ResNet-18 at a fifth of the epochs.
QUEUE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stem", ()),
    ("batch-size", ()),
    ("lambda-mu-nu", ("pretrain.backbone=resnet18", "pretrain.epochs=20", "pretrain.warmup_epochs=2")),
)


class Bench:
    """What the sections share: the device, the config, random images of its size, and the deadline."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.deadline = time.monotonic() + 60 * arguments.minutes
        self.device = choose_device(arguments.device)
        self.overrides = dict(map(parse_setting, arguments.set))
        self.config = load_config(profile=arguments.profile, settings=self.overrides)
        self.dataset = noise_images(arguments.side, count=8 * self.config.pretrain.batch_size)
        exact_arithmetic(self.config.pretrain)
        keep_freed_memory()

    def settings(self, **changes: Any) -> Config:
        return self.config.with_settings({f"pretrain.{name}": value for name, value in changes.items()})

    def step(self, config: Config, device: torch.device | None = None) -> TrainStep:
        device = device or self.device
        model = new_model(config.pretrain, self.dataset).to(device=device, memory_format=torch.channels_last)
        return TrainStep(config.pretrain, model, make_optimizer(config.pretrain, model), device=device)

    def views(self, config: Config, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
        device = device or self.device
        images = place(self.dataset.train.images, device)
        return next(epoch_of_views(
            config.pretrain, self.dataset, images, device=device, size=self.arguments.side, epoch=0, steps=8
        ))  # fmt: skip


def main() -> int:
    arguments = parse_arguments()
    bench = Bench(arguments)
    done = json.loads(arguments.previous.read_bytes()) if arguments.previous else {}
    done |= {"machine": machine(bench.device), "profile": bench.config.profile, "settings": bench.overrides}
    for name in arguments.only or SECTIONS:
        if name in done and name != "studies":
            continue
        if time.monotonic() > bench.deadline - 60 * arguments.reserve:
            print(f"the time is over before {name}; call again with --previous {arguments.out / 'gpu.json'} to go on")
            break
        started = time.monotonic()
        done[name] = SECTIONS[name](bench)
        done.setdefault("seconds", {})[name] = time.monotonic() - started
        write_atomically(arguments.out / "gpu.json", to_json(done))
        print(name, to_json(done[name]).decode(), flush=True)
        if name == "agreement" and not all(check["agrees"] for check in done[name].values()):
            print("something does not agree, so nothing is timed", file=sys.stderr)
            return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.json and the study's results")
    parser.add_argument("--previous", type=Path, help="gpu.json of an earlier call, whose sections are not done again")
    parser.add_argument("--only", action="append", choices=tuple(SECTIONS), help="this section; repeatable; default: all")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--profile", default="cifar10")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the profile; repeatable")
    parser.add_argument("--data", type=Path, help="images for the study: a folder or a tar archive with train/ and test/")
    parser.add_argument("--study", help="this study alone, as the profile has it; default: those of QUEUE")
    parser.add_argument("--store", type=Path, default=Path("store"))
    parser.add_argument("--side", type=int, default=32, help="side of the random images that are timed, pixels")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--reserve", type=float, default=0.5, help="minutes that must be left for a section to begin")
    return parser.parse_args()


# ---- agreement


def agreement(bench: Bench) -> dict[str, Any]:
    """Relative errors ||a - b|| / ||b|| of pairs that must agree, and whether they do."""
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
    """Views of the same parameters, loss, gradient, and weights after one step, on the device and on the CPU."""
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
    """The gradient of a step with live taps against that of the same network with torch's convolutions, float64."""
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
    """The weights after an epoch of 4 steps."""
    step: TrainStep | GraphedStep = bench.step(config)
    images = place(bench.dataset.train.images, bench.device)
    _, step = train_epoch(config.pretrain, bench.dataset, step, images, device=bench.device, epoch=0, steps=4)
    return weights_of(step.model)


def stopped_and_whole(bench: Bench) -> tuple[Tensor, Tensor]:
    """The weights of a run of two epochs that was stopped after the first and resumed, and of one that was not."""
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
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def gradient_of(model: nn.Module) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def relative(found: Tensor, reference: Tensor) -> float:
    found, reference = found.detach().cpu().double(), reference.detach().cpu().double()
    return ((found - reference).norm() / reference.norm()).item()


# ---- speed


def ceilings(bench: Bench) -> dict[str, float]:
    """TFLOP/s of large products of random numbers, and GB/s of a large copy (bytes read plus bytes written)."""
    rates = {
        f"{str(dtype).removeprefix('torch.')}_tflops": product_rate(bench.device, dtype=dtype) / 1e12
        for dtype in (torch.float32, torch.bfloat16)
    }
    return {**rates, "copy_gb_per_second": copy_rate(bench.device) / 1e9}


def parts(bench: Bench) -> dict[str, Any]:
    """Milliseconds of each part of a step at the profile's batch size, and floors where they can be counted."""
    settings, device, dataset = bench.config.pretrain, bench.device, bench.dataset
    step, images = bench.step(bench.config), place(dataset.train.images, device)
    functions = parts_of(settings, dataset, step, size=bench.arguments.side, device=device)
    functions["watch, once an epoch"] = lambda: watch(settings, dataset, step.model, images, epoch=0)
    del functions["step"]  # `steps` times it, views included
    milliseconds = {name: 1000 * median_of(one, device=device) for name, one in functions.items()}
    milliseconds["views"] /= STEPS
    flops = operations_of(functions["network"])
    return {
        "milliseconds": milliseconds,
        "network_gflop": flops / 1e9,
        "network_floor_milliseconds": 1000 * flops / product_rate(device),
    }


def steps(bench: Bench) -> dict[str, float]:
    """Images a second of whole steps, views included."""
    found = {}
    on_gpu = bench.device.type == "cuda"
    for stem in ("imagenet", "cifar"):
        for backbone in ("resnet18", "resnet34"):
            for passes in ("separate", "together"):
                for precision in ("float32", "bfloat16") if on_gpu else ("float32",):
                    for graph in (True, False) if on_gpu else (False,):
                        config = bench.settings(
                            stem=stem, backbone=backbone, view_passes=passes, precision=precision, graph=graph
                        )
                        key = f"{backbone}, {stem} stem, {precision}, views {passes}, {'graph' if graph else 'eager'}"
                        found[key] = rehearse(config.pretrain, bench.dataset, device=bench.device, steps=8, seconds=1.0)
    return found


def recipe(bench: Bench) -> dict[str, float]:
    """Seconds of the profile's whole pretraining on images as many as CIFAR-10's, from first to last, with its looks at
    held-out images and its checkpoints; for ResNet-34 and ResNet-18, with separate passes and one."""
    count = 45_000 if bench.device.type == "cuda" else 4 * bench.config.pretrain.batch_size
    dataset = noise_images(bench.arguments.side, count=count)
    found = {}
    for backbone in ("resnet34", "resnet18"):
        for passes in ("separate", "together"):
            config = bench.settings(backbone=backbone, view_passes=passes, checkpoint_every=10)
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                pretrain(config.pretrain, dataset, device=bench.device, folder=Path(folder), identity="benchmark")
                found[f"{backbone}, {config.pretrain.epochs} epochs, views {passes}"] = time.perf_counter() - started
    return found


def packing(bench: Bench) -> dict[str, Any]:
    """Runs side by side: how many pay, and runs an hour at each number (by images, looks and checkpoints left out)."""
    from vicreg.data.cache import save_dataset

    settings = bench.config.pretrain
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(bench.dataset, Path(folder))
        found = best_number(
            lambda number: pace(bench.config, number=number, data=Path(folder), device=bench.device),
            most=16 if bench.device.type == "cuda" else 2,
        )
    images = 45_000 * settings.epochs
    found["runs_an_hour"] = {number: 3600 * pace_ / images for number, pace_ in found["measured"].items()}
    return found


def peers(bench: Bench) -> dict[str, Any]:
    """benchmarks.peers for both stems, as a process of its own."""
    found = {}
    for stem in ("imagenet", "cifar"):
        out = bench.arguments.out / f"peers-{stem}.json"
        command = [
            sys.executable, "-m", "benchmarks.peers", "--stem", stem, "--device", bench.device.type, "--out", str(out),
            "--batch", str(bench.config.pretrain.batch_size),
        ]  # fmt: skip
        ended = subprocess.run(command, capture_output=True, text=True)
        last = (ended.stderr.strip().splitlines() or [""])[-1]
        found[stem] = json.loads(out.read_bytes()) if ended.returncode == 0 else {"failed": last}
    return found


def studies(bench: Bench) -> dict[str, Any]:
    """Runs one study after the other until all are done or the time is up; nothing finished is lost."""
    arguments = bench.arguments
    if arguments.data is None:
        return {"status": "not run: no --data"}
    given = [*arguments.set, "prepare.dataset=imagefolder", f"data.root={images_in(arguments.data, arguments.store)}"]
    obtain_dataset(load_config(profile=arguments.profile, settings=dict(map(parse_setting, given))), store=arguments.store)
    found: dict[str, Any] = {}
    for name, settings in QUEUE if arguments.study is None else ((arguments.study, ()),):
        found[name] = run_study(bench, name, (*given, *settings))
        if found[name].get("exit") != 0:
            break
    return found


def run_study(bench: Bench, name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Runs a study until it is done or the time is up, and writes its report."""
    arguments = bench.arguments
    out = arguments.out / name
    command = [
        sys.executable, "-m", "study.ablate", "--study", name, "--profile", arguments.profile,
        "--device", arguments.device, "--store", str(arguments.store), "--out", str(out),
        "--allow-diverged", *[part for setting in overrides for part in ("--set", setting)],
    ]  # fmt: skip
    process = subprocess.Popen(command)
    try:
        status = process.wait(timeout=max(1.0, bench.deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
        return {"status": "stopped at the deadline; called again it goes on"}
    if (out / "study.json").is_file():
        written = ["--results", str(out / "study.json"), "--timing", str(out / "timing.json"), "--out", str(out / "report")]
        report.main(written)
    return {"status": "ended", "exit": status}


def images_in(data: Path, store: Path) -> Path:
    """A folder with train/ and test/; a tar archive is unpacked beside the store once.

    Raises:
        InputError: where there is neither.
    """
    if data.is_dir():
        return data
    if not data.is_file():
        raise InputError(f"--data must be a folder or a tar archive with train/ and test/, but {data} is neither.")
    folder = store / "images"
    if not folder.is_dir():
        with tarfile.open(data) as archive:
            archive.extractall(folder, filter="data")
    inside = [path.parent for path in folder.rglob("train") if path.is_dir()]
    if not inside:
        raise InputError(f"--data must hold train/ and test/, but {data} has no train/ in it.")
    return inside[0]


SECTIONS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    one.__name__: one for one in (agreement, ceilings, parts, steps, recipe, packing, peers, studies)
}


if __name__ == "__main__":
    run_command(main)
