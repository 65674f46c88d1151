"""Nuisance parameters: each arm is tuned alike, on validation, at a seed of its own."""

import shlex
import shutil

import pytest

from study import ablate
from study.design.tuning import TUNING_SEED

pytestmark = pytest.mark.usefixtures("draws", "untold")

RATES = (0.01, 0.05, 0.2)


def tuning_of(plan, arm):
    return [cell for cell in plan.cells if cell.tunes == arm]


def accuracy(project, cell, split="validation"):
    return project.store.result(cell.run)[split]["knn_5"]["top1"]


def test_every_arm_is_tried_at_every_value_at_a_seed_of_its_own_and_run_at_the_best(designed, plan_of):
    plan = plan_of("--study", "tuned")
    assert plan.pending == ()
    for arm, nu in (("nu-1", 1), ("nu-2", 2)):
        tried = tuning_of(plan, arm)
        assert [cell.settings for cell in tried] == [{"pretrain.nu": nu, "pretrain.base_lr": rate} for rate in RATES]
        assert {cell.seed for cell in tried} == {TUNING_SEED} and {cell.role for cell in tried} == {"tuning"}
        assert [cell.arm for cell in tried] == [f"{arm}@baselr{rate}" for rate in RATES]
        best = max(tried, key=lambda cell: accuracy(designed, cell))  # the first of equals, as is promised
        (cell,) = plan.by_arm()[arm]
        assert cell.tuned == {"pretrain.base_lr": best.settings["pretrain.base_lr"]}
        assert cell.settings == best.settings and cell.seed == 0 and cell.label == f"ν {nu}"
        trained = cell.run.config.pretrain
        assert (trained.base_lr, trained.method_settings.nu) == (best.settings["pretrain.base_lr"], nu)
    assert [plan.by_arm()[arm][0].reason for arm in ("nu-1", "nu-2")] == [None, "Twice as much."]


def test_tuning_is_shown_after_the_arms_and_before_the_controls(designed, plan_of):
    roles = [cells[0].role for cells in plan_of("--study", "tuned").by_arm().values()]
    assert roles == ["arm"] * 2 + ["tuning"] * 6 + ["control"]


@pytest.mark.parametrize("winner", range(3))
def test_a_value_is_chosen_by_its_validation_accuracy(designed, plan_of, rewrite, winner):
    tried = tuning_of(plan_of("--study", "tuned"), "nu-2")
    for number, cell in enumerate(tried):
        rewrite(cell, 0.9 if number == winner else 0.1)
    (cell,) = plan_of("--study", "tuned").by_arm()["nu-2"]
    assert cell.tuned == {"pretrain.base_lr": RATES[winner]}


def test_of_equally_good_values_the_first_listed_is_chosen(designed, plan_of, rewrite):
    for cell in tuning_of(plan_of("--study", "tuned"), "nu-1"):
        rewrite(cell, 0.5)
    assert plan_of("--study", "tuned").by_arm()["nu-1"][0].tuned == {"pretrain.base_lr": 0.01}


@pytest.mark.slow
def test_a_value_that_diverges_is_an_outcome_that_is_not_chosen(project, plan_of, command):
    path = project.studies / "tuned.yaml"
    text = path.read_text().replace("[0.01, 0.05, 0.2]", "[1.0e+30, 0.001]") + "fixed: {pretrain.optimizer: sgd}\n"
    path.write_text(text)
    status, _, _ = command(ablate.main, "--study", "tuned")
    assert status == 0  # it was tried in order to choose
    statuses = project.statuses("tuned")
    assert statuses["nu-1@baselr1e+30"] == ["diverged"] and statuses["nu-1"] == ["finished"]
    assert plan_of("--study", "tuned").by_arm()["nu-1"][0].tuned == {"pretrain.base_lr": 0.001}


@pytest.mark.slow
def test_an_arm_waits_while_one_of_its_tuning_runs_was_killed_and_the_next_call_makes_it_good(
    designed, unfolded, plan_of, draws, command
):
    shutil.rmtree(designed.store.folder(tuning_of(plan_of("--study", "tuned"), "nu-2")[1].run.digest))
    draws.killed.append(2)
    status, output, _ = command(ablate.main, "--study", "tuned")
    assert status == 1 and "not run: nu-2, which waits for its tuning" in output
    assert "nu-2" not in designed.statuses("tuned") and designed.statuses("tuned")["nu-1"] == ["finished"]
    assert designed.statuses("tuned")["nu-2@baselr0.05"] == ["killed"]
    assert command(ablate.main, "--study", "tuned")[0] == 0
    assert designed.statuses("tuned") == unfolded.statuses("tuned")
    assert designed.arm("tuned", "nu-2")["settings"] == unfolded.arm("tuned", "nu-2")["settings"]


def test_before_tuning_a_study_says_what_waits_for_it(project, trained, command):
    status, output, _ = command(ablate.main, "--study", "tuned", "--dry-run")
    assert status == 0
    assert "tuning of nu-1: 3 runs, 3 to run" in output and "nu-2: 1 run at most, after its tuning" in output
    _, output, _ = command(ablate.main, "--study", "tuned", "--status")
    assert "0 of 6 runs are finished; at most 2 more follow from them" in output and "after its tuning" in output
    status, _, errors = command(ablate.main, "--study", "tuned", "--arm", "nu-1", "--again")
    assert (status, trained()) == (2, [])
    assert errors == "error: --again compares with runs there are, but nu-1 waits for its tuning; run it first.\n"


@pytest.mark.slow
def test_one_arm_alone_is_tuned_and_run_and_the_other_is_not(project, trained, plan_of, command):
    assert command(ablate.main, "--study", "tuned", "--arm", "nu-2")[0] == 0
    assert len(trained()) == 4 and not (project.folder / "results").exists()
    plan = plan_of("--study", "tuned")
    assert [one.name for one in plan.pending] == ["nu-1"] and len(plan.by_arm()["nu-2"]) == 1


def test_after_tuning_nothing_is_run_twice_and_everything_says_so(designed, trained, command):
    assert command(ablate.main, "--study", "tuned")[0] == 0
    assert trained() == []
    _, output, _ = command(ablate.main, "--study", "tuned", "--dry-run")
    assert "tuning of nu-2: 3 runs, 0 to run" in output and "nu-2: 1 run, 0 to run" in output
    _, output, _ = command(ablate.main, "--study", "tuned", "--status")
    assert "9 of 9 runs are finished\n" in output


@pytest.mark.parametrize("arm", ["nu-2", "nu-2@baselr0.2", "untrained"])
def test_the_command_that_results_give_for_a_tuned_arm_or_its_tuning_runs_it_again(designed, command, arm):
    given = designed.arm("tuned", arm)["command"]
    status, output, _ = command(ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count(": identical; ") == 1


def test_more_seeds_are_run_at_what_was_chosen_before(designed, trained, plan_of, command):
    before = plan_of("--study", "tuned").by_arm()["nu-1"][0].tuned
    assert command(ablate.main, "--study", "tuned", "--add-seeds", "1")[0] == 0
    assert len(trained()) == 3  # two arms and their control at seed 1, and no tuning
    assert [cell.tuned for cell in plan_of("--study", "tuned", "--add-seeds", "1").by_arm()["nu-1"]] == [before, before]
