"""What a study's file says of its arms: how many runs they are, and what was published of them."""

import pytest
import torch

from study.config.load import load_config
from study.spec.arm_checks import MOST_RUNS, check_runs
from study.spec.plan import make_plan
from tests.study.config.refused import PARAMS, refusal
from vicreg.errors import InputError

GOOD = """
question: Does it matter?
hypothesis: It does not.
baseline: one
arms:
  one: {pretrain.nu: 1}
  two: {pretrain.nu: 2}
"""
GRID = "question: a?\nhypothesis: b.\nmode: grid\nbaseline: x\n"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("{colapse: true}", "published.arms.two may not hold 'colapse'; known are collapse, knn, linear, linear_cached and"),
        ("{collapse: false}", "must be collapse: true alone, or accuracies by probe, but holds {'collapse': False}"),
        ("{collapse: 1}", "must be collapse: true alone"),
        ("{collapse: true, linear: 5}", "must be collapse: true alone"),
        ("{linear: yes}", "published.arms.two.linear must be a percentage from 0 to 100, but got 'yes'"),
        ("{linear: true}", "must be a percentage from 0 to 100, but got True"),
        ("{linear: .nan}", "must be a percentage from 0 to 100, but got nan"),
        ("{linear: 101}", "must be a percentage from 0 to 100, but got 101"),
        ("{linear: -1}", "must be a percentage from 0 to 100, but got -1"),
        ("{knn_0: 1}", "may not hold 'knn_0'"),
        ("{5: 1}", "may not hold 5"),
    ],
)
def test_a_published_outcome_is_a_collapse_or_accuracies_by_probe(study_of, outcome, said):
    message = refusal(study_of, f"{GOOD}published: {{source: x, arms: {{two: {outcome}}}}}\n")
    assert message.startswith("mine.yaml: ") and said in message


@pytest.mark.parametrize("outcome", ["{collapse: true}", "{linear: 60, knn_20: 5.5}", "{linear_cached: 0}", "{knn: 100}"])
def test_a_published_outcome_of_a_known_kind_is_taken(study_of, outcome):
    assert study_of(f"{GOOD}published: {{source: x, arms: {{two: {outcome}}}}}\n").arms[1].published


def test_a_grid_of_more_arms_than_a_study_may_have_runs_is_refused_before_it_is_built(study_of):
    values = ", ".join(map(str, range(1, 401)))
    grid = f"grid: {{pretrain.nu: [{values}], pretrain.mu: [{values}], pretrain.lambda: [{values}]}}\n"
    message = refusal(study_of, GRID + grid)
    assert message.startswith("mine.yaml: grid must ask for at most 100000 runs, but asks for 64000000; give fewer")


def test_nuisance_of_more_combinations_than_a_study_may_have_runs_is_refused(study_of):
    values = ", ".join(map(str, range(1, 401)))
    message = refusal(study_of, f"{GOOD}nuisance: {{pretrain.mu: [{values}], pretrain.lambda: [{values}]}}\n")
    assert message.startswith("mine.yaml: nuisance must ask for at most 100000 runs, but asks for 160000")


def test_more_runs_than_can_be_planned_are_refused_before_they_are_built(study_of):
    config = load_config(path=PARAMS, profile="digits")
    study = study_of(GOOD)
    with pytest.raises(InputError, match="'mine' must ask for at most 100000 runs, but asks for 2000000; give fewer"):
        make_plan(study, config, data="sha256:0", device=torch.device("cpu"), seeds=range(1_000_000))
    check_runs("it", MOST_RUNS)
