"""Times what it costs to bring runs to workers, beside the home-made pool of commit 599e321 where that is checked out.

    git worktree add --detach OLD 599e321
    python -m benchmarks.scale executor --old OLD     # start, empty jobs one by one and in all, memory
    python -m benchmarks.scale first --old OLD        # study.ablate from its call to its first finished run; tiny runs
    python -m benchmarks.scale first --old OLD --set pretrain.epochs=20       # the same, runs of the profile
    python -m benchmarks.scale rate                   # runs an hour of a short study with one worker and with two
    python -m benchmarks.scale simulation             # 100, 300 and 1,000 workers of a scheduler, jobs that sleep
    python -m benchmarks.scale looks                  # the harness's looks at the store for epochs of active runs

Without `--old` each works alone. Checkouts take turns, round by round. An empty job of kind `finished` is a run that has
finished, sent again: its worker reads the data, makes the run and finds it in the store. `nothing` is answered by the worker
at once: what is left is the engine and the executor's own looks at the store.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import QUIET, RESULTS, machine, table, write
from benchmarks.scale import looks, simulation, starts
from benchmarks.scale.checkouts import TINY, checkouts
from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from vicreg.errors import InputError

PARTS = ("executor", "first", "rate", "simulation", "looks")
# Of the study whose rate is measured: runs of some seconds, so that starts count for little, in a minute for all of them.
SHORT = ("pretrain.epochs=3", "pretrain.warmup_epochs=1")


OPTIONS = {
    "old": ("executor", "first", "rate"), "rounds": ("executor", "first", "rate", "looks"), "jobs": ("executor",),
    "one_by_one": ("executor",), "kind": ("executor",), "set": ("first", "rate"), "workers": ("simulation",),
    "seconds": ("simulation",), "waves": ("simulation",), "runs": ("looks",),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one part, print its table and write what was measured."""
    arguments = parse_arguments(argv)
    measure: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "executor": _executor, "first": _first, "rate": _rate, "simulation": _simulation, "looks": _looks,
    }  # fmt: skip
    results = measure[arguments.part](arguments)
    out = arguments.out or RESULTS / f"scale-{arguments.part}.json"
    about = machine(torch.device("cpu"), packages=("dask", "distributed", "optuna"))
    write(out, {"machine": about, "part": arguments.part, **results})
    for rows in results["tables"]:
        print(table(rows), end="\n\n")
    if results["foreign_load"] > QUIET:
        share = f"{results['foreign_load']:.0%}"
        print(
            f"warning: other processes used {share} of this machine's cores meanwhile; times are too long", file=sys.stderr
        )
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line; what argparse refuses ends the process with status 2.

    Raises:
        InputError: for an option that the part does not use.
    """
    parser = Parser("benchmarks.scale", "What it costs to bring runs to workers.")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--old", type=Path, metavar="FOLDER", help="a checkout of commit 599e321, to compare with")
    parser.add_argument("--rounds", type=positive, help="default: 5")
    parser.add_argument("--jobs", type=positive, help="of executor, in all; default: 1000")
    parser.add_argument("--one-by-one", type=positive, help="of executor, one after the other; default: 100")
    parser.add_argument("--kind", action="append", choices=starts.KINDS, help="of executor's jobs; default: both")
    parser.add_argument(
        "--set", action="append", metavar="KEY=VALUE", help="of first and rate: over the profile, in place of short runs"
    )
    parser.add_argument("--workers", action="append", type=positive, help="of simulation; default: 100, 300 and 1000")
    parser.add_argument("--seconds", type=positive, help="that simulated jobs sleep; default: 15")
    parser.add_argument("--waves", type=positive, help="of simulated jobs; default: 2")
    parser.add_argument("--runs", action="append", type=positive, help="that looks look at; default: 10, 100 and 1000")
    parser.add_argument("--out", type=Path, help="JSON file; by default benchmarks/results/scale-PART.json")
    arguments = parser.parse_args(argv)
    for option, parts in OPTIONS.items():
        if getattr(arguments, option) is not None and arguments.part not in parts:
            name = option.replace("_", "-")
            raise InputError(f"--{name} has no effect on {arguments.part}, only on {' and '.join(parts)}; leave it out.")
    return arguments


def _executor(arguments: argparse.Namespace) -> dict[str, Any]:
    found = [
        starts.measure_executors(
            checkouts(arguments.old), jobs=kind, rounds=arguments.rounds or 5, one_by_one=arguments.one_by_one or 100,
            in_all=arguments.jobs or 1000,
        )
        for kind in arguments.kind or starts.KINDS
    ]  # fmt: skip
    return {
        "kinds": found, "tables": [starts.executor_rows(one) for one in found],
        "foreign_load": max(one["foreign_load"] for one in found),
    }  # fmt: skip


def _first(arguments: argparse.Namespace) -> dict[str, Any]:
    found = starts.measure_first_runs(checkouts(arguments.old), rounds=arguments.rounds or 5, settings=arguments.set or TINY)
    return {**found, "tables": [starts.first_run_rows(found)]}


def _rate(arguments: argparse.Namespace) -> dict[str, Any]:
    found = starts.measure_rates(
        checkouts(arguments.old), rounds=arguments.rounds or 5, settings=arguments.set or SHORT, seeds=1
    )
    return {**found, "tables": [starts.rate_rows(found)]}


def _simulation(arguments: argparse.Namespace) -> dict[str, Any]:
    found = [
        simulation.simulate(number, waves=arguments.waves or 2, seconds=arguments.seconds or 15, settings=TINY)
        for number in arguments.workers or (100, 300, 1000)
    ]
    return {
        "simulations": found, "tables": [simulation.simulation_rows(found)],
        "foreign_load": max(one["foreign_load"] for one in found),
    }  # fmt: skip


def _looks(arguments: argparse.Namespace) -> dict[str, Any]:
    found = looks.measure_looks(arguments.runs or (10, 100, 1000), settings=TINY, rounds=arguments.rounds or 5)
    return {**found, "tables": [looks.look_rows(found)]}


if __name__ == "__main__":
    run_command(main)
