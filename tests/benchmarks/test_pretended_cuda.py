"""The code for GPUs on a pretended CUDA runtime, where a CUDA build of torch is at hand."""

import json
import os
import subprocess

import pytest

from benchmarks.gpu.queue import SECTIONS
from benchmarks.gpu.timings import KINDS
from benchmarks.measure import ROOT
from benchmarks.pretended_cuda import build
from benchmarks.pretended_cuda.__main__ import walk
from tests.benchmarks.image_archive import write_archive
from vicreg.errors import InputError

SETTINGS = (
    "pretrain.backbone=resnet18", "pretrain.width=4", "pretrain.expander=[16,16]", "pretrain.batch_size=8",
    "pretrain.epochs=2", "pretrain.warmup_epochs=1", "pretrain.threads=1", "evaluate.knn=[5]", "evaluate.linear.epochs=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def python() -> str:
    try:
        return build.cuda_python()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pretended(python):
    """`pretended("-c", "...")`: what a process with the pretended GPU says."""
    own = os.environ | build.environment(build.build(python))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python, *arguments], env=own, cwd=ROOT, capture_output=True, text=True)

    return run


def test_where_no_python_is_named_one_sentence_says_so(monkeypatch):
    monkeypatch.delenv(build.VARIABLE, raising=False)
    with pytest.raises(InputError, match="VICREG_CUDA_PYTHON must name a Python that has a CUDA build of torch"):
        build.cuda_python()
    monkeypatch.setenv(build.VARIABLE, "/nowhere/python")
    with pytest.raises(InputError, match="can be run, but is '/nowhere/python'"):
        build.cuda_python()


@pytest.mark.slow
def test_a_wait_within_a_capture_is_seen_with_its_line(pretended, tmp_path):
    script = tmp_path / "benchmarks" / "faulty.py"  # a line of the project's, by its folder's name
    script.parent.mkdir()
    script.write_text(
        "import torch\n"
        "from benchmarks.pretended_cuda.events import seen\n"
        "x = torch.ones(4, device='cuda')\n"
        "with seen() as outside:\n"
        "    x.sum().item()\n"
        "with seen() as inside, torch.cuda.graph(torch.cuda.CUDAGraph()):\n"
        "    x.sum().item()\n"
        "print(len(outside.forbidden), outside.summary()['waits'] > 0, *inside.forbidden)\n"
    )
    said = pretended(str(script))
    assert said.stdout.startswith("0 True "), said.stderr
    assert "cudaStreamSynchronize at benchmarks/faulty.py:7" in said.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_evaluation_and_runs_go_through_without_an_error_or_a_forbidden_call(python, tmp_path):
    assert walk(["--out", str(tmp_path / "walk.json"), "--images", "2560"]) == 0
    walked = json.loads((tmp_path / "walk.json").read_bytes())["walked"]
    assert not [name for name, one in walked.items() if one["error"] or one["summary"]["forbidden"]]
    for optimizer in ("lars", "sgd", "adamw"):
        for precision in ("float32", "bfloat16"):
            assert any(name.startswith(f"train: {optimizer}, {precision}") for name in walked)
    eager, replayed = walked["step, eager: lars, float32, separate"], walked["step, replayed: lars, float32, separate"]
    assert eager["summary"]["launches"] > 100 and eager["summary"]["waits"] == 0
    assert replayed["summary"]["replays"] == 1 and replayed["summary"]["launches"] < 10
    assert replayed["summary"]["captured"] == pytest.approx(eager["summary"]["launches"], rel=0.02)
    assert {"evaluate: every probe", "execute: a run and its control", "stop and resume: graph True"} <= walked.keys()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_of_the_gpu_script_goes_through(pretended, tmp_path):
    images = write_archive(tmp_path)
    out = tmp_path / "out"
    said = pretended(
        "-m", "benchmarks.gpu", "--out", str(out), "--work", str(tmp_path / "work"), "--wheels", str(tmp_path),
        "--images", str(images), "--device", "cuda", "--side", "8", "--timed", "0.1",
        "--seconds", "1100",
        *(part for setting in SETTINGS for part in ("--set", setting)),
    )  # fmt: skip
    assert said.returncode == 1, said.stderr  # numbers mean nothing, so they do not agree
    found = {path.stem: json.loads(path.read_bytes()) for path in out.glob("*.json")}
    about_numbers = {"tests", "recipe"}
    ended = {name: one["status"] for name, one in found.items() if name not in about_numbers}
    assert ended == {name: "done" for name, one in SECTIONS.items() if one.default and name not in about_numbers}
    assert found["recipe"]["reason"] == "no results were written of source-recipe; the store has the runs."
    assert "an accuracy must be between 0 and 1" in found["recipe"]["results"]["results"]["source-recipe"]
    assert found["steps"]["machine"]["device"] == "pretended GPU (no numbers)"
    assert len(found["steps"]["results"]) == len(KINDS)
    runs = found["recipe"]["results"]["runs"]
    measured = {(one["seed"], one["log"]["epochs"]) for one in runs if "test" in one}
    assert measured == {(0, 100), (0, 50), (1, 100), (1, 50)}
