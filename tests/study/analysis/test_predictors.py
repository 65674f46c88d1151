"""Which collapse metric goes with accuracy over the runs of a study."""

import dataclasses
import math

import pytest
from scipy import stats

from study.analysis.predictors import ranked
from study.results.comparisons import Correlation
from study.results.findings import Predictor
from study.spec.study_file import Arm
from tests.study.made_up import Plans, arm_of, by_seed, finished, study, unfinished

TEN = tuple(Arm(name=f"nu-{nu}", settings={"pretrain.nu": nu}) for nu in range(1, 11))  # as few settings as are ranked
BASE, OTHER, *_ = (arm.name for arm in TEN)


@pytest.fixture
def summary_of(tiny_config, digits):
    def of(runs, *, asked=None):
        return Plans(tiny_config, digits).summary(runs, asked=asked or study(TEN))

    return of


def in_order(**metrics):
    """Runs of ten settings whose accuracy and rank rise from arm to arm and seed to seed; `metrics` are of each arm."""
    return {
        (arm.name, seed): finished(
            0.3 + 0.05 * place + 0.01 * seed, rankme=10 * place + seed,
            **{name: values[place] + 0.1 * seed for name, values in metrics.items()},
        )
        for place, arm in enumerate(TEN)
        for seed in range(3)
    }  # fmt: skip


def test_the_metric_that_orders_runs_as_accuracy_does_stands_first(summary_of):
    results = in_order(std_mean=[1, 0, *range(2, 10)])
    results |= by_seed("untrained", [0.9] * 3, rankme=0.0)  # trained runs alone are compared
    rows = summary_of(results)["predictors"]
    assert [(row["metric"], row["space"]) for row in rows[:2]] == [("rankme", "embeddings"), ("rankme", "representations")]
    assert rows[0]["spearman"]["value"] == rows[0]["kendall"]["value"] == 1
    assert {row["metric"] for row in rows} == {"rankme", "std_mean"}  # the others are the same in every run
    assert all((row["runs"], row["settings"]) == (30, 10) for row in rows)
    # std orders the first two arms wrongly and all else rightly: 9 of 435 pairs are the other way round
    assert rows[2]["kendall"]["value"] == pytest.approx((426 - 9) / 435)


def test_nothing_is_ranked_from_fewer_than_ten_settings(summary_of):
    assert summary_of(in_order(), asked=study(TEN))["predictors"]
    nine = {key: run for key, run in in_order().items() if key[0] != TEN[-1].name}
    assert summary_of(nine, asked=study(TEN[:-1]))["predictors"] == []
    old = Predictor(metric="rankme", space="embeddings", runs=6, settings=2, spearman=UNKNOWN, kendall=UNKNOWN)
    assert ranked([old, dataclasses.replace(old, settings=10)]) == (dataclasses.replace(old, settings=10),)


UNKNOWN = Correlation(n=6, value=0.9, low=None, high=None)


def test_intervals_of_a_correlation_count_arms_and_not_runs(summary_of):
    accuracies = [0.5, 0.7, 0.6, 0.8, 0.75, 0.9, 0.4, 0.45, 0.85, 0.95]
    results = {
        (arm.name, seed): finished(accuracies[place] + 0.001 * seed, rankme=10 * place + seed)
        for place, arm in enumerate(TEN)
        for seed in range(3)
    }
    row = summary_of(results)["predictors"][0]
    rho = row["spearman"]["value"]
    half = stats.norm.ppf(0.975) * math.sqrt((1 + rho**2 / 2) / (10 - 3))
    assert row["spearman"]["low"] == pytest.approx(math.tanh(math.atanh(rho) - half))


def test_runs_without_an_accuracy_are_no_part_of_a_correlation(summary_of):
    results = in_order() | {(BASE, 0): unfinished("diverged")}
    assert {(row["runs"], row["settings"]) for row in summary_of(results)["predictors"]} == {(29, 10)}
    assert summary_of({(BASE, 0): finished(0.5)})["predictors"] == []


def test_a_run_that_two_arms_share_counts_once(summary_of):
    results = in_order()
    shared = results | {("again", seed): results[OTHER, seed] for seed in range(3)}
    arms = (*TEN, Arm(name="again", settings=TEN[1].settings))
    assert summary_of(shared, asked=study(arms))["predictors"] == summary_of(results)["predictors"]


def test_a_metric_that_is_no_number_in_one_run_is_compared_over_the_others(summary_of):
    results = in_order()
    results[OTHER, 1]["collapse"]["embeddings"]["rankme"] = float("nan")
    summary = summary_of(results)
    assert {row["space"]: row["runs"] for row in summary["predictors"]} == {"embeddings": 29, "representations": 30}
    assert arm_of(summary, OTHER)["summary"]["rankme_embeddings"]["n"] == 2
