"""A study whose runs have two processes each, by the command: who writes, and what the results say."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.study.conftest import QUICK, Project, enter, run_inline

SHARED = {
    "pretrain.expander": [8], "pretrain.epochs": 2, "pretrain.warmup_epochs": 0, "pretrain.optimizer": "sgd",
    "pretrain.base_lr": 0.02, "pretrain.batch_size": 32, "prepare.per_class": 12, "pretrain.processes": 2,
}  # fmt: skip
STUDY = """
question: Does the weight of the covariance matter where two processes share a batch?
hypothesis: It does not.
baseline: nu-1
arms:
  nu-1: {pretrain.nu: 1}
  nu-2: {pretrain.nu: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_config) -> Path:
    """A project in which a command has run this study; a run's second process is a new interpreter."""
    project = Project(tmp_path_factory.mktemp("project"), tiny_config(QUICK | SHARED))
    (project.studies / "shared.yaml").write_text(STUDY, encoding="utf-8")
    (project.folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        run_inline(patch)  # both runs follow one another in one process, as in a worker
        patch.setattr(tempfile, "tempdir", str(project.folder / "temporary"))
        assert project.start("--study", "shared").wait() == 0, project.said()
    return project.folder


@pytest.mark.slow
def test_every_run_of_a_study_by_two_processes_finishes_with_one_record_an_epoch(folder):
    results = json.loads((folder / "results/ablate/shared/study.json").read_bytes())
    runs = {arm["name"]: arm["runs"][0] for arm in results["arms"]}
    assert {name: run["status"] for name, run in runs.items()} == dict.fromkeys(("nu-1", "nu-2", "untrained"), "finished")
    for name in ("nu-1", "nu-2"):
        assert [record["epoch"] for record in runs[name]["history"]] == [1, 2]


@pytest.mark.slow
def test_one_process_writes_what_a_run_leaves_and_its_identity_names_their_number(folder):
    trained = {}
    for path in (folder / "store/runs").iterdir():
        settings = json.loads((path / "identity.json").read_bytes())["settings"]
        if settings["epochs"] > 0:
            trained[path] = settings
        else:
            assert "processes" not in settings  # the untrained control is that of all runs
    assert len(trained) == 2
    for path, settings in trained.items():
        assert (settings["processes"], settings["batchnorm_over"]) == (2, "all")
        assert len(json.loads((path / "history.json").read_bytes())) == 2
        names = {one.name for one in path.iterdir() if "evaluation" not in one.name}
        whole = {"identity.json", "provenance.json", "model.safetensors", "history.json", "status.json"}
        assert names - {"lock", "host.json"} == whole
    assert [path for path in (folder / "temporary").iterdir() if "processes" in path.name] == []
