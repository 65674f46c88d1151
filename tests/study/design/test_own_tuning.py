"""An arm may be tuned over settings that others do not have, beside those of the whole study."""

import shutil
import textwrap

import pytest
import torch

from study import ablate, report
from study.design.tuning import TUNING_SEED
from study.execution import scheduler
from study.results.files import read_results
from tests.study.conftest import QUICK, Project, enter
from tests.study.design.conftest import Draws
from tests.study.made_up_runs import Unshown

pytestmark = pytest.mark.usefixtures("draws", "untold")

OWN = """
    question: Does the weight of the covariance matter, where its arm is tuned as well?
    hypothesis: It does not.
    baseline: nu-1
    nuisance: {pretrain.base_lr: [0.05, 0.2]}
    arms:
      nu-1: {pretrain.nu: 1}
      nu-2:
        settings: {pretrain.nu: 2}
        nuisance: {pretrain.mu: [10, 40]}
"""
TRIED = ["nu-2@baselr0.05-μ10", "nu-2@baselr0.05-μ40", "nu-2@baselr0.2-μ10", "nu-2@baselr0.2-μ40"]


def write(project, text=OWN, name="own"):
    (project.studies / f"{name}.yaml").write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def own(project):
    write(project)
    return project


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, tiny_config):
    """A project in which the study was run to its end. To be looked at alone."""
    project = Project(tmp_path_factory.mktemp("own"), tiny_config(QUICK))
    write(project)
    with pytest.MonkeyPatch.context() as patch:
        enter(project, patch)
        patch.setattr(scheduler, "open_local", Draws().open_executor)
        patch.setattr(scheduler, "TrialDatabase", Unshown)
        torch.set_num_threads(1)
        assert ablate.main(["--study", "own"]) == 0
    return project


@pytest.fixture
def run(own, tuned):
    """A project of one's own in which the study has been run."""
    for name in ("store", "results"):
        shutil.copytree(tuned.folder / name, own.folder / name)
    return own


def test_an_arm_is_tried_at_the_studys_values_crossed_with_its_own(own, plan_of):
    plan = plan_of("--study", "own")
    tried = {arm: [cell for cell in plan.cells if cell.tunes == arm] for arm in ("nu-1", "nu-2")}
    assert [cell.arm for cell in tried["nu-1"]] == ["nu-1@baselr0.05", "nu-1@baselr0.2"]
    assert [cell.arm for cell in tried["nu-2"]] == TRIED
    assert [cell.settings for cell in tried["nu-2"]][1] == {
        "pretrain.nu": 2, "pretrain.base_lr": 0.05, "pretrain.mu": 40,
    }  # fmt: skip
    assert {cell.seed for cells in tried.values() for cell in cells} == {TUNING_SEED}
    assert [(one.name, one.after) for one in plan.pending] == [("nu-1", "its tuning"), ("nu-2", "its tuning")]


def test_a_dry_run_and_the_status_count_the_tuning_of_each_arm(own, command):
    status, output, _ = command(ablate.main, "--study", "own", "--dry-run")
    assert status == 0
    assert "tuning of nu-1: 2 runs, 2 to run" in output and "tuning of nu-2: 4 runs, 4 to run" in output
    _, output, _ = command(ablate.main, "--study", "own", "--status")
    assert "0 of 6 runs are finished; at most 2 more follow from them" in output


def test_an_arm_without_nuisance_is_run_at_once_and_only_the_tuned_one_waits(project, plan_of, command):
    write(project, OWN.replace("nuisance: {pretrain.base_lr: [0.05, 0.2]}", ""))
    plan = plan_of("--study", "own")
    assert [one.name for one in plan.pending] == ["nu-2"]
    assert {cell.arm for cell in plan.cells} == {"untrained", "nu-1", "nu-2@μ10", "nu-2@μ40"}
    _, output, _ = command(ablate.main, "--study", "own", "--dry-run")
    assert "nu-1: 1 run, 1 to run" in output and "nu-2: 1 run at most, after its tuning" in output


@pytest.mark.parametrize("key", ["pretrain.checkpoint_every", "pretrain.barlow_twins.lambda"])
def test_nuisance_that_changes_no_run_of_its_arm_is_refused(project, command, key):
    write(project, OWN.replace("pretrain.mu: [10, 40]", f"{key}: [1, 2]"))
    status, _, errors = command(ablate.main, "--study", "own", "--dry-run")
    assert status == 2
    assert errors == (
        f"error: arm 'nu-2' of study 'own' is tuned over {key}, but its runs, of method vicreg, do not "
        "depend on all of it; list settings of this method.\n"
    )


def test_a_value_that_no_run_can_have_is_refused_by_the_name_of_its_arm(project, command):
    write(project, OWN.replace("[10, 40]", "[10, -1]"))
    status, _, errors = command(ablate.main, "--study", "own", "--dry-run")
    assert status == 2 and errors.startswith("error: arm 'nu-2@baselr0.05-μ-1' of study 'own': pretrain.mu must")


def test_a_setting_that_one_arm_tunes_is_not_set_from_outside(own, command):
    status, _, errors = command(ablate.main, "--study", "own", "--dry-run", "--set", "pretrain.vicreg.mu=3")
    assert status == 2 and "has no effect: study 'own' tunes it; edit the study's file." in errors


@pytest.mark.slow
def test_results_say_what_was_tried_and_chosen_for_each_arm(run):
    results = read_results(run.folder / "results/ablate/own/study.json")
    assert results.parameters.own_nuisance == {"nu-2": {"pretrain.mu": (10, 40)}}
    assert [(row.arm, len(row.settings)) for row in results.tuning] == [("nu-1", 1)] * 2 + [("nu-2", 2)] * 4
    chosen = {row.arm: row.settings for row in results.tuning if row.chosen}
    assert {name: results.arm(name).tuned for name in ("nu-1", "nu-2")} == chosen
    assert any("Settings of their own were tuned in nu-2 (pretrain.mu)." in note for note in results.notes)
    assert any("from 2 to 4 settings an arm" in note for note in results.notes)


@pytest.mark.slow
def test_after_tuning_nothing_is_run_twice_and_the_command_of_each_cell_finds_it(run, trained, command):
    assert command(ablate.main, "--study", "own")[0] == 0
    assert trained() == []
    _, output, _ = command(ablate.main, "--study", "own", "--status")
    assert "9 of 9 runs are finished" in output


@pytest.mark.slow
def test_a_report_names_what_one_arm_alone_was_tuned_over(run, command):
    status, _, _ = command(report.main, "--results", "results/ablate/own/study.json", "--out", "page")
    assert status == 0
    page = "".join(path.read_text() for path in (run.folder / "page").glob("*.md"))
    assert "tuned in one arm alone" in page and "10, 40 in nu-2" in page


@pytest.mark.slow
def test_an_arm_whose_tuning_was_killed_is_made_good_by_the_next_call(project, draws, command, trained):
    write(project, OWN.replace("nuisance: {pretrain.base_lr: [0.05, 0.2]}", ""))
    draws.killed.append(2)
    status, output, _ = command(ablate.main, "--study", "own")
    assert status == 1 and "not run: nu-2, which waits for its tuning" in output
    assert project.statuses("own")["nu-1"] == ["finished"]
    before = len(trained())
    assert command(ablate.main, "--study", "own")[0] == 0
    assert project.statuses("own")["nu-2"] == ["finished"]
    assert len(trained()) - before == 2, "the killed run, and the arm at what was chosen"
