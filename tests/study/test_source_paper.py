"""The stage that runs the source paper's studies one after the other, and goes on past one that cannot be had."""

import json
import shutil

import pytest
import torch
import yaml

from study.config.load import load_params
from study.config.places import CUSTOM_RESULTS, PAPER_FAILURES, PAPER_RESULTS, STUDY_RESULTS
from study.design import run_study
from study.execution.request import Request
from study.runs import weights
from study.source_paper import main
from vicreg.errors import InputError
from vicreg.models.joint_embedding import build_model
from vicreg.randomness import make_generator

BORROWED = """
    question: What do the features of others come to?
    hypothesis: Something.
    baseline: theirs
    fixed: {pretrain.weights: nowhere/weights.pth, pretrain.epochs: 0, pretrain.warmup_epochs: 0}
    arms:
      theirs: {pretrain.nu: 1}
"""


@pytest.fixture
def studied(project):
    """`studied("tiny", ...)`: the project, whose profile asks for these studies of the source paper."""
    weights.load_once.cache_clear()
    (project.studies / "borrowed.yaml").write_text(BORROWED, encoding="utf-8")

    def build(*names, epochs=None):
        params = load_params(project.folder / "params.yaml")
        params["profiles"]["tiny"]["source_paper"] = {"studies": list(names)}
        if epochs:
            params["profiles"]["tiny"]["pretrain"]["epochs"] = epochs
        (project.folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        return project

    return build


def failures(project):
    return json.loads((project.folder / PAPER_FAILURES).read_bytes())


@pytest.mark.slow
def test_the_studies_of_the_profile_are_run_each_into_a_folder_of_its_own(studied, trained, capsys):
    project = studied("tiny", "rough", epochs=2)
    assert main([]) == 0
    assert sorted(path.parent.name for path in (project.folder / PAPER_RESULTS).glob("*/study.json")) == ["rough", "tiny"]
    assert failures(project) == {}
    before = len(trained())
    assert main([]) == 0
    assert len(trained()) == before == 4  # a control that both share, and four arms, of which two are one run


def test_other_settings_go_into_other_folders_and_leave_the_tracked_results_alone(studied, trained, capsys):
    project = studied("tiny")
    assert main([]) == 0
    tracked = {path: path.read_bytes() for path in (project.folder / PAPER_RESULTS).rglob("*") if path.is_file()}
    assert main(["--set", "pretrain.lambda=20"]) == 0
    (path,) = (project.folder / CUSTOM_RESULTS).glob("tiny-*/study.json")
    results = json.loads(path.read_bytes())
    assert results["recipe"]["pretrain.lambda"] == 20 and results["overrides"] == {"pretrain.lambda": 20}
    now = {path: path.read_bytes() for path in (project.folder / PAPER_RESULTS).rglob("*") if path.is_file()}
    assert now == tracked and not (project.folder / STUDY_RESULTS).exists()


def test_some_of_the_studies_leave_what_is_noted_of_the_others(studied, finished, capsys):
    project = studied("borrowed", "tiny")
    assert main([]) == 0 and list(failures(project)) == ["borrowed"]
    assert main(["--set", "source_paper.studies=[tiny]"]) == 0
    assert list(failures(project)) == ["borrowed"]


def test_a_study_that_there_is_not_is_refused_before_any_runs(studied, trained, command):
    project = studied("tiny", "tinny")
    status, _, errors = command(main)
    assert status == 2 and "there is no study 'tinny'; did you mean 'tiny'?" in errors
    assert trained() == [] and not (project.folder / PAPER_FAILURES).exists()


def test_a_study_whose_weights_cannot_be_had_is_noted_in_a_sentence_and_the_next_is_run(studied, finished, capsys):
    project = studied("borrowed", "tiny")
    assert main([]) == 0
    assert [path.parent.name for path in (project.folder / PAPER_RESULTS).glob("*/study.json")] == ["tiny"]
    assert list(failures(project)) == ["borrowed"]
    assert "nowhere/weights.pth" in failures(project)["borrowed"] and failures(project)["borrowed"].endswith(".")
    assert "not run: borrowed: " in capsys.readouterr().out


def test_what_can_be_run_since_is_no_failure_any_more(studied, capsys):
    project = studied("borrowed")
    main([])
    assert list(failures(project)) == ["borrowed"]
    network = build_model(
        architecture="resnet18", stem="cifar", width=4, in_channels=1, expander=(8,), batchnorm=True,
        generator=make_generator(0, "weights"), zero_init_residual=False,
    )  # fmt: skip
    (project.folder / "nowhere").mkdir()
    torch.save(network.state_dict(), project.folder / "nowhere/weights.pth")
    assert main([]) == 0
    assert failures(project) == {}
    results = json.loads((project.folder / PAPER_RESULTS / "borrowed/study.json").read_bytes())
    assert [run["status"] for arm in results["arms"] for run in arm["runs"]] == ["finished", "finished"]


@pytest.mark.slow
def test_a_diverged_run_is_an_outcome_and_one_that_failed_makes_the_status_1(studied, finished, befall, capsys):
    def fail():
        raise RuntimeError("no space left")

    studied("rough")
    assert main([]) == 0
    befall(fail, nu=2)
    shutil.rmtree(finished.store.folder(finished.arm("tiny", "nu-2")["runs"][0]["digest"]))
    project = studied("tiny", "rough")
    assert main([]) == 1
    assert failures(project) == {} and "not finished: ν 2, seed 0: failed" in capsys.readouterr().out
    results = json.loads((project.folder / PAPER_RESULTS / "tiny/study.json").read_bytes())
    assert {arm["name"]: [run["status"] for run in arm["runs"]] for arm in results["arms"]}["nu-2"] == ["failed"]


def test_a_profile_without_studies_runs_none_and_says_so_in_an_empty_note(studied, trained, capsys):
    project = studied()
    assert main([]) == 0 and failures(project) == {} and trained() == []


def test_arguments_are_handed_on_to_each_study(monkeypatch, studied, capsys):
    studied("tiny", "rough")
    asked, ran = [], []
    monkeypatch.setattr(run_study, "open_session", lambda request: asked.append(request) or request)
    monkeypatch.setattr(run_study, "unfold", lambda session, runner: None)
    monkeypatch.setattr(run_study, "Lookup", lambda session: None)
    monkeypatch.setattr(run_study, "run_study", lambda session, **named: ran.append((session.study, named)) or 0)
    for settings, folder in (([], PAPER_RESULTS), (["--set", "pretrain.nu=3"], None)):
        asked.clear()
        ran.clear()
        assert main(["--profile", "tiny", "--workers", "2", *settings]) == 0
        overrides = {"pretrain.nu": 3} if settings else {}
        assert asked == [Request(study=name, profile="tiny", overrides=overrides, workers=2) for name in ("tiny", "rough")]
        assert [(name, named["out"], named["allow_diverged"]) for name, named in ran] == [
            (name, folder and folder / name, True) for name in ("tiny", "rough")
        ]


def test_a_study_whose_results_cannot_be_written_is_a_failure_and_one_that_cannot_be_run_is_none(
    monkeypatch, studied, capsys
):
    def full(*given, **named):
        raise InputError("no space is left to write results.")

    studied("tiny")
    monkeypatch.setattr(run_study, "open_session", lambda request: request)
    monkeypatch.setattr(run_study, "unfold", lambda session, runner: None)
    monkeypatch.setattr(run_study, "Lookup", lambda session: None)
    monkeypatch.setattr(run_study, "run_study", full)
    assert main(["--profile", "tiny"]) == 1
    assert "not finished: tiny: no space is left" in capsys.readouterr().out
    monkeypatch.setattr(run_study, "unfold", full)
    assert main(["--profile", "tiny"]) == 0
    assert "not run: tiny: no space is left" in capsys.readouterr().out
