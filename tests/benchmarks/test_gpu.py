"""The GPU script on a CPU: what it checks can fail, its sections are done once, and it stops at its deadline."""

import json
import sys

import pytest
import torch

from benchmarks import gpu
from benchmarks.measure import ROOT

TINY = [
    "--device", "cpu", "--profile", "digits", "--side", "8", "--set", "pretrain.width=4",
    "--set", "pretrain.expander=[16,16,16]", "--set", "pretrain.batch_size=8", "--set", "pretrain.image_size=8",
    "--set", "pretrain.epochs=2", "--set", "pretrain.warmup_epochs=1",
]  # fmt: skip


@pytest.fixture
def call(tmp_path, monkeypatch):
    """`call("--only", "parts")`: the script's exit status and its gpu.json."""
    monkeypatch.chdir(ROOT)

    def run(*arguments: str):
        monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path), *TINY, *arguments])
        status = gpu.main()
        path = tmp_path / "gpu.json"
        return status, json.loads(path.read_bytes()) if path.exists() else None

    return run


def test_on_a_cpu_everything_agrees_and_its_parts_are_timed(call):
    status, found = call("--only", "agreement", "--only", "ceilings", "--only", "parts")
    assert status == 0
    assert all(check["agrees"] for check in found["agreement"].values())
    exact = found["agreement"]["stopped and resumed against whole: weights"]
    assert exact["error"] == exact["bound"] == 0.0
    assert all(value > 0 for value in found["parts"]["milliseconds"].values())
    assert found["parts"]["network_floor_milliseconds"] < found["parts"]["milliseconds"]["network"]


def test_what_does_not_agree_is_named_and_nothing_is_timed(call, monkeypatch, capsys):
    original = gpu.apply_view
    calls = iter(range(100))
    monkeypatch.setattr(gpu, "apply_view", lambda *a, **k: original(*a, **k) + 0.1 * (next(calls) % 2))
    status, found = call("--only", "agreement", "--only", "ceilings")
    assert status == 1 and "ceilings" not in found
    assert not found["agreement"]["device against CPU: views"]["agrees"]
    assert "nothing is timed" in capsys.readouterr().err


def test_a_second_call_does_only_what_the_first_did_not(call, tmp_path):
    _, first = call("--only", "ceilings")
    _, second = call("--only", "ceilings", "--only", "study", "--previous", str(tmp_path / "gpu.json"))
    assert second["ceilings"] == first["ceilings"] and second["study"] == {"status": "not run: no --data"}


def test_no_section_begins_after_the_deadline(call, capsys):
    status, found = call("--minutes", "0", "--only", "ceilings")
    assert status == 0 and found is None and "call again with --previous" in capsys.readouterr().out


def test_an_archive_of_images_is_unpacked_once(tmp_path):
    import tarfile

    (tmp_path / "images" / "train" / "a").mkdir(parents=True)
    with tarfile.open(tmp_path / "images.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "images", arcname="set")
    store = tmp_path / "store"
    store.mkdir()
    folder = gpu.images_in(tmp_path / "images.tar.xz", store)
    assert (folder / "train" / "a").is_dir() and gpu.images_in(tmp_path / "images.tar.xz", store) == folder
    assert gpu.images_in(folder, store) == folder


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_everything_agrees(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path), "--only", "agreement"])
    assert gpu.main() == 0
