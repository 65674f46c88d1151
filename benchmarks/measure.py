"""What the timings share: functions called in turn, the load that others put on the machine meanwhile, a table, a file.

A machine's speed drifts, and one function measured after another would be compared with another machine. So functions are
called A B C A B C ..., and a ratio is the median over rounds of two times of the same round.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import psutil
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from study.cli.arguments import Parser, positive
from study.runs.revision import current_commit
from vicreg.data.dataset import Dataset, Split
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.randomness import make_generator

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
Network = TypeVar("Network", bound=nn.Module)
QUIET = 0.05  # share of all cores that others may use; above it a measurement is of them as well


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Wall times in seconds of each function, one a round, and the share of all cores that other processes used."""

    reference: str
    seconds: Mapping[str, list[float]]
    foreign_load: float

    def median(self, name: str) -> float:
        """The median wall time of a function, seconds."""
        return median(self.seconds[name])

    def ratios(self, name: str) -> list[float]:
        """How many times as fast as the reference a function was, round by round."""
        return [base / own for base, own in zip(self.seconds[self.reference], self.seconds[name], strict=True)]

    def ratio(self, name: str) -> float:
        """The median over rounds of `ratios`."""
        return median(self.ratios(name))

    def rows(self, *, work: float, unit: str) -> list[dict[str, str]]:
        """A row a function for `table`; `work` is what one call does, counted in `unit`."""
        return [
            {
                "": name,
                "s": f"{self.median(name):.3f}",
                f"{unit}/s": f"{work / self.median(name):,.1f}",
                f"times {self.reference}": f"{self.ratio(name):.2f}",
                "over rounds": f"{min(self.ratios(name)):.2f} to {max(self.ratios(name)):.2f}",
            }
            for name in self.seconds
        ]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as numbers and words."""
        return {
            "reference": self.reference,
            "rounds": len(self.seconds[self.reference]),
            "seconds": dict(self.seconds),
            "median_seconds": {name: self.median(name) for name in self.seconds},
            "times_reference": {name: self.ratio(name) for name in self.seconds},
            "times_reference_by_round": {name: self.ratios(name) for name in self.seconds},
            "foreign_load": self.foreign_load,
            "disturbed": self.foreign_load > QUIET,
        }


def alternate(
    functions: Mapping[str, Callable[[], Any]],
    *,
    reference: str,
    repeats: int = 5,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Calls every function once to warm it up, and then all of them in turn, `repeats` times over.

    A CUDA `device` is waited for before and after each call. Prints a warning where other processes used more than
    `QUIET` of the machine between the first timed call and the last.

    Raises:
        InputError: for fewer than one repeat, or a reference that is none of the functions.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, but got {repeats}; 5 or more give a median that means something.")
    if reference not in functions:
        raise InputError(f"reference must be one of {', '.join(functions)}, but got {reference!r}.")
    for function in functions.values():
        _timed(function, device, clock)
    before = processor_time()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            seconds[name].append(_timed(function, device, clock))
    load = foreign_share(before, processor_time())
    if load > QUIET:
        print(
            f"warning: other processes used {load:.0%} of this machine's cores meanwhile (quiet is at most {QUIET:.0%}); "
            "ratios are less sure, and times are too long",
            file=sys.stderr,
        )
    return Measured(reference=reference, seconds=seconds, foreign_load=load)


def _timed(function: Callable[[], Any], device: torch.device | None, clock: Callable[[], float]) -> float:
    _wait_for(device)
    started = clock()
    function()
    _wait_for(device)
    return clock() - started


def _wait_for(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


class ProcessorTime(NamedTuple):
    """Seconds since some moment, summed over the cores: all, those at work, and those at work for this process, its
    children and theirs."""

    total: float
    busy: float
    own: float


def processor_time() -> ProcessorTime:
    """How the machine's processor time has been spent so far. What a hypervisor has given to other machines ("steal")
    counts as work, of others."""
    times = psutil.cpu_times()._asdict()
    counted = {name: value for name, value in times.items() if not name.startswith("guest")}  # user holds the guests'
    idle = counted.get("idle", 0.0) + counted.get("iowait", 0.0)
    total = sum(counted.values())
    return ProcessorTime(total=total, busy=total - idle, own=_own_seconds())


def _own_seconds() -> float:
    """Processor time of this process and of its descendants, those that have ended and were waited for included."""
    process = psutil.Process()
    own = sum(process.cpu_times()[:4])  # user, system, and both of children that have ended
    for child in process.children(recursive=True):
        try:
            own += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:  # it has just ended, and its parent's next reading has its time
            continue
    return own


def foreign_share(before: ProcessorTime, after: ProcessorTime) -> float:
    """The share of all cores, between two moments, that was at work for others; 0 where no time has passed."""
    total, busy, own = (later - earlier for earlier, later in zip(before, after, strict=True))
    return max(0.0, (busy - own) / total) if total > 0 else 0.0


def machine(device: torch.device, *, packages: Sequence[str] = ()) -> dict[str, Any]:
    """What a figure depends on beside the code: hardware, instruction set, threads, versions, commit and date."""
    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, **{name: version_of(name) for name in packages}},
        "commit": current_commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def version_of(package: str) -> str | None:
    """The installed version of a package, by the name it is installed under; None where it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as Linux knows it; `unknown` elsewhere."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def installed(module: str) -> bool:
    """Whether a package that a benchmark compares with is there, by the name it is imported under."""
    return importlib.util.find_spec(module) is not None


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table whose columns are aligned in plain text too: words left, figures right."""
    names = list(rows[0])
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(3, *(len(line[column]) for line in cells)) for column in range(len(names))]

    def aligned(line: Sequence[str]) -> str:
        first, *others = zip(line, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]) + " |"

    left, *right = ["-" * (width + 1) for width in widths]
    rule = "|".join([f"|:{left}", *(f"{dashes}:" for dashes in right)]) + "|"
    return "\n".join([aligned(cells[0]), rule, *map(aligned, cells[1:])])


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Writes results as JSON, whole or not at all. Raises InputError where the disk is full or may not be written."""
    write_atomically(path, to_json(results))


def arguments_of(name: str, description: str) -> argparse.ArgumentParser:
    """The options that every timing has."""
    parser = Parser(f"benchmarks.{name}", description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help=f"JSON file; by default benchmarks/results/{name}*.json")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=positive, default=2, help="torch's threads in this process")
    parser.add_argument("--rounds", type=positive, default=5, help="how often each is timed")
    return parser


def median_of(
    function: Callable[[], Any], *, device: torch.device, repeats: int = 7, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The median wall time of some calls in seconds, after one to warm up, the device waited for."""
    return median([_timed(function, device, clock) for _ in range(repeats + 1)][1:])


def product_rate(device: torch.device, *, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second that a large product of random matrices reaches."""
    n = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / median_of(lambda: left @ right, device=device)


def operations_of(function: Callable[[], Any]) -> int:
    """Floating-point operations of the products and convolutions that a call of a function takes."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _products_added}) as counter:
        function()
    return counter.get_total_flops()


def _products_added(added: Any, one: Any, other: Any, **_: Any) -> int:
    """Operations of `baddbmm_`, which torch's counter does not know, from the shapes of its arguments."""
    batch, rows, inner = one
    return 2 * batch * rows * inner * other[2]


def copy_rate(device: torch.device) -> float:
    """Bytes a second, read plus written, that a large copy reaches."""
    source = torch.randn(2**28 if device.type == "cuda" else 2**24, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / median_of(lambda: target.copy_(source), device=device)


def on_device(network: Network, device: torch.device) -> Network:
    """Move a network as training does, its weights in channels-last layout."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def noise_images(side: int, *, count: int, channels: int = 3) -> Dataset:
    """Random square images of `side` pixels: a timing does not depend on what is in them, and zeros would flatter it."""
    generator = make_generator(0, "benchmark")
    images = torch.randint(256, (count, channels, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 10
    train, validation, test = (
        Split(images=images[:most].clone(), labels=labels[:most].clone()) for most in (count, 5000, 5000)
    )
    mean, std = channel_statistics(images)
    names = tuple(map(str, range(10)))
    return Dataset(name="noise", classes=names, train=train, validation=validation, test=test, mean=mean, std=std, note=None)
