"""What a message tells a person to do is done here, and heals."""

import importlib
import os
import re
import shlex
import shutil

import pytest

from study import ablate, compare, index, pretrain, project, report, verify
from study.config import device
from tests.study.made_up_reports import without_figures

pytestmark = pytest.mark.slow  # studies are run


@pytest.fixture(autouse=True)
def sketched(monkeypatch):
    without_figures(monkeypatch)


@pytest.fixture
def follow(command, monkeypatch):
    """`follow(message)`: runs the command that a message names, by its own words, and fails where it does."""

    def run(message: str) -> str:
        found = re.search(r"run (python -m study\.[^;]*?)(?: first| again)?\.$", message.strip())
        assert found, message
        _, _, module, *argv = shlex.split(found[1])
        monkeypatch.setattr("sys.argv", [module, *argv])
        main = importlib.import_module(module).main
        status, output, errors = command(main, *argv)
        assert status == 0, errors
        return output

    return run


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = [halve, os.unlink, lambda path: path.write_bytes(b"[]")]


# ---- results of a study


@pytest.mark.parametrize("damage", DAMAGE)
def test_results_that_are_damaged_come_back_by_running_the_study(finished, undisturbed, command, trained, damage):
    path = finished.folder / "results/ablate/tiny/study.json"
    damage(path)
    for main, argv in (
        (compare.main, ["tiny", "quest"]),
        (verify.main, ["--study", "tiny"]),
        (report.main, ["--results", str(path), "--out", "out"]),
    ):
        status, _, errors = command(main, *argv)
        assert status == 2 and re.search(r"run (the study again|python -m study.ablate --study NAME first)\.", errors)
    assert command(ablate.main, "--study", "tiny")[0] == 0 and trained() == []
    assert finished.results("tiny") == undisturbed.results("tiny")
    assert command(compare.main, "tiny", "quest")[0] == 0


def test_results_without_a_finished_run_are_verified_once_the_named_command_has_run(finished, command, follow):
    path = finished.folder / "results/ablate/tiny/study.json"
    path.write_bytes(path.read_bytes().replace(b'"finished"', b'"killed"'))
    status, _, errors = command(verify.main, "--study", "tiny", "--runs", "1")
    assert status == 2 and "has no finished run to verify" in errors
    follow(errors)
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0


def test_results_of_other_parameters_are_verified_once_the_named_command_has_run(finished, command, follow):
    finished.set({"pretrain.width": 8})
    status, _, errors = command(verify.main, "--study", "tiny", "--runs", "1")
    assert status == 2 and "is a run of today's code, data and parameters" in errors
    follow(errors)
    assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0


@pytest.mark.parametrize("damage", [halve, lambda path: path.write_bytes(b"[]")])
def test_times_that_are_damaged_come_back_by_running_the_study(finished, command, damage):
    path = finished.folder / "results/ablate/tiny/timing.json"
    damage(path)
    status, _, errors = command(compare.main, "tiny", "quest")
    assert status == 2 and errors.endswith("run the study again.\n")
    assert command(ablate.main, "--study", "tiny")[0] == 0
    assert command(compare.main, "tiny", "quest")[0] == 0


def test_a_certificate_that_is_damaged_comes_back_by_verifying(copied, command):
    path = copied.folder / "results/verify/tiny.json"
    good = path.read_bytes()
    asked = ["--results", "results/ablate/tiny", "--certificate", str(path), "--out", "out"]
    for damage in DAMAGE:
        damage(path)
        status, _, errors = command(report.main, *asked)
        assert status == 2 and re.search(r"run python -m study.verify (first|again)\.", errors)
        assert command(verify.main, "--study", "tiny", "--runs", "1")[0] == 0 and path.read_bytes() == good
    assert command(report.main, *asked)[0] == 0


def test_a_profile_without_runs_is_compared_once_the_named_command_has_run(finished, command, follow):
    shutil.rmtree(finished.folder / "store/runs")
    status, _, errors = command(compare.main, "tiny", "tiny@tiny")
    assert status == 2 and errors.endswith("run python -m study.ablate --study tiny --profile tiny first.\n"), errors
    status, _, errors = command(compare.main, "tiny", "tiny@tiny", "--store", "my store")
    assert status == 2 and "holds no finished run of study 'tiny'" in errors
    follow(errors)
    assert command(compare.main, "tiny", "tiny@tiny", "--store", "my store")[0] == 0


def test_a_study_that_was_run_is_reported_by_the_command_that_it_prints(finished, command, monkeypatch):
    _, output, _ = command(ablate.main, "--study", "tiny")
    _, _, module, *argv = shlex.split(re.search(r"report: (python -m study\.report .*)", output)[1])
    assert module == "study.report" and command(report.main, *argv)[0] == 0
    assert (finished.folder / "reports/tiny/index.html").exists()


def test_seeds_that_were_added_are_kept_as_the_study_says(finished, command, trained):
    finished.track("tiny")
    _, output, _ = command(ablate.main, "--study", "tiny", "--add-seeds", "1")
    ran = len(trained())
    line, file = re.search(r"write `(seeds: .*?)` in study/studies/(\S+)", output).groups()
    path = finished.studies / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    assert command(ablate.main, "--study", "tiny")[0] == 0 and len(trained()) == ran
    assert finished.statuses("tiny")["nu-1"] == ["finished", "finished"]


def test_studies_that_the_index_misses_are_on_it_once_its_commands_have_run(finished, command, monkeypatch):
    path = finished.folder / "params.yaml"
    path.write_text(re.sub(r"^studies:\n(- .*\n)+", "studies: [tiny, quest]\n", path.read_text(), flags=re.M))
    shutil.rmtree(finished.folder / "results/ablate/tiny")
    command(index.main, "--out", "reports/index.html")
    page = (finished.folder / "reports/README.md").read_text()
    _, _, _, *argv = shlex.split(re.search(r"Not run yet: `(.*)`", page)[1])
    assert command(ablate.main, *argv)[0] == 0
    command(index.main, "--out", "reports/index.html")
    page = (finished.folder / "reports/README.md").read_text()
    assert "Not run yet" not in page
    for text in set(re.findall(r"python -m study\.verify --study \w+", page)):
        assert command(verify.main, *shlex.split(text)[3:], "--runs", "1")[0] == 0
    command(index.main, "--out", "reports/index.html")
    assert "Not verified" not in (finished.folder / "reports/README.md").read_text()


# ---- stages


def written(folder):
    return {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["model.safetensors", "run.json"])
def test_a_baseline_that_is_damaged_comes_back_by_its_stage(copied, command, trained, name, damage):
    path = copied.folder / "models/baseline" / name
    good = path.read_bytes()
    damage(path)
    status, _, errors = command(project.main)
    assert status == 2 and errors.endswith("run `dvc repro --force --single-item pretrain` first.\n"), errors
    assert errors.count("\n") == 1 and "Traceback" not in errors
    for weights in copied.folder.glob("store/runs/*/model.safetensors"):
        weights.unlink()  # so that copying them again is not enough
    assert command(pretrain.main)[0] == 0 and path.read_bytes() == good  # what that stage runs
    assert command(project.main)[0] == 0


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_stages_hand_to_a_report_comes_back_by_the_command_that_is_named(copied, command, follow, damage):
    files = {
        "--project": "results/project/tsne.json", "--evaluate": "results/evaluate/metrics.json",
        "--curves": "results/evaluate/linear.csv",
    }  # fmt: skip
    before = written(copied.folder / "results")
    for option, name in files.items():
        path = copied.folder / name
        if option == "--curves" and damage is halve:
            path.write_bytes(path.read_bytes()[:-5])  # a half of its lines is a table, too
        else:
            damage(path)
        asked = ["--results", "results/ablate/tiny", option, name, "--out", "out"]
        status, _, errors = command(report.main, *asked)
        assert status == 2 and errors.count("\n") == 1, (option, errors)
        follow(errors)
        assert command(report.main, *asked)[0] == 0
    assert written(copied.folder / "results") == before


# ---- machines


def test_a_device_that_is_not_there_is_given_up_either_way_that_is_named(project, command, monkeypatch):
    monkeypatch.setattr(device.torch.cuda, "is_available", lambda: False)
    project.set({"ablate.device": "cuda"})
    status, _, errors = command(ablate.main, "--study", "tiny", "--status")
    assert status == 2 and "set ablate.device to cpu, or give --device cpu" in errors
    assert command(ablate.main, "--study", "tiny", "--status", "--device", "cpu")[0] == 0
    assert command(ablate.main, "--study", "tiny", "--status", "--set", "ablate.device=cpu")[0] == 0
    project.set({"ablate.device": "cpu"})
    assert command(ablate.main, "--study", "tiny", "--status")[0] == 0
