"""A study whose runs have two processes each, by the command: who writes, and what the results say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TINY = {
    "pretrain.backbone": "resnet18", "pretrain.width": 4, "pretrain.stem": "cifar", "pretrain.expander": [8],
    "pretrain.image_size": 8, "pretrain.epochs": 2, "pretrain.warmup_epochs": 0, "pretrain.optimizer": "sgd",
    "pretrain.base_lr": 0.02, "pretrain.batch_size": 32, "pretrain.threads": 1, "pretrain.checkpoint_share": 1,
    "prepare.per_class": 12, "pretrain.processes": 2, "evaluate.linear.epochs": 1,
}  # fmt: skip
STUDY = """
question: Does it matter how many processes share a batch?
hypothesis: To rounding alone.
baseline: shared
arms:
  shared: {pretrain.nu: 1}
  alone: {pretrain.nu: 1, pretrain.processes: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A copy of the project with this study, run once."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("study", "vicreg"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "study/studies/shared.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True)
    (folder / "temporary").mkdir()
    settings = [text for key, value in TINY.items() for text in ("--set", f"{key}={json.dumps(value)}")]
    command = [sys.executable, "-m", "study.ablate", "--study", "shared", "--profile", "digits", "--seeds", "1"]
    done = subprocess.run(
        [*command, "--workers", "1", "--device", "cpu", "--out", "out", *settings],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(folder / "temporary")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return folder


def runs_by_arm(folder: Path) -> dict[str, dict]:
    results = json.loads((folder / "out/study.json").read_bytes())
    return {arm["name"]: arm["runs"][0] for arm in results["arms"]}


def folders_of(folder: Path, processes: int) -> list[Path]:
    """The folders of trained runs whose identity names so many processes; an identity does not name one."""
    runs = [path for path in (folder / "store/runs").iterdir() if (path / "identity.json").is_file()]
    settings = {path: json.loads((path / "identity.json").read_bytes())["settings"] for path in runs}
    return [path for path, found in settings.items() if found["epochs"] > 0 and found.get("processes", 1) == processes]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs_of_one_and_of_two_processes_are_two_runs_with_the_same_numbers_to_rounding(folder):
    runs = runs_by_arm(folder)
    assert {name: run["status"] for name, run in runs.items()} == dict.fromkeys(("shared", "alone", "untrained"), "finished")
    shared, alone = runs["shared"]["history"], runs["alone"]["history"]
    assert [record["epoch"] for record in shared] == [record["epoch"] for record in alone] == [1, 2]
    for ours, theirs in zip(shared, alone, strict=True):
        for name in ("total", "invariance", "variance", "embedding_std_mean", "gradient_norm"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3), name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_process_writes_what_a_run_of_one_leaves(folder):
    (shared,), (alone,) = folders_of(folder, 2), folders_of(folder, 1)
    assert shared.name != alone.name

    def files(path: Path) -> list[str]:
        return sorted(
            str(one.relative_to(path)) for one in path.rglob("*") if one.is_file() and "evaluation" not in one.name
        )

    assert files(shared) == files(alone)
    assert len(json.loads((shared / "history.json").read_bytes())) == 2
    assert [path for path in (folder / "temporary").iterdir() if "processes" in path.name] == []
