"""Figures over epochs: what was logged while training, and the linear evaluation, each where it was measured alone."""

import pytest

from study.reporting.panels.groups import groups_of
from study.results.files import results_from_values
from tests.study.made_up import Plans, lifelike, study
from tests.study.made_up_reports import without_figures


@pytest.fixture
def summary_of(tiny_config, digits, monkeypatch):
    """`summary_of(change)`: two arms and their control, `change` applied to each run before it is summarised."""
    without_figures(monkeypatch)
    plans = Plans(tiny_config, digits)
    plan = plans.plan(study())

    def build(change=lambda run, seed: None):
        results = {}
        for cell in plan.cells:
            run = lifelike(cell.arm, cell.seed, 0.8, epochs=cell.run.config.pretrain.epochs)
            change(run, cell.seed)
            results[cell.arm, cell.seed] = run
        return plans.summary(results, of=plan)

    return build


def losses(summary) -> dict[str, dict]:
    return {
        figure["name"]: figure for figure in groups_of(results_from_values(summary, where="summary"), ["knn_20"])["loss"]
    }


def test_accuracy_over_epochs_is_drawn_where_it_was_logged_and_not_elsewhere(summary_of):
    def log(run, seed):
        for record in run["history"]:
            record["knn"] = None if record["epoch"] % 2 else 0.1 * record["epoch"] + 0.01 * seed

    assert not {"epochs-knn", "epochs-linear"} & set(losses(summary_of()))
    figure = losses(summary_of(log))["epochs-knn"]
    assert figure["columns"] == ["Setting", "epoch 2", "epoch 4"]  # of 4 epochs; what was not measured is no point
    assert {tuple(row[1:]) for row in figure["rows"]} == {("21", "41")}  # the mean of three seeds, in percent


def test_the_linear_evaluation_is_drawn_epoch_by_epoch(summary_of):
    def evaluate(run, seed):
        run["test"]["linear"] = {**run["test"]["linear_cached"], "curve": [0.5 + 0.01 * seed, 0.6 + 0.01 * seed]}

    figure = losses(summary_of(evaluate))["epochs-linear"]
    assert figure["columns"] == ["Setting", "epoch 1", "epoch 2"]
    assert {tuple(row[1:]) for row in figure["rows"]} == {("51", "61")}
    assert len(figure["rows"]) == 3  # the arms; the control has no history and no line here
