"""Timings on random images: whole steps, their parts, runs side by side, and what the device reaches."""

import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import nn

from benchmarks.gpu.bench import Bench
from benchmarks.measure import copy_rate, median_of, operations_of, product_rate
from benchmarks.step import STEPS, parts_of, with_plain_convolutions
from study.execution.packing import pace
from vicreg.data.cache import save_dataset
from vicreg.errors import InputError
from vicreg.models.resnet import ResNet
from vicreg.training import throughput
from vicreg.training.loop import watch
from vicreg.training.memory import place, place_network
from vicreg.training.setup import set_deterministic


class Kind(NamedTuple):
    """A kind of step: settings that differ from the source paper's, and what is tried that no setting offers."""

    settings: Mapping[str, Any]
    tries: Mapping[str, Any] = MappingProxyType({})  # what replaces names of `vicreg.training.throughput`


def _in_tf32(settings: Any) -> None:
    set_deterministic(settings)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def _channels_first(network: nn.Module, device: torch.device) -> nn.Module:
    network = network.to(device)
    for part in network.modules():
        if isinstance(part, ResNet):
            part.register_forward_pre_hook(lambda layer, inputs: inputs[0].contiguous())
    return network


def _plainly(network: nn.Module, device: torch.device) -> nn.Module:
    with_plain_convolutions(network)
    return place_network(network, device)


_TOGETHER = {"view_passes": "together"}
# The source paper's step, and one thing changed in each of the others: as it is offered, and as it is only tried here.
KINDS: dict[str, Kind] = {
    "float32, views separate, graph": Kind({}),
    "float32, views separate, eager": Kind({"graph": False}),
    "float32, views together, graph": Kind(_TOGETHER),
    "float32, views together, graph, channels first": Kind(_TOGETHER, {"place_network": _channels_first}),
    "float32, views together, graph, plain convolutions": Kind(_TOGETHER, {"place_network": _plainly}),
    "TF32, views together, graph": Kind(_TOGETHER, {"set_deterministic": _in_tf32}),
    "bfloat16, views separate, graph": Kind({"precision": "bfloat16"}),
    "bfloat16, views together, graph": Kind({"precision": "bfloat16", **_TOGETHER}),
    "float32, views together, graph, cifar stem": Kind({"stem": "cifar", **_TOGETHER}),
}


def steps(bench: Bench, record: Any) -> None:
    """Measure images a second and milliseconds a step, views included; a kind that fails says why.

    Raises:
        InputError: where one failed, when the others were timed.
    """
    failed = []
    for name, kind in KINDS.items():
        config = bench.settings(**{"view_passes": "separate", "precision": "float32", "graph": True, **kind.settings})
        with patch.multiple(throughput, **kind.tries) if kind.tries else nullcontext():
            try:
                rate = throughput.measure_throughput(
                    config.pretrain, bench.dataset, device=bench.device, steps=8, seconds=bench.call.timed
                )
            except RuntimeError as error:
                record(f"{config.pretrain.backbone}, {name}", {"failed": " ".join(str(error).split())[:300]})
                failed.append(name)
                continue
        milliseconds = 1000 * config.pretrain.batch_size / rate
        record(f"{config.pretrain.backbone}, {name}", {"images_per_second": rate, "milliseconds_a_step": milliseconds})
    if failed:
        raise InputError(f"{len(failed)} of {len(KINDS)} kinds of step failed: {'; '.join(failed)}.")


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
