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
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.agreement import agreement
from benchmarks.bench import Bench
from benchmarks.measure import copy_rate, machine, median_of, noise_images, operations_of, product_rate
from benchmarks.step import STEPS, parts_of
from benchmarks.studies import studies
from study.cli.command import run_command
from study.config.device import choose_device
from study.execution.packing import best_number, pace
from vicreg.data.cache import save_dataset
from vicreg.files import to_json, write_atomically
from vicreg.training.loop import pretrain, watch
from vicreg.training.memory import keep_freed_memory, place
from vicreg.training.setup import set_deterministic
from vicreg.training.throughput import measure_throughput


def main() -> int:
    arguments = parse_arguments()
    bench = Bench(
        device=choose_device(arguments.device), profile=arguments.profile, given=tuple(arguments.set), side=arguments.side,
        out=arguments.out, store=arguments.store, data=arguments.data, study=arguments.study, minutes=arguments.minutes,
    )  # fmt: skip
    set_deterministic(bench.config.pretrain)
    keep_freed_memory()
    done = json.loads(arguments.previous.read_bytes()) if arguments.previous else {}
    done |= {"machine": machine(bench.device), "profile": bench.config.profile, "settings": bench.overrides}
    for name in arguments.only or SECTIONS:
        if name in done and name != "studies":
            continue
        if time.monotonic() > bench.deadline - 60 * arguments.reserve:
            print(f"the time is over before {name}; call again with --previous {bench.out / 'gpu.json'} to go on")
            break
        started = time.monotonic()
        done[name] = SECTIONS[name](bench)
        done.setdefault("seconds", {})[name] = time.monotonic() - started
        write_atomically(bench.out / "gpu.json", to_json(done))
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


def ceilings(bench: Bench) -> dict[str, float]:
    """Measure TFLOP/s of large products of random numbers, and GB/s of a large copy (bytes read plus bytes written)."""
    rates = {
        f"{str(dtype).removeprefix('torch.')}_tflops": product_rate(bench.device, dtype=dtype) / 1e12
        for dtype in (torch.float32, torch.bfloat16)
    }
    return {**rates, "copy_gb_per_second": copy_rate(bench.device) / 1e9}


def parts(bench: Bench) -> dict[str, Any]:
    """Measure milliseconds of each part of a step at the profile's batch size, and floors where they can be counted."""
    settings, device, dataset = bench.config.pretrain, bench.device, bench.dataset
    step, images = bench.step(bench.config), place(dataset.train.images, device)
    functions = parts_of(settings, dataset, step, size=bench.side, device=device)
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
    """Measure images a second of whole steps, views included."""
    found = {}
    on_gpu = bench.device.type == "cuda"
    precisions, graphs = (("float32", "bfloat16"), (True, False)) if on_gpu else (("float32",), (False,))
    variants = itertools.product(
        ("imagenet", "cifar"), ("resnet18", "resnet34"), ("separate", "together"), precisions, graphs
    )
    for stem, backbone, passes, precision, graph in variants:
        config = bench.settings(stem=stem, backbone=backbone, view_passes=passes, precision=precision, graph=graph)
        key = f"{backbone}, {stem} stem, {precision}, views {passes}, {'graph' if graph else 'eager'}"
        found[key] = measure_throughput(config.pretrain, bench.dataset, device=bench.device, steps=8, seconds=1.0)
    return found


def recipe(bench: Bench) -> dict[str, float]:
    """Measure seconds of the profile's whole pretraining on as many images as CIFAR-10 has.

    Metrics of held-out images and checkpoints are part of it. ResNet-34 and ResNet-18, with separate passes and with one.
    """
    count = 45_000 if bench.device.type == "cuda" else 4 * bench.config.pretrain.batch_size
    dataset = noise_images(bench.side, count=count)
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
    """Measure how many runs side by side pay, and runs an hour at each number, from the images trained alone."""
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
    """Run benchmarks.peers for both stems, as a process of its own."""
    found = {}
    for stem in ("imagenet", "cifar"):
        out = bench.out / f"peers-{stem}.json"
        command = [
            sys.executable, "-m", "benchmarks.peers", "--stem", stem, "--device", bench.device.type, "--out", str(out),
            "--batch", str(bench.config.pretrain.batch_size),
        ]  # fmt: skip
        ended = subprocess.run(command, capture_output=True, text=True)
        last = (ended.stderr.strip().splitlines() or [""])[-1]
        found[stem] = json.loads(out.read_bytes()) if ended.returncode == 0 else {"failed": last}
    return found


SECTIONS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    one.__name__: one for one in (agreement, ceilings, parts, steps, recipe, packing, peers, studies)
}


if __name__ == "__main__":
    run_command(main)
