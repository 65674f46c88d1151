"""`mode: path`: from the baseline to an arm, one difference at a time."""

import itertools

import pytest

from study import ablate

pytestmark = pytest.mark.usefixtures("draws", "untold")

KEYS = ("pretrain.base_lr", "pretrain.nu", "pretrain.weight_decay")


def edit(project, old, new):
    path = project.studies / "walk.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def of_role(plan, role):
    return [cell for cell in plan.cells if cell.role == role]


def test_every_round_tries_all_that_is_left_and_keeps_what_is_best_on_validation(designed, plan_of):
    plan = plan_of("--study", "walk")
    assert [len(step.alternatives) for step in plan.path] == [3, 2, 1]
    assert sorted(step.key for step in plan.path) == sorted(KEYS)
    for step in plan.path:
        measured = {
            name: designed.store.result(plan.by_arm()[name][0].run)["validation"]["knn_5"]["top1"]
            for name in step.alternatives
        }
        assert step.alternatives == measured and measured[step.arm] == max(measured.values())
    profile = plan.config.pretrain
    assert {step.key: (step.old, step.new) for step in plan.path} == {
        "pretrain.base_lr": (0.0001, 0.05), "pretrain.nu": (profile.method_settings.nu, 2),
        "pretrain.weight_decay": (profile.weight_decay, 0.01),
    }  # fmt: skip


def test_each_step_is_the_one_before_with_one_difference_and_the_last_is_the_arm_itself(designed, plan_of):
    plan = plan_of("--study", "walk")
    by_arm = plan.by_arm()
    walked = [by_arm["plain"][0], *(by_arm[step.arm][0] for step in plan.path)]
    for step, (before, after) in zip(plan.path, itertools.pairwise(walked), strict=True):
        assert after.run.identity.differences(before.run.identity) == [
            f"setting {step.key.removeprefix('pretrain.')} changed from {float(step.old)} to {float(step.new)}"
        ]
    assert walked[-1].run.digest == by_arm["far"][0].run.digest
    assert {step.arm for step in plan.path} < {cell.arm for cell in of_role(plan, "step")}
    assert by_arm["step-1-base_lr"][0].settings == {"pretrain.base_lr": 0.05}


def test_runs_in_common_are_run_once(project, trained, plan_of, command):
    edit(project, ", pretrain.weight_decay: 0.01", "")
    assert command(ablate.main, "--study", "walk")[0] == 0
    assert [len(step.alternatives) for step in plan_of("--study", "walk").path] == [2, 1]
    assert len(trained()) == 1 + 2 + 2  # control, arms, and one round: the second is the arm itself
    assert command(ablate.main, "--study", "walk")[0] == 0
    assert len(trained()) == 5


def test_a_single_difference_is_a_path_of_one_step_without_further_runs(project, trained, plan_of, command):
    edit(project, ", pretrain.nu: 2, pretrain.weight_decay: 0.01", "")
    assert command(ablate.main, "--study", "walk")[0] == 0
    assert len(trained()) == 3
    (step,) = plan_of("--study", "walk").path
    assert (step.key, step.arm, list(step.alternatives)) == ("pretrain.base_lr", "step-1-base_lr", ["step-1-base_lr"])


def test_best_is_the_best_arm_on_validation_or_the_second_where_that_is_the_baseline(designed, plan_of, rewrite):
    edit(designed, "path: {to: far}", "path: {to: best}")
    edit(designed, "arms:", "arms:\n  near: {pretrain.base_lr: 0.05}")
    assert ablate.main(["--study", "walk"]) == 0
    plan = plan_of("--study", "walk")
    plain, near, far = (plan.by_arm()[name][0] for name in ("plain", "near", "far"))
    rewrite(near, 0.8)
    rewrite(far, 0.7)
    rewrite(plain, 0.1)
    plan = plan_of("--study", "walk")
    assert len(plan.path) == 1 and plan.notes == ()
    rewrite(plain, 0.9)
    plan = plan_of("--study", "walk")
    assert len(plan.path) == 1
    assert plan.notes == ("The baseline is the best arm on validation; the path walks to the second best, near.",)


def test_a_difference_that_no_run_can_have_by_itself_waits_for_another(project, plan_of, command):
    edit(project, "{pretrain.base_lr: 0.0001}", "{pretrain.epochs: 4, pretrain.warmup_epochs: 3}")
    edit(project, "{pretrain.base_lr: 0.05, pretrain.nu: 2, pretrain.weight_decay: 0.01}",
         "{pretrain.epochs: 2, pretrain.warmup_epochs: 1}")  # fmt: skip
    assert command(ablate.main, "--study", "walk")[0] == 0
    assert [step.key for step in plan_of("--study", "walk").path] == ["pretrain.warmup_epochs", "pretrain.epochs"]


def test_a_path_that_has_not_begun_says_what_it_waits_for(project, trained, command):
    status, output, _ = command(ablate.main, "--study", "walk", "--dry-run")
    assert status == 0 and "path: 5 runs at most, after the arms" in output
    _, output, _ = command(ablate.main, "--study", "walk", "--status")
    assert "0 of 3 runs are finished; at most 5 more follow from them" in output and trained() == []


def test_a_path_that_was_walked_is_known_without_running_anything(designed, trained, command):
    _, output, _ = command(ablate.main, "--study", "walk", "--dry-run")
    assert "step-1-nu: 1 run, 0 to run" in output and "nothing is left to train" in output
    status, output, _ = command(ablate.main, "--study", "walk", "--arm", "step-1-nu")
    assert (status, trained()) == (0, [])


def test_a_path_half_run_goes_on_from_the_round_that_is_missing(designed, trained, plan_of, command):
    second = [cell for cell in plan_of("--study", "walk").cells if cell.arm.startswith("step-2-")]
    path = designed.store.folder(second[0].run.digest)
    path.rename(path.with_name("away"))
    plan = plan_of("--study", "walk")
    assert len(plan.path) == 1 and [one.after for one in plan.pending] == ["round 2 of the path"]
    path.with_name("away").rename(path)
    assert len(plan_of("--study", "walk").path) == 3


def test_steps_are_tuned_as_the_arms_are(project, plan_of, command):
    edit(project, "path: {to: far}", "path: {to: far}\nnuisance: {pretrain.momentum: [0.9, 0.5]}")
    edit(project, ", pretrain.weight_decay: 0.01", "")
    assert command(ablate.main, "--study", "walk")[0] == 0
    plan = plan_of("--study", "walk")
    assert [len(step.alternatives) for step in plan.path] == [2, 1]
    steps = of_role(plan, "step")
    assert all(set(cell.tuned) == {"pretrain.momentum"} for cell in steps)
    for cell in steps:
        assert [one.settings["pretrain.momentum"] for one in plan.cells if one.tunes == cell.arm] == [0.9, 0.5]
    last, arm = plan.by_arm()[plan.path[-1].arm][0], plan.by_arm()["far"][0]
    assert last.run.digest == arm.run.digest
