"""Processes that train when they are told, each in a checkout and an environment of its own, and busy ones beside them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vicreg.errors import InputError

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # how idle threads wait; a child has what it is given


@contextmanager
def child(
    arguments: list[str], *, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:  # fmt: skip
    """Run Python with some arguments in a folder, which trains some steps for each line of its standard input."""
    clean = {key: value for key, value in os.environ.items() if key not in WAITING}
    process = subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
        env=clean | dict(environment or {}),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def turn(process: subprocess.Popen[str]) -> float:
    """Have a child train its steps, and return the images a second that it says.

    Raises:
        InputError: where it has ended, or says something else.
    """
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("go\n")
        process.stdin.flush()
        return float(process.stdout.readline())
    except (OSError, ValueError):
        raise InputError("a process that trains has ended; what it said stands above.") from None


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes busy, niced as a user's background work is."""
    loop = "import os\nos.nice(10)\nwhile True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
