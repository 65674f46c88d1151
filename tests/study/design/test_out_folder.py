"""The folder that `--out` names is refused before anything runs, where other files would be lost."""

import json
import shlex
from pathlib import Path

import pytest

from study import ablate
from study.design.out_folder import name_of, option, require_own_folder
from study.execution.request import Request
from study.execution.session import open_session
from vicreg.errors import InputError

pytestmark = pytest.mark.usefixtures("inline", "untold")


def hold_results(folder, **named):
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(named))


@pytest.mark.parametrize(
    ("study", "profile", "is_refused"), [("quest", "tiny", True), ("tiny", "digits", True), ("tiny", "tiny", False)]
)
def test_results_of_another_study_or_profile_are_not_replaced(project, study, profile, is_refused):
    hold_results(project.folder / "kept", study=study, profile=profile)
    session = open_session(Request(study="tiny"))
    if is_refused:
        with pytest.raises(InputError, match=f"kept holds those of study '{study}' on profile '{profile}'; name another"):
            require_own_folder(Path("kept"), session)
    else:
        require_own_folder(Path("kept"), session)


def test_nothing_runs_where_another_studys_results_would_be_replaced(project, trained, command):
    hold_results(project.folder / "results/ablate/quest", study="quest", profile="tiny")
    status, _, errors = command(ablate.main, "--study", "tiny", "--out", "results/ablate/quest")
    assert status == 2 and "--out must not replace other results" in errors and trained() == []


@pytest.mark.parametrize("out", ["results/ablate/tiny", "results/source_paper/x", "results/ablate", "results/x/../ablate/a"])
def test_results_so_far_do_not_take_the_place_of_whole_ones(finished, command, out):
    before = finished.results("tiny")
    status, _, errors = command(ablate.main, "--study", "tiny", "--so-far", "--out", out)
    assert status == 2 and "which holds whole studies; leave --out out" in errors and finished.results("tiny") == before


def test_results_of_other_settings_do_not_take_the_place_of_tracked_ones(finished, trained, command):
    before = finished.results("tiny")
    asked = ["--study", "tiny", "--set", "pretrain.gamma=2", "--out"]
    status, _, errors = command(ablate.main, *asked, "results/ablate/tiny")
    assert status == 2 and "whose results are tracked, where --set changes settings; leave it out" in errors
    assert finished.results("tiny") == before and trained() == []
    assert command(ablate.main, *asked, "results/mine")[0] == 0


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_as_the_folder_is_found_before_anything_runs(project, trained, command, out):
    (project.folder / "file").write_text("mine")
    status, _, errors = command(ablate.main, "--study", "tiny", "--out", out)
    assert status == 2 and "--out must be a folder, but" in errors and "file is a file; name another" in errors
    assert trained() == [] and (project.folder / "file").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "results/.."])
def test_the_projects_folder_takes_no_results(project, command, out):
    (project.folder / "results").mkdir(exist_ok=True)
    status, _, errors = command(ablate.main, "--study", "tiny", "--out", out)
    assert status == 2 and "--out must not be the project's folder" in errors
    assert not (project.folder / "study.json").exists()


def test_the_printed_command_can_be_pasted_where_a_folder_begins_with_a_hyphen(finished, command):
    _, output, _ = command(ablate.main, "--study", "tiny", "--out=-x")
    (line,) = [line for line in output.splitlines() if "report: " in line]
    assert shlex.split(line.partition("report: ")[2])[3:] == ["--results=-x/study.json", "--out", "reports/-x"]


def test_an_option_keeps_its_value_apart_unless_it_would_be_taken_for_an_option():
    assert option("--results", Path("a/study.json")) == ["--results", "a/study.json"]
    assert option("--results", "-a") == ["--results=-a"]


def test_a_folder_has_a_name_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_of(Path("a/b/..")) == "a" and name_of(Path(".")) == tmp_path.name
