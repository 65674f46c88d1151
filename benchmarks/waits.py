"""How fast two threads train where other processes work beside them, by how idle threads wait.

    python -m benchmarks.step --waits [--out FILE] [--rounds 5]      # the same as python -m benchmarks.waits

A parallel loop ends when its last thread does. Meanwhile the others spin, for GOMP_SPINCOUNT turns, or sleep. Where a core
is taken from a thread, spinning ones hold the cores that it waits for. Settings are read when torch is loaded, so each has
a process of its own; in a round they train in turn. The others are busy loops, niced as a user's background work is.
"""

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.children import busy, child, turn
from benchmarks.measure import (
    RESULTS,
    ROOT,
    arguments_of,
    foreign_share,
    machine,
    noise_images,
    processor_time,
    table,
    write,
)
from benchmarks.peers import OurLoop
from study.cli.command import run_command
from study.config.load import load_config
from vicreg.training.setup import set_deterministic

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "torch's own": {"GOMP_SPINCOUNT": "300000"},  # libgomp's, where nothing is set
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "100,000 turns": {"GOMP_SPINCOUNT": "100000"},
    "10,000 turns": {"GOMP_SPINCOUNT": "10000"},
    "1,000 turns": {"GOMP_SPINCOUNT": "1000"},
}
LOADS = (0, 1, 3, 4)  # busy processes beside it
STEPS = 3
BATCH = 128
TOLD = ["-m", "benchmarks.waits", "--told"]


def main() -> int:
    parser = arguments_of("waits", __doc__)
    parser.add_argument("--told", action="store_true", help="train some steps for each line of standard input")
    arguments = parser.parse_args()
    if arguments.told:
        _train_when_told()
        return 0
    return compare_waits(rounds=arguments.rounds, out=arguments.out)


def compare_waits(*, rounds: int, out: Path | None) -> int:
    """Print and write images a second by setting and load: medians over rounds."""
    seconds: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        children = {name: stack.enter_context(child(TOLD, folder=ROOT, environment=own)) for name, own in SETTINGS.items()}
        shares = {}
        for load in LOADS:
            before = processor_time()
            with busy(load):
                found: dict[str, list[float]] = {name: [] for name in children}
                for _ in range(rounds):
                    for name, one in children.items():
                        found[name].append(turn(one))
            seconds[str(load)] = found
            shares[str(load)] = foreign_share(before, processor_time())
    results = {
        "machine": machine(torch.device("cpu")), "images_per_second": seconds, "foreign_load": shares,
        "settings": {name: dict(own) for name, own in SETTINGS.items()},
    }  # fmt: skip
    write(out or RESULTS / "waits.json", results)
    print(table(rows_of(seconds)))
    print("others than the busy processes used " + ", ".join(f"{share:.0%}" for share in shares.values()))
    return 0


def rows_of(found: Mapping[str, Mapping[str, list[float]]]) -> list[dict[str, str]]:
    """Return a row a setting, with its median images a second by the number of busy processes."""
    return [
        {"idle threads": name, **{f"{load} beside it": f"{median(own[name]):.0f}" for load, own in found.items()}}
        for name in SETTINGS
    ]


def _train_when_told() -> None:
    """Be a child: train some steps for each line of standard input, and print the images a second."""
    settings: dict[str, Any] = {"pretrain.batch_size": BATCH, "pretrain.threads": 2}
    config = load_config(path=ROOT / "params.yaml", profile="cifar10", settings=settings)
    set_deterministic(config.pretrain)
    train = OurLoop(config.pretrain, noise_images(32, count=STEPS * BATCH), device=torch.device("cpu"))
    train()
    for _ in sys.stdin:
        started = time.perf_counter()
        train()
        print(STEPS * BATCH / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    run_command(main)
