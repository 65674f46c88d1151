"""How far an answer may be trusted: what is said of arms whose seeds ended differently."""

from pathlib import Path

import pytest

from study.analysis.trust import MIXED_COVERAGE, trust
from tests.study.analysis.sentences import runs_of
from tests.study.made_up import finished

STATISTICS = Path(__file__).parents[3] / "docs/statistics.md"


def said_of_mixed(plans, n):
    """What is said where one of an arm's n seeds collapsed and the others did not."""
    values = [0.7 + 0.01 * seed for seed in range(n)]
    runs = runs_of({"base": values, "other": [value + 0.003 * (-1) ** seed for seed, value in enumerate(values)]})
    runs["other", 1] = finished(0.5, verdict="complete")
    (said,) = [one for one in trust(plans.results(runs, seeds=range(n))) if "too narrow" in one]
    return said


def test_the_shares_of_mixed_arms_intervals_that_hold_the_truth_are_those_of_the_table():
    _, intervals = STATISTICS.read_text(encoding="utf-8").split("How often a 95 % interval covers the true difference", 1)
    lines = intervals.splitlines()
    head, row = (
        [cell.strip() for cell in next(line for line in lines if line.startswith(start)).split("|")[2:5]]
        for start in ("|  ", "| F: its worst arm ")
    )
    shares = [round(float(cell.removesuffix(" %"))) for cell in row]
    assert head == [f"n = {n}" for n in MIXED_COVERAGE] and shares == list(MIXED_COVERAGE.values())


@pytest.mark.parametrize(("n", "share"), [(3, 67), (4, 78), (5, 86)])
def test_of_arms_whose_seeds_ended_differently_the_share_of_their_number_of_seeds_is_said(plans, n, share):
    assert f"{share} %" in said_of_mixed(plans, n)


@pytest.mark.parametrize("n", [6, 8])
def test_with_more_seeds_than_were_simulated_no_share_is_said(plans, n):
    said = said_of_mixed(plans, n)
    assert said.endswith("Its 95 % interval may be too narrow.")
