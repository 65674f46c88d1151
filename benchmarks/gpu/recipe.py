"""The source paper's recipe for real: studies at two seeds, all runs side by side, as anyone would run them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu.archives import unpack_records
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.queue import IMAGES
from benchmarks.gpu.ready import wait_until_ready
from benchmarks.gpu.results import OutOfTime, read_results
from study.config.methods import is_same_setting
from study.spec.study_file import load_study
from vicreg.errors import InputError


class Asked(NamedTuple):
    """A study, the arms that come first (none for all of them), and how many runs are side by side."""

    study: str
    arms: tuple[str, ...]
    workers: int


# Claims that a GPU can decide in minutes. What a section names is run at once.
STUDIES = {
    "recipe": (Asked("source-recipe", ("epochs-100", "halfway"), 4),),
    "looks": (Asked("source-recipe", (), 8),),
    "batch-size": (Asked("batch-size", (), 4),),
    # What an H200 left open of the paper's claims in 15 minutes; `--records` has what it measured.
    "open-claims": (Asked("source-recipe", ("halfway",), 2), Asked("batch-size", ("size-128", "size-256"), 4)),
}
SEEDS = 2
# An H200 trained the recipe by bfloat16 and one pass for both views. A checkpoint has a quarter of a gigabyte.
SETTINGS = {
    "pretrain.precision": "bfloat16", "pretrain.view_passes": "together", "pretrain.probe_every": "5",
    "pretrain.checkpoint_every": "25",
}  # fmt: skip
_EVERY = 1.0  # seconds between looks at what has been written
_TO_END, _TO_COLLECT = 10.0, 30.0  # seconds for runs that are told to stop, and for writing results where time is short
_AT_MOST = 300.0  # seconds for writing results where it is not
_SPARE = 5.0  # seconds by which a section ends before it would be ended


def data_settings(root: Path) -> dict[str, Any]:
    """Return the settings that make a folder of images the data."""
    return {"prepare.dataset": "imagefolder", "data.root": str(root)}


def recipe(bench: Bench, record: Any, *, section: str) -> None:
    """Run a section's studies; record how runs stand, once a second, and write results of those that are measured.

    Raises:
        InputError: where there are no images, or runs did not end.
        OutOfTime: where the section's time was over before; another call goes on.
    """
    images = wait_until_ready(bench.call.work, IMAGES, seconds=300)
    record("data", images)
    root, store = Path(os.path.relpath(images["root"])), bench.call.work / "store"
    if bench.call.records is not None:
        record("records", unpack_records(bench.call.records, store))
    commands = {asked.study: command_of(bench, root, asked) for asked in STUDIES[section]}
    record("commands", [" ".join(command[1:]) for command in commands.values()])
    processes = {study: subprocess.Popen(command, stdin=subprocess.DEVNULL) for study, command in commands.items()}
    in_time = True
    try:
        while any(one.poll() is None for one in processes.values()) and in_time:
            time.sleep(_EVERY)
            record("runs", runs_of(store))
            in_time = bench.seconds_left() > _TO_END + _TO_COLLECT + _SPARE
        if not in_time:
            end(processes.values())
    finally:
        record("runs", runs_of(store))
    said, unwritten = collect(bench, root, list(processes))
    record("results", said)
    if not in_time:
        raise OutOfTime("the section's time was over; what is missing goes on in another call")
    if failed := {study: one.returncode for study, one in processes.items() if one.returncode != 0}:
        how = " and ".join(f"study {study} ended with status {status}" for study, status in failed.items())
        raise InputError(f"{how}; the log says why.")
    if unwritten:
        raise InputError(f"no results were written of {' and '.join(unwritten)}; the store has the runs.")


def command_of(bench: Bench, root: Path, asked: Asked) -> list[str]:
    """Return the command that runs a study, as many runs side by side as are asked for."""
    study, arms, workers = asked
    chosen = [part for arm in arms for part in ("--arm", arm)]
    return [*_ablate(bench, root, study), *chosen, "--workers", str(workers), "--allow-diverged"]


def collect(bench: Bench, root: Path, studies: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Write the results of the runs that are measured below `studies`.

    Returns:
        Study -> what its command said first, and the studies of which nothing was written.
    """
    processes, said, unwritten = {}, {}, []
    for study in studies:
        command = [*_ablate(bench, root, study), "--so-far", "--out", str(bench.call.work / "studies" / study)]
        processes[study] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    seconds = max(0.0, min(bench.seconds_left() - _SPARE, _AT_MOST))
    ends = time.monotonic() + seconds
    for study, process in processes.items():
        try:
            lines = process.communicate(timeout=max(0.0, ends - time.monotonic()))[0].strip().splitlines()
            said[study] = lines[0] if lines else f"status {process.returncode}"
            unwritten += [study] if process.returncode != 0 else []
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            said[study] = f"not written within {seconds:.0f} s"
            unwritten.append(study)
    return said, unwritten


def _ablate(bench: Bench, root: Path, study: str) -> list[str]:
    """Return the command of a study on a device, with all settings but those that the study decides itself."""
    own = load_study(study).roles
    given: Mapping[str, Any] = data_settings(root) | SETTINGS | dict(one.split("=", 1) for one in bench.call.given)
    settings = {key: value for key, value in given.items() if not any(is_same_setting(key, role) for role in own)}
    return [
        sys.executable, "-m", "study.ablate", "--study", study, "--seeds", str(SEEDS),
        "--profile", bench.call.profile, "--device", bench.device.type, "--store", str(bench.call.work / "store"),
        *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")),
    ]  # fmt: skip


def end(processes: Collection[subprocess.Popen[Any]]) -> None:
    """Tell commands to end, which leaves their runs' checkpoints; kill those that take too long."""
    for process in processes:
        process.terminate()
    ends = time.monotonic() + _TO_END
    for process in processes:
        try:
            process.wait(max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def runs_of(store: Path) -> list[dict[str, Any]]:
    """Return how each run of a store stands: what it is, how it ended, the epochs logged, and its accuracies on test."""
    found = []
    for folder in sorted((store / "runs").glob("*/")):
        provenance = read_results(folder / "provenance.json")
        if provenance is None:
            continue
        settings = provenance["values"]["pretrain"]
        keys = ("backbone", "batch_size", "seed", "epochs", "stop_after")
        one: dict[str, Any] = {"run": folder.name, **{key: settings[key] for key in keys}}
        one["status"] = (read_results(folder / "status.json") or {}).get("status")
        one["log"] = _logged(folder / "history.json")
        for path in sorted(folder.glob("evaluation-*.json")):
            measured = read_results(path) or {}
            one.setdefault("test", {}).update({name: probe["top1"] for name, probe in measured.get("test", {}).items()})
            one["collapse"] = measured.get("verdict", {}).get("name")
        found.append(one)
    return found


def _logged(path: Path) -> dict[str, Any]:
    """Return the number of epochs of a log, and what a reader asks first of the last one."""
    try:
        history = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {"epochs": 0}
    last = history[-1] if history else {}
    return {"epochs": len(history), **{key: last[key] for key in ("total", "knn", "images_per_second") if key in last}}
