"""Builds the pretended CUDA runtime and walks through the code for GPUs on it.

    VICREG_CUDA_PYTHON=ENV/bin/python python -m benchmarks.pretended_cuda [--out FILE] [--only WORD] [--images N]

It ends with status 1 where anything raises, or does what a graph capture forbids. It prints launches, waits and copies a
step and an epoch; numbers in results mean nothing.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, ROOT, table
from benchmarks.pretended_cuda.build import build, cuda_python, environment
from study.cli.command import run_command


def main() -> int:
    arguments = sys.argv[1:]
    if "--help" in arguments or "-h" in arguments:
        print(__doc__)
        return 0
    out = RESULTS / "pretended_cuda.json"
    if "--out" in arguments:
        out = Path(arguments[arguments.index("--out") + 1])
    else:
        arguments += ["--out", str(out)]
    status = walk(arguments)
    if out.exists():
        print(counted(json.loads(out.read_bytes())))
    return status


def walk(arguments: list[str]) -> int:
    """Walk in a process that takes the pretended runtime for a GPU; return its status."""
    python = cuda_python()
    own = os.environ | environment(build(python))
    return subprocess.run([python, "-m", "benchmarks.pretended_cuda.walk", *arguments], env=own, cwd=ROOT).returncode


def counted(found: dict[str, Any]) -> str:
    """Return a table of what was counted, a row a kind of step or part of an epoch."""
    rows = [
        {"": name, **{kind: f"{number:,}" for kind, number in one["summary"].items()}}
        for name, one in found["walked"].items()
        if name.startswith(("step", "epoch", "k-NN"))
    ]
    return table(rows) if rows else "nothing was counted"


if __name__ == "__main__":
    run_command(main)
