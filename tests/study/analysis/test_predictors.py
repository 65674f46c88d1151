"""Which collapse metric goes with accuracy over the runs of a study."""

import math

import pytest
from scipy import stats

from study.spec.study_file import Arm
from tests.study.made_up import ARMS, Plans, arm_of, by_seed, finished, study, unfinished


@pytest.fixture
def summary_of(tiny_config, digits):
    return Plans(tiny_config, digits).summary


def test_the_metric_that_orders_runs_as_accuracy_does_stands_first(summary_of):
    results = {
        (arm, seed): finished(
            0.5 + 0.1 * place + 0.01 * seed, rankme=10 * place + seed, std_mean=[1, 0, 2][place] + 0.1 * seed
        )
        for place, arm in enumerate(("base", "other", "third"))
        for seed in range(3)
    }
    results |= by_seed("untrained", [0.9] * 3, rankme=0.0)  # trained runs alone are compared
    rows = summary_of(results)["predictors"]
    assert [(row["metric"], row["space"]) for row in rows[:2]] == [("rankme", "embeddings"), ("rankme", "representations")]
    assert rows[0]["spearman"]["value"] == rows[0]["kendall"]["value"] == 1
    assert {row["metric"] for row in rows} == {"rankme", "std_mean"}  # the others are the same in every run
    assert all((row["runs"], row["settings"]) == (9, 3) for row in rows)
    # std orders the arms 2, 1, 3 and the seeds within each rightly: 9 of 36 pairs are the other way round
    assert rows[2]["kendall"]["value"] == pytest.approx((27 - 9) / 36)


def test_intervals_of_a_correlation_count_arms_and_not_runs(summary_of):
    arms = tuple(Arm(name="base" if nu == 1 else f"nu-{nu}", settings={"pretrain.nu": nu}) for nu in range(1, 7))
    accuracies = [0.5, 0.7, 0.6, 0.8, 0.75, 0.9]
    results = {
        (arm.name, seed): finished(accuracies[place] + 0.001 * seed, rankme=10 * place + seed)
        for place, arm in enumerate(arms)
        for seed in range(3)
    }
    row = summary_of(results, asked=study(arms))["predictors"][0]
    rho = row["spearman"]["value"]
    half = stats.norm.ppf(0.975) * math.sqrt((1 + rho**2 / 2) / (6 - 3))
    assert row["spearman"]["low"] == pytest.approx(math.tanh(math.atanh(rho) - half))


def test_runs_without_an_accuracy_are_no_part_of_a_correlation(summary_of):
    results = {("base", seed): finished(0.5 + 0.1 * seed, rankme=seed) for seed in range(3)}
    results["other", 0] = unfinished("diverged")
    assert {(row["runs"], row["settings"]) for row in summary_of(results)["predictors"]} == {(3, 1)}
    assert summary_of({("base", 0): finished(0.5)})["predictors"] == []


def test_a_run_that_two_arms_share_counts_once(summary_of):
    arms = (*ARMS, Arm(name="again", settings=ARMS[1].settings))
    results = {
        **{("base", seed): finished(0.5 + 0.01 * seed, rankme=1 + seed) for seed in range(3)},
        **{("other", seed): finished(0.6 + 0.01 * seed, rankme=5 + seed) for seed in range(3)},
        **{("third", seed): finished(0.7 + 0.01 * seed, rankme=9 + seed) for seed in range(3)},
    }
    shared = results | {("again", seed): results["other", seed] for seed in range(3)}
    assert summary_of(shared, asked=study(arms))["predictors"] == summary_of(results)["predictors"]


def test_a_metric_that_is_no_number_in_one_run_is_compared_over_the_others(summary_of):
    results = {
        (arm, seed): finished(0.5 + 0.1 * place + 0.01 * seed, rankme=10 * place + seed)
        for place, arm in enumerate(("base", "other", "third"))
        for seed in range(3)
    }
    results["other", 1]["collapse"]["embeddings"]["rankme"] = float("nan")
    summary = summary_of(results)
    assert {row["space"]: row["runs"] for row in summary["predictors"]} == {"embeddings": 8, "representations": 9}
    assert arm_of(summary, "other")["summary"]["rankme_embeddings"]["n"] == 2
