"""Runs programs of this checkout, and of an earlier one beside it, as processes of their own."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.scale import probe
from benchmarks.scale.orphans import adopted, processor_seconds
from vicreg.errors import InputError

# Over the profile `digits`: a run of a second or two, which leaves a start little to hide behind.
TINY = (
    "prepare.per_class=20", "pretrain.width=4", "pretrain.stem=cifar", "pretrain.expander=[16, 16, 16]",
    "pretrain.image_size=8", "pretrain.epochs=1", "pretrain.warmup_epochs=0", "pretrain.batch_size=64",
    "pretrain.optimizer=adamw", "pretrain.base_lr=0.05", 'ablate.probes=["knn"]',
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A folder with the project's files, by the name that a table gives it."""

    name: str
    folder: Path
    old: bool = False  # whether it has the home-made pool

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONUNBUFFERED": "1"}

    def time_executor(
        self, *, jobs: str, workers: int, one_by_one: int, in_all: int, settings: Sequence[str] = TINY
    ) -> dict[str, Any]:
        """Return what `probe.measure` finds in a process of this checkout."""
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            out = Path(folder) / "found.json"
            asked = probe.Asked(
                old=self.old, jobs=jobs, workers=workers, one_by_one=one_by_one, in_all=in_all, settings=tuple(settings),
                folder=f"{folder}/store", out=str(out),
            )  # fmt: skip
            self._run([str(Path(probe.__file__)), probe.to_argument(asked)], Path(folder))
            found: dict[str, Any] = json.loads(out.read_bytes())
        return found

    def time_study(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Run `study.ablate` with a store of its own.

        Returns:
            Seconds from the call: `ends`, when each run was said to have finished, in order, and `exit`. `processor` is the
            processor time of the command and of all that it started.

        Raises:
            InputError: where it does not finish runs.
        """
        with tempfile.TemporaryDirectory(prefix="scale-") as temporary:
            folder = Path(temporary)
            self._lay_out(folder)
            before = processor_seconds()
            with adopted():
                started = time.perf_counter()
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "study.ablate", *arguments], cwd=folder, env=self._environment(),
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )  # fmt: skip
                lines, exited = _told(process)
        ends = [moment - started for moment, line in lines if line.startswith("[") and ": finished" in line]
        if process.returncode or not ends:
            said = last("".join(line for _, line in lines))
            raise InputError(f"study.ablate of {self.folder} must finish runs, but ended with {process.returncode}: {said}.")
        return {"ends": ends, "exit": exited - started, "processor": processor_seconds() - before}

    def _run(self, command: Sequence[str], folder: Path) -> None:
        self._lay_out(folder)
        with adopted():
            ended = subprocess.run(
                [sys.executable, "-P", *command], cwd=folder, env=self._environment(), capture_output=True, text=True
            )
        if ended.returncode:
            raise InputError(f"a program of {self.folder} ended with {ended.returncode}: {last(ended.stderr)}.")

    def _lay_out(self, folder: Path) -> None:
        (folder / "params.yaml").write_bytes((self.folder / "params.yaml").read_bytes())


def checkouts(old: Path | None) -> list[Checkout]:
    """Return this checkout, and before it an earlier one where its folder is given.

    Raises:
        InputError: where that has no home-made pool.
    """
    this = Checkout(name="now", folder=ROOT)
    if old is None:
        return [this]
    if not (old / "study" / "pool.py").is_file():
        raise InputError(
            f"--old must be a checkout of commit 599e321, but {old} has no study/pool.py; "
            "make one with `git worktree add --detach FOLDER 599e321`."
        )
    return [Checkout(name="pool", folder=old.absolute(), old=True), this]


def _told(process: subprocess.Popen[str]) -> tuple[list[tuple[float, str]], float]:
    """Return each line that a process prints with its moment, and the moment at which the process has ended.

    What it leaves behind for a while has its output open, so that the output may end later than the process.
    """
    lines = []
    assert process.stdout is not None
    with process.stdout as output:

        def read() -> None:
            for line in output:
                lines.append((time.perf_counter(), line))

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        process.wait()
        exited = time.perf_counter()
        reader.join()
    return lines, exited


def last(text: str) -> str:
    """Return the last line of a text."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
