"""The source paper's studies one after the other, until the time is up."""

import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from study.config.load import load_config
from study.config.values import parse_setting
from study.runs.prepared_data import obtain_dataset
from vicreg.errors import InputError

# The studies of the source paper by what they are worth a minute, each with what lies over the profile: the paper's recipe
# with both stems, its side study of the batch size, and the coefficients with ResNet-18 at a fifth of the epochs.
QUEUE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("stem", ()),
    ("batch-size", ()),
    ("lambda-mu-nu", ("pretrain.backbone=resnet18", "pretrain.epochs=20", "pretrain.warmup_epochs=2")),
)


def studies(bench: Bench) -> dict[str, Any]:
    """Run one study after the other until all are done or the time is up; nothing finished is lost."""
    if bench.data is None:
        return {"status": "not run: no --data"}
    given = [*bench.given, "prepare.dataset=imagefolder", f"data.root={images_in(bench.data, bench.store)}"]
    obtain_dataset(load_config(profile=bench.profile, settings=dict(map(parse_setting, given))), store=bench.store)
    found: dict[str, Any] = {}
    for name, settings in QUEUE if bench.study is None else ((bench.study, ()),):
        found[name] = run_study(bench, name, (*given, *settings))
        if found[name].get("exit") != 0:
            break
    return found


def run_study(bench: Bench, name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Run a study until it is done or the time is up, and write its report."""
    out = bench.out / name
    command = [
        sys.executable, "-m", "study.ablate", "--study", name, "--profile", bench.profile,
        "--device", bench.device.type, "--store", str(bench.store), "--out", str(out),
        "--allow-diverged", *[part for setting in overrides for part in ("--set", setting)],
    ]  # fmt: skip
    process = subprocess.Popen(command)
    try:
        status = process.wait(timeout=max(1.0, bench.deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
        return {"status": "stopped at the deadline; called again it goes on"}
    if (out / "study.json").is_file():
        files = ["--results", str(out / "study.json"), "--timing", str(out / "timing.json"), "--out", str(out / "report")]
        subprocess.run([sys.executable, "-m", "study.report", *files], check=True)
    return {"status": "ended", "exit": status}


def images_in(data: Path, store: Path) -> Path:
    """Return a folder with train/ and test/; a tar archive is unpacked beside the store once.

    Raises:
        InputError: where there is neither.
    """
    if data.is_dir():
        return data
    if not data.is_file():
        raise InputError(f"--data must be a folder or a tar archive with train/ and test/, but {data} is neither.")
    folder = store / "images"
    if not folder.is_dir():
        with tarfile.open(data) as archive:
            archive.extractall(folder, filter="data")
    inside = [path.parent for path in folder.rglob("train") if path.is_dir()]
    if not inside:
        raise InputError(f"--data must hold train/ and test/, but {data} has no train/ in it.")
    return inside[0]
