"""The GPU script on a CPU: what it checks can fail, its sections are done once, and it stops at its deadline."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import agreement, gpu, studies
from benchmarks.measure import ROOT
from study.config.load import load_config
from study.config.values import parse_setting
from study.spec.study_file import load_study

pytestmark = pytest.mark.slow  # a benchmark is run

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
    original = agreement.apply_view
    calls = iter(range(100))
    monkeypatch.setattr(agreement, "apply_view", lambda *a, **k: original(*a, **k) + 0.1 * (next(calls) % 2))
    status, found = call("--only", "agreement", "--only", "ceilings")
    assert status == 1 and "ceilings" not in found
    assert not found["agreement"]["device against CPU: views"]["agrees"]
    assert "nothing is timed" in capsys.readouterr().err


def test_a_second_call_does_only_what_the_first_did_not(call, tmp_path):
    _, first = call("--only", "ceilings")
    _, second = call("--only", "ceilings", "--only", "studies", "--previous", str(tmp_path / "gpu.json"))
    assert second["ceilings"] == first["ceilings"] and second["studies"] == {"status": "not run: no --data"}


@pytest.mark.slow
def test_the_studies_are_run_in_order_with_a_report_each_and_end_where_one_is_stopped(call, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    for index, image in enumerate(images):
        place = tmp_path / "data" / ("test" if index % 4 == 0 else "train") / "ab"[index // 4 % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index}.png")
    few = ("ablate.seeds=[0]", "ablate.probes=[knn]", "ablate.workers=1", "evaluate.knn=[5]")
    small = (*few, "pretrain.threads=1", "prepare.per_class=null")
    monkeypatch.setattr(studies, "QUEUE", (("convention", small), ("weight-decay", small)))
    given = ("--only", "studies", "--data", str(tmp_path / "data"), "--store", str(tmp_path / "store"))
    _, found = call(*given)
    assert found["studies"] == {name: {"status": "ended", "exit": 0} for name in ("convention", "weight-decay")}
    assert all((tmp_path / name / "report" / "index.html").is_file() for name in ("convention", "weight-decay"))
    _, stopped = call(*given, "--study", "lars", "--minutes", "0.02", "--reserve", "-1")
    assert stopped["studies"]["lars"]["status"].startswith("stopped at the deadline")


def test_the_queue_is_the_source_papers_recipe_first_and_the_coefficients_last():
    assert [name for name, _ in studies.QUEUE] == ["stem", "batch-size", "lambda-mu-nu"]
    for name, settings in studies.QUEUE:
        study = load_study(name)
        config = load_config(profile="cifar10", settings={**dict(map(parse_setting, settings)), **study.settings})
        assert [config.pretrain.backbone, config.pretrain.epochs] == (
            {"stem": ["resnet34", 100], "batch-size": ["resnet18", 100], "lambda-mu-nu": ["resnet18", 20]}[name]
        )
        assert config.ablate.seeds == (0, 1, 2)


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
    folder = studies.images_in(tmp_path / "images.tar.xz", store)
    assert (folder / "train" / "a").is_dir() and studies.images_in(tmp_path / "images.tar.xz", store) == folder
    assert studies.images_in(folder, store) == folder


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_everything_agrees(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path), "--only", "agreement"])
    assert gpu.main() == 0
