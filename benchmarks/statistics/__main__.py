"""Whether the statistics of reports hold what they state, on synthetic studies whose truth is known.

    python -m benchmarks.statistics [--studies 4000] [--only PART ...] [--out FILE]

Every interval, p-value, decision and probability comes from the functions that reports call. `asked` is what a row must
reach; a row without it is there to compare with. Scenarios and looks take 3,000 studies at most. The command ends with 1
where a row is not within what is asked.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from benchmarks.measure import RESULTS, machine, write
from benchmarks.statistics.adaptive import adaptive
from benchmarks.statistics.moderated import detectable, scenarios
from benchmarks.statistics.normal import PARTS
from benchmarks.statistics.rows import Rows, tables
from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from vicreg.errors import InputError

ALL: dict[str, Callable[[Generator, int], Rows]] = {
    part.__name__: part for part in (*PARTS, scenarios, detectable, adaptive)
}


def main() -> int:
    parser = Parser("benchmarks.statistics", __doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=positive, default=4000, help="synthetic studies for each row")
    parser.add_argument("--only", nargs="+", choices=list(ALL), default=list(ALL), help="parts to measure; by default all")
    parser.add_argument("--out", type=Path, help="JSON file; by default benchmarks/results/statistics.json")
    arguments = parser.parse_args()
    rows = measure(studies=arguments.studies, parts=arguments.only)
    missed = [one for one in rows if one["holds"] is False]
    result = {
        "machine": machine(torch.device("cpu"), packages=("numpy", "scipy", "optuna")),
        "studies": arguments.studies,
        "rows": rows,
    }
    write(arguments.out or RESULTS / "statistics.json", result)
    print(tables(rows))
    for one in missed:
        where = one.get("column") or f"n = {one['n']}"
        print(f"missed: {one['what']} at {where}: {one['rate']:.4f}", file=sys.stderr)
    return 1 if missed else 0


def measure(*, studies: int, parts: Sequence[str] = tuple(ALL), seed: int = 0) -> list[dict[str, Any]]:
    """Return every row of these parts.

    A row has `what`, `n` (seeds, or what the row says), `rate`, its standard `error`, what is `asked`, and if it `holds`.

    Raises:
        InputError: for fewer than 10 studies, whose rates would say nothing.
    """
    if studies < 10:
        raise InputError(f"studies must be at least 10, but got {studies}; 4000 give a rate to within half a percent.")
    places = {name: place for place, name in enumerate(ALL)}
    return [one for name in parts for one in ALL[name](np.random.default_rng([seed, places[name]]), studies)]


if __name__ == "__main__":
    run_command(main)
