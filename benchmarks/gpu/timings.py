"""Timings on random images: whole steps, their parts, runs side by side, and what the device reaches."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.bench import Bench
from benchmarks.measure import copy_rate, median_of, operations_of, product_rate
from benchmarks.step import STEPS, parts_of
from study.execution.packing import pace
from vicreg.data.cache import save_dataset
from vicreg.training.loop import watch
from vicreg.training.memory import place
from vicreg.training.throughput import measure_throughput

# Six kinds of step: the source paper's, that without a graph, with both views in one pass, both in bfloat16, and the stem
# that the next question is about.
KINDS: dict[str, dict[str, Any]] = {
    "float32, views separate, graph": {},
    "float32, views separate, eager": {"graph": False},
    "float32, views together, graph": {"view_passes": "together"},
    "bfloat16, views separate, graph": {"precision": "bfloat16"},
    "bfloat16, views together, graph": {"precision": "bfloat16", "view_passes": "together"},
    "float32, views separate, graph, cifar stem": {"stem": "cifar"},
}


def steps(bench: Bench, record: Any) -> None:
    """Measure images a second and milliseconds a step, views included."""
    for name, changes in KINDS.items():
        config = bench.settings(**{"view_passes": "separate", "precision": "float32", "graph": True, **changes})
        rate = measure_throughput(config.pretrain, bench.dataset, device=bench.device, steps=8, seconds=bench.call.timed)
        milliseconds = 1000 * config.pretrain.batch_size / rate
        record(f"{config.pretrain.backbone}, {name}", {"images_per_second": rate, "milliseconds_a_step": milliseconds})


def packing(bench: Bench, record: Any) -> None:
    """Measure images a second of 1, 2 and 4 runs side by side, all of them together."""
    with tempfile.TemporaryDirectory() as folder:
        save_dataset(bench.dataset, Path(folder))
        for number in (1, 2, 4):
            found = pace(bench.config, number=number, data=Path(folder), device=bench.device, seconds=2 * bench.call.timed)
            record(f"{number} at a time", found)


def ceilings(bench: Bench, record: Any) -> None:
    """Measure TFLOP/s of large products of random numbers, and GB/s of a large copy (bytes read plus bytes written)."""
    for dtype in (torch.float32, torch.bfloat16):
        rate = product_rate(bench.device, dtype=dtype)
        record(f"{str(dtype).removeprefix('torch.')} product, TFLOP/s", rate / 1e12)
    record("copy, GB/s", copy_rate(bench.device) / 1e9)


def parts(bench: Bench, record: Any) -> None:
    """Measure milliseconds of each part of a step at the profile's batch size, and the network's floor."""
    settings, device, dataset = bench.config.pretrain, bench.device, bench.dataset
    step, images = bench.step(bench.config), place(dataset.train.images, device)
    functions = parts_of(settings, dataset, step, size=bench.call.side, device=device)
    functions["watch, once an epoch"] = lambda: watch(settings, dataset, step.model, images, epoch=0)
    del functions["step"]  # `steps` times it, views included
    for name, function in functions.items():
        milliseconds = 1000 * median_of(function, device=device)
        record(f"{name}, ms", milliseconds / STEPS if name == "views" else milliseconds)
    record("network's floor, ms", 1000 * operations_of(functions["network"]) / product_rate(device))
