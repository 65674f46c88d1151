"""What runs cost: epochs, images and operations, and where they ran seconds and joules."""

import json

import pytest

from study.analysis.cost import timing
from study.reporting.view.header import cost_text
from study.results.json_values import from_values
from study.results.schema import StudyResults
from study.results.timing import Timing
from study.spec.study_file import Arm
from tests.study.made_up import (
    Shelf,
    finished,
    lifelike,
    study,
    unfinished,
)
from vicreg.files import to_json


def test_the_cost_is_of_all_runs_once_and_of_the_epochs_that_were_trained(summary_of):
    arms = (Arm(name="base", settings={"pretrain.nu": 1}), Arm(name="twin", settings={"pretrain.nu": 1.0}))
    run = lifelike("base", 0, 0.5, epochs=4)
    whole = summary_of({("base", 0): run}, asked=study(arms), seeds=(0,))["cost"]
    assert (whole["runs"], whole["epochs"], whole["images"]) == (1, 4, 4 * 160)  # of two arms that are one run
    lost = unfinished("diverged", history=run["history"][:2])
    half = summary_of({("base", 0): lost}, asked=study(arms), seeds=(0,))["cost"]
    assert half["operations"] == pytest.approx(whole["operations"] / 2, rel=1e-3)
    assert (half["runs"], half["epochs"]) == (1, 2)
    assert summary_of({}, asked=study(arms))["cost"]["runs"] == 0


def test_a_look_at_a_training_costs_nothing_beside_it(plans):
    whole, another = lifelike("base", 0, 0.5, epochs=4), lifelike("other", 0, 0.5, epochs=4)
    look = {**whole, "history": whole["history"][:2]}
    for half, epochs, text in ((look, 4, "2 s"), ({**another, "history": another["history"][:2]}, 6, "3 s")):
        plan = plans.plan(study(), seeds=(0,))
        runs = {
            (arm, 0): {**run, "images_per_second": [320.0] * len(run["history"])} for arm, run in
            {"base": whole, "other": half}.items()
        }  # fmt: skip
        results = from_values(StudyResults, json.loads(to_json(plans.summary(runs, of=plan))), where="made up")
        assert results.cost.epochs == epochs
        took = from_values(Timing, timing(plan, Shelf(plan, runs), plans.dataset), where="made up")
        assert f"Training took {text}, " in cost_text(results, took)


def test_what_runs_took_where_they_ran_is_told_apart_from_the_summary(plans):
    plan = plans.plan(study(), seeds=(0,))
    fast, slow = ({**finished(0.5), "images_per_second": paces} for paces in ([80.0, 160.0], [40.0]))
    results = {("base", 0): {**fast, "joules": 36.0}, ("other", 0): slow}
    took = timing(plan, Shelf(plan, results), plans.dataset)
    digests = {cell.arm: cell.run.digest for cell in plan.cells}
    assert took["runs"] == {  # 160 images an epoch, at so many a second
        digests["base"]: {"seconds": 3.0, "joules": 36.0, "commit": "abc"},
        digests["other"]: {"seconds": 4.0, "joules": None, "commit": "abc"},
    }
    anywhere = {key: {**run, "images_per_second": [1.0], "joules": None} for key, run in results.items()}
    assert to_json(plans.summary(anywhere, of=plan)) == to_json(plans.summary(results, of=plan))
