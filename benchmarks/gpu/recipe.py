"""The source paper's recipe for real: studies at two seeds, all runs side by side, as anyone would run them."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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


# The claims that a GPU can decide in minutes, the costliest study's two most telling arms first.
STUDIES = {
    "recipe": Asked("source-recipe", ("epochs-100", "halfway"), 4),
    "looks": Asked("source-recipe", (), 8),
    "batch-size": Asked("batch-size", (), 4),
}
SEEDS = 2
# bfloat16 and one pass are what an H200 trains fastest by. A checkpoint has a quarter of a gigabyte.
SETTINGS = {
    "pretrain.precision": "bfloat16", "pretrain.view_passes": "together", "pretrain.probe_every": "5",
    "pretrain.checkpoint_every": "25",
}  # fmt: skip
_EVERY = 1.0  # seconds between looks at what has been written
_TO_END, _TO_COLLECT = 10.0, 30.0  # seconds for runs that are told to stop, and for writing results


def data_settings(root: Path) -> dict[str, Any]:
    """Return the settings that make a folder of images the data."""
    return {"prepare.dataset": "imagefolder", "data.root": str(root)}


def recipe(bench: Bench, record: Any, *, section: str) -> None:
    """Run a section's study; record how its runs stand, once a second, and write results of those that are measured.

    Raises:
        InputError: where there are no images, or runs did not end.
        OutOfTime: where the section's time was over before; another call goes on.
    """
    images = wait_until_ready(bench.call.work, IMAGES, seconds=300)
    record("data", images)
    root, store = Path(images["root"]), bench.call.work / "store"
    command = command_of(bench, root, section=section)
    record("command", " ".join(command[1:]))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    in_time = True
    try:
        while process.poll() is None and (in_time := bench.seconds_left() > _TO_END + _TO_COLLECT):
            time.sleep(_EVERY)
            record("runs", runs_of(store))
        if not in_time:
            end(process)
    finally:
        record("runs", runs_of(store))
    record("results", collect(bench, root, section=section))
    if not in_time:
        raise OutOfTime("the section's time was over; what is missing goes on in another call")
    if process.returncode != 0:
        raise InputError(f"study {STUDIES[section].study} ended with status {process.returncode}; the log says why.")


def command_of(bench: Bench, root: Path, *, section: str) -> list[str]:
    """Return the command that runs a section's study, as many runs side by side as it asks for."""
    study, arms, workers = STUDIES[section]
    chosen = [part for arm in arms for part in ("--arm", arm)]
    return [*_ablate(bench, root, study), *chosen, "--workers", str(workers), "--allow-diverged"]


def collect(bench: Bench, root: Path, *, section: str) -> str:
    """Write the results of the runs that are measured below `studies`, and return what the command said last."""
    study = STUDIES[section].study
    command = [*_ablate(bench, root, study), "--so-far", "--out", str(bench.call.work / "studies" / study)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TO_COLLECT)
    except subprocess.TimeoutExpired:
        return f"not written within {_TO_COLLECT:.0f} s"
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return said[0] if said else f"status {done.returncode}"


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


def end(process: subprocess.Popen[Any]) -> None:
    """Tell a command to end, which leaves its runs' checkpoints; kill it where it takes too long."""
    process.terminate()
    try:
        process.wait(_TO_END)
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
            one["test"] = {name: probe["top1"] for name, probe in measured.get("test", {}).items()}
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
