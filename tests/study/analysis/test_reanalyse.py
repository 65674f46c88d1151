"""Results that are analysed again: nothing is lost, and what today's analysis says otherwise is said otherwise."""

import dataclasses
import json
from pathlib import Path

import pytest

from study.analysis.diagnose_again import diagnose_again
from study.analysis.read import read_analysed
from study.analysis.reanalyse import reanalyse
from study.results.files import parse_results, results_bytes
from study.results.runs import CollapseType
from study.results.schema import StudyResults
from tests.study.made_up import ARMS, COMMAND, GRID, by_seed, finished, lifelike_results, study, unfinished

SHADES = (0.02, -0.01, 0.015)


def arms_of(*means: float) -> dict:
    """Three runs of each of `ARMS` about these means, and an untrained network at 0.4."""
    found = {key: run for arm, mean in zip(ARMS, means) for key, run in _seeds(arm.name, mean).items()}
    return {**found, **_seeds("untrained", 0.4)}


def _seeds(name: str, mean: float) -> dict:
    return by_seed(name, [mean + (1 + len(name) / 50) * shade for shade in SHADES])


def every_design(plans) -> dict[str, StudyResults]:
    """Results of a study of each mode, and of some that lack runs."""
    searched = plans.search([{"pretrain.lambda": 1 + trial, "pretrain.mu": 5} for trial in range(3)], best=1)
    walked = plans.path([{"step-1-nu": 0.7, "step-1-mu": None}, {"step-2-mu": 0.8}])
    tuned = plans.tuned({"base": 0.1, "other": 0.01})
    lost = {**arms_of(0.9, 0.8, 0.7), ("other", 1): unfinished("killed"), ("third", 2): unfinished("diverged")}
    steps = {name: 0.4 + 0.1 * place for place, name in enumerate(("base", "far", "step-1-nu", "step-1-mu", "step-2-mu"))}
    return {
        "arms": plans.results(arms_of(0.9, 0.8, 0.7)),
        "more seeds": plans.results(arms_of(0.9, 0.8, 0.7), command=f"{COMMAND} --add-seeds 1", seeds=(0, 1, 2, 3)),
        "lost": plans.results(lost),
        "nothing": plans.results({}),
        "grid": plans.results({key: run for arm in GRID for key, run in _seeds(arm.name, 0.5 + len(arm.name) / 100).items()},
                              asked=study(GRID, mode="grid")),
        "search": plans.results(lifelike_results(searched), of=searched),
        "path": plans.results({key: run for name, mean in steps.items() for key, run in _seeds(name, mean).items()},
                              of=walked),
        "tuned": plans.results(lifelike_results(tuned), of=tuned),
    }  # fmt: skip


DESIGNS = ("arms", "more seeds", "lost", "nothing", "grid", "search", "path", "tuned")


@pytest.fixture(scope="module")
def designs(plans):
    return every_design(plans)


@pytest.fixture(autouse=True)
def made_up_types(monkeypatch):
    """Made-up runs have types that their made-up metrics do not bear out, so here nothing is diagnosed again."""
    monkeypatch.setattr("study.analysis.reanalyse.diagnose_again", lambda results: results)


@pytest.mark.parametrize("design", DESIGNS)
def test_what_todays_analysis_wrote_is_the_same_when_it_is_read_and_analysed_again(designs, design):
    results = designs[design]
    content = results_bytes(results)
    assert results_bytes(reanalyse(parse_results(content, where="it"))) == content


def without_analysis(results: StudyResults) -> StudyResults:
    """The same runs as code would have recorded them that analysed nothing as today's does."""
    arms = [dataclasses.replace(arm, summary={}, outcomes=None, agrees=None) for arm in results.arms]
    search = results.search
    if search is not None:
        trials = [dataclasses.replace(trial, outcome="?", collapse_type="?") for trial in search.trials]
        search = dataclasses.replace(search, trials=tuple(trials))
    grid = results.grid and dataclasses.replace(results.grid, anova=None, reason="none")
    return dataclasses.replace(
        results, arms=tuple(arms), answer="Old.", alerts=("old",), predictors=(), scale=None, search=search, grid=grid,
        notes=tuple(note for note in results.notes if "never receive" in note),
    )  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_what_earlier_code_said_gives_way_to_what_todays_says_with_a_note(designs, design):
    results = designs[design]
    again = reanalyse(without_analysis(results))
    commit = " abc" if design in ("arms", "more seeds", "lost", "grid", "path") else ""
    said = again.notes[-1]
    assert said.startswith("Analysed again by today's statistics; the runs are of") and commit in said
    assert dataclasses.replace(again, notes=again.notes[:-1]) == results
    assert reanalyse(again) == again


def test_seeds_that_a_command_replaced_are_counted_as_the_recorded_command_counts_them(plans):
    runs = arms_of(0.9, 0.8, 0.7)
    replaced = plans.results(runs, command=f"{COMMAND} --seeds 5", seeds=range(5))
    assert reanalyse(replaced) == replaced
    assert reanalyse(json_round(replaced)) == replaced


def json_round(results: StudyResults) -> StudyResults:
    return parse_results(json.dumps(json.loads(results_bytes(results))).encode(), where="it")


# ---- collapse types


def measured(**changes) -> dict:
    """A healthy run of every metric that a diagnosis needs, `changes` of both spaces."""
    space = {"dead_share": 0.0, "spectrum": [1.0] * 16, "rankme": 12.0, **changes}
    return finished(0.8, knn=0.8, **space)


def diagnosed(plans, run: dict, *, control: dict | None = None) -> CollapseType | None:
    """Today's diagnosis of a run that was recorded as `old`."""
    runs = {("base", 0): {**run, "verdict": {"name": "old", "reason": "Because."}}}
    if control is not None:
        runs["untrained", 0] = control
    return diagnose_again(plans.results(runs)).arm("base").runs[0].collapse_type


UNTRAINED = {"knn": 0.5, "view_discrepancy": 0.6, "dead_share": 0.0}


def test_a_recorded_run_is_diagnosed_by_todays_thresholds(plans):
    control = finished(0.4, **UNTRAINED)
    assert diagnosed(plans, measured(), control=control).name == "healthy"
    assert diagnosed(plans, measured(std_mean=0.01), control=control).name == "complete"
    assert diagnosed(plans, measured(rms_correlation=0.99), control=control).name == "informational"
    assert diagnosed(plans, measured(dead_share=0.9), control=control).name == "dimensional"


def test_a_run_is_compared_with_the_untrained_network_of_its_seed(plans):
    worse = finished(0.4, knn=0.9, view_discrepancy=0.2)
    found = diagnosed(plans, measured(view_discrepancy=0.3), control=worse)
    assert found.name != "healthy" and "is 0.3, above the untrained" in found.reason


@pytest.mark.parametrize("lacking", ["control", "rankme", "knn"])
def test_a_run_of_which_too_little_is_recorded_keeps_its_type(plans, lacking):
    run = measured(rankme=None) if lacking == "rankme" else measured()
    if lacking == "knn":
        run["validation"] = {name: value for name, value in run["validation"].items() if not name.startswith("knn")}
    control = None if lacking == "control" else finished(0.4, **UNTRAINED)
    assert diagnosed(plans, run, control=control) == CollapseType(name="old", reason="Because.")


def test_where_todays_diagnosis_needs_more_images_the_recorded_one_stands(plans):
    runs = {("base", 0): measured(), ("untrained", 0): finished(0.4, **UNTRAINED)}
    results = plans.results(runs)
    few = dataclasses.replace(results, data=dataclasses.replace(results.data, validation=4))
    assert diagnose_again(few).arm("base").runs[0] == few.arm("base").runs[0]
    assert diagnose_again(results).arm("base").runs[0] != results.arm("base").runs[0]


def test_labels_that_named_a_data_set_name_the_first_convolution_today():
    kept = Path(__file__).parents[3] / "reports/measured/cifar10-cpu/stem.json.xz"
    results = read_analysed(kept)
    assert [arm.label for arm in results.arms if not arm.is_control] == ["stem 7x7", "stem 3x3"]
    assert "imagenet" not in results.answer
