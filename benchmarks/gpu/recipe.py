"""The source paper's recipe for real: one arm of one study at one seed, as anyone would run it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.queue import IMAGES
from benchmarks.gpu.ready import wait_until_ready
from benchmarks.gpu.results import read_results
from vicreg.errors import InputError

STUDY, ARM = "stem", "imagenet"
# A checkpoint has a quarter of a gigabyte: at the end alone, for the recipe takes minutes.
SETTINGS = ("pretrain.checkpoint_every=100",)
_EVERY = 1.0  # seconds between looks at what has been written


def data_settings(root: Path) -> dict[str, Any]:
    """Return the settings that make a folder of images the data."""
    return {"prepare.dataset": "imagefolder", "data.root": str(root)}


def recipe(bench: Bench, record: Any, *, seed: int) -> None:
    """Run the arm at a seed, and record when it was trained and measured, its log and its accuracies.

    Raises:
        InputError: where there are no images, or the run did not end.
    """
    images = wait_until_ready(bench.call.work, IMAGES, seconds=300)
    record("data", images)
    store, started = bench.call.work / "store", time.monotonic()
    command = command_of(bench, Path(images["root"]), seed=seed)
    record("command", " ".join(command[1:]))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    noted: set[str] = set()
    try:
        while process.poll() is None:
            time.sleep(_EVERY)
            note(bench, record, store, seed, noted, seconds=time.monotonic() - started)
    finally:
        note(bench, record, store, seed, noted, seconds=time.monotonic() - started)
    if process.returncode != 0:
        raise InputError(f"{STUDY}, {ARM}, seed {seed} ended with status {process.returncode}; the log says why.")


def command_of(bench: Bench, root: Path, *, seed: int) -> list[str]:
    """Return the command that runs the arm at a seed, one run at a time."""
    data = [f"{key}={value}" for key, value in data_settings(root).items()]
    settings = {one.partition("=")[0]: one for one in (*data, *SETTINGS, *bench.call.given)}.values()  # the later one holds
    return [
        sys.executable, "-m", "study.ablate", "--study", STUDY, "--arm", ARM, "--seeds", "1", "--first-seed", str(seed),
        "--profile", bench.call.profile, "--device", bench.device.type, "--store", str(bench.call.work / "store"),
        "--workers", "1", "--allow-diverged", *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip


def note(bench: Bench, record: Any, store: Path, seed: int, noted: set[str], *, seconds: float) -> None:
    """Record what the store has of the run and was not recorded before."""
    for folder in (store / "runs").glob("*/"):
        provenance = read_results(folder / "provenance.json")
        if provenance is None or provenance["values"]["pretrain"]["seed"] != seed:
            continue
        for path in sorted((folder / "status.json", folder / "history.json", *folder.glob("evaluation-*.json"))):
            name = path.name.split("-")[0].removesuffix(".json")
            if name not in noted and path.exists():
                noted.add(name)
                record(
                    name, {"seconds after the start": seconds, "run": folder.name, "content": json.loads(path.read_bytes())}
                )
