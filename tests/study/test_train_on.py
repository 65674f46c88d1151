"""Runs may be trained on validation too: who is, who is not, and where that is said."""

import dataclasses
import shlex

import pytest

from study import ablate
from study.execution.request import Request
from study.execution.session import open_session
from study.reporting.view.header import scale_text
from study.results.files import read_results
from study.results.training_images import training_of, training_text
from study.runs.baseline import control_run
from tests.study.made_up import Plans, lifelike_results, study
from vicreg.errors import InputError

ON_ALL = {"pretrain.train_on": "all"}
ALL, HELD_OUT = "trained on all 200 training images", "40 of 200 training images held out for choices"


@pytest.fixture
def on_all(project):
    """A project whose profile trains on all."""
    project.set(ON_ALL)
    return project


def choices(plan):
    """Role -> which images its runs are trained on."""
    return {role: {cell.run.config.pretrain.train_on for cell in plan.cells if cell.role == role}
            for role in {cell.role for cell in plan.cells}}  # fmt: skip


# ---- who is trained on validation


def test_arms_and_their_controls_are_of_all_images_and_controls_of_held_out_ones_are_others(on_all):
    plan = open_session(Request(study="tiny")).plan()
    assert choices(plan) == {"arm": {"all"}, "control": {"all"}}
    held_out = open_session(Request(study="tiny", overrides={"pretrain.train_on": "train"})).plan()
    assert not {cell.run.digest for cell in plan.cells} & {cell.run.digest for cell in held_out.cells}


def test_the_control_of_the_baseline_is_measured_on_the_images_of_the_baseline(on_all):
    session = open_session(Request(study="tiny"))
    cell = next(cell for cell in session.plan().cells if cell.role == "arm")
    assert control_run(cell.run, device=session.device).config.pretrain.trains_on_all


def test_a_study_may_have_both_as_arms_each_with_a_control_of_its_own(project):
    (project.studies / "both.yaml").write_text(
        "question: What do the held-out images cost?\nhypothesis: Little.\nbaseline: held-out\n"
        "arms:\n  held-out: {}\n  everything: {pretrain.train_on: all}\n",
        encoding="utf-8",
    )
    plan = open_session(Request(study="both")).plan()
    assert {cell.arm: cell.control for cell in plan.cells if cell.role == "arm"} == {
        "held-out": "untrained", "everything": "untrained-all",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "role"), [("tuned", "tuning"), ("quest", "trial")])
def test_what_something_is_chosen_by_holds_validation_out(on_all, workshop, name, role):
    workshop.accuracies = {1: 0.5, 2: 0.6}
    ablate.main(["--study", name, "--allow-diverged"])
    results = read_results(on_all.folder / "results/ablate" / name / "study.json")
    plan = open_session(Request(study=name)).plan(role=role, seeds=[7])
    assert choices(plan) == {role: {"train"}}
    assert results.recipe["pretrain.train_on"] == "all"
    assert any("Trials and tuning held them out of training" in note for note in results.notes)


def test_the_command_of_a_tuning_run_runs_that_run(on_all, workshop, plan_of):
    workshop.accuracies = {1: 0.5, 2: 0.6}
    ablate.main(["--study", "tuned"])
    results = read_results(on_all.folder / "results/ablate/tuned/study.json")
    tried = next(arm for arm in results.arms if arm.role == "tuning")
    said = shlex.split(tried.command)
    asked = [part for part in said[said.index("--study") :] if part != "--again"]
    assert tried.runs[0].digest in {cell.run.digest for cell in plan_of(*asked).cells}


# ---- what is refused


def refusal(request):
    with pytest.raises(InputError) as raised:
        open_session(request)
    return str(raised.value)


def test_a_path_is_refused_for_its_steps_are_chosen_on_validation(on_all):
    assert refusal(Request(study="walk")) == (
        "pretrain.train_on must be train in study 'walk', whose path is chosen on validation, but arm 'plain' has all; set "
        "it so."
    )
    open_session(Request(study="walk", overrides={"pretrain.train_on": "train"}))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tuned", "{pretrain.base_lr: [0.01, 0.05, 0.2]}", "{pretrain.train_on: [train, all]}"),
        ("quest", "pretrain.mu: {low: 1, high: 1000, log: true}", "pretrain.train_on: {choices: [train, all]}"),
        ("tuned", "settings: {pretrain.nu: 2}", "settings: {pretrain.nu: 2}, nuisance: {pretrain.train_on: [train, all]}"),
    ],
)
def test_which_images_are_trained_on_is_neither_tuned_nor_searched(project, name, old, new):
    path = project.studies / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert refusal(Request(study=name)) == (
        f"{name}.yaml: pretrain.train_on is neither tuned nor searched, which is done on validation; list arms."
    )


# ---- in words


def test_counts_are_said_in_words():
    counts = {"train": 45_000, "validation": 5_000}
    assert training_text(**counts, train_on="all") == "trained on all 50,000 training images"
    assert training_text(**counts, train_on="train") == "5,000 of 50,000 training images held out for choices"


def test_a_report_says_which_images_were_trained_on(tiny_config, digits):
    plans = Plans(tiny_config, digits)
    held_out = plans.results(lifelike_results(plans.plan(study())))
    assert training_of(held_out) == HELD_OUT and f" {HELD_OUT}. " in scale_text(held_out)
    on_all = dataclasses.replace(held_out, recipe={**held_out.recipe, **ON_ALL})
    assert training_of(on_all) == ALL and f" T{ALL[1:]}. " in scale_text(on_all)
    earlier = {key: value for key, value in held_out.recipe.items() if key != "pretrain.train_on"}
    assert training_of(dataclasses.replace(held_out, recipe=earlier)) == HELD_OUT
    *others, last = held_out.arms
    mixed = dataclasses.replace(held_out, arms=(*others, dataclasses.replace(last, settings=ON_ALL, role="arm")))
    assert training_of(mixed) == f"{HELD_OUT}, in other arms trained on too"


@pytest.mark.slow
def test_a_study_on_all_images_runs_and_says_so_everywhere(on_all, inline, command):
    on_all.set({"pretrain.probe_every": 1, "ablate.probes": ["knn", "linear_cached", "linear"]})
    status, said, _ = command(ablate.main, "--study", "tiny", "--dry-run")
    assert status == 0 and said.startswith(f"digits: {ALL}\n")
    assert command(ablate.main, "--study", "tiny")[0] == 0
    results = read_results(on_all.folder / "results/ablate/tiny/study.json")
    assert f"Runs are {ALL}, and what is measured on test is fitted on all of them." in results.notes
    for arm in results.arms:
        (run,) = arm.runs
        assert run.status == "finished" and run.validation.keys() == run.test.keys() >= {"linear", "linear_cached"}
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-2", "--again")[0] == 0  # bit for bit
