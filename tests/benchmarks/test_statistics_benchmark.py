"""A short run of the simulation: rates within loose bounds, and rows that say what they are."""

import json
import math
import sys

import numpy as np
import pytest
from scipy import stats

from benchmarks import statistics, synthetic
from vicreg.errors import InputError


@pytest.fixture(scope="module")
def rates():
    """(what, n) -> rate, of 100 studies."""
    return {(row["what"], row["n"]): row["rate"] for row in statistics.measure(studies=100)}


@pytest.mark.slow
@pytest.mark.parametrize("n", statistics.SEEDS)
def test_intervals_cover_and_families_are_protected_where_the_alternatives_are_not(rates, n):
    for named in ("no effect", "effects in half of the arms"):
        assert rates[f"95 % paired t interval covers, {named}", n] == pytest.approx(0.95, abs=0.04)
    assert rates["95 % percentile bootstrap covers", n] < rates["95 % paired t interval covers, no effect", n]
    for named in ("no arm has an effect", "half of the arms have"):
        held, not_held = (rates[f"a false finding, {way}, {named}", n] for way in ("Holm", "uncorrected"))
        assert held <= 0.13 and held < not_held < rates[f"a false finding, bootstrap, {named}", n]


@pytest.mark.slow
@pytest.mark.parametrize("n", statistics.SEEDS)
def test_power_probability_and_equivalence_are_about_what_is_stated(rates, n):
    assert rates["smallest detectable difference is found, paired", n] == pytest.approx(0.8, abs=0.08)
    assert rates["the same difference is found, unpaired (Welch)", n] < 0.65
    assert rates["90 % of the predictive distribution holds the next seed", n] == pytest.approx(0.9, abs=0.05)
    assert rates["arms a margin apart are called equivalent (margin 3 sd)", n] < 0.12
    assert rates["equal arms are called equivalent (margin 3 sd)", n] > 0.7
    assert rates["95 % interval of a ratio covers", n] == pytest.approx(0.95, abs=0.04)


@pytest.mark.slow
def test_runs_of_one_arm_counted_as_independent_make_a_correlation_too_sure(rates):
    for name in ("Spearman", "Kendall"):
        counted = {
            what: rates[f"95 % interval of {name} covers, 3 runs an arm, {what} counted", 20] for what in ("arms", "runs")
        }
        assert counted["arms"] > 0.9 > counted["runs"]


@pytest.mark.slow
def test_wilsons_coverage_is_an_exact_sum(rates):
    assert rates["95 % Wilson interval covers, mean over true shares", 3] == pytest.approx(0.956, abs=5e-4)


def test_values_of_a_study_share_what_their_seed_does():
    arms, baselines = synthetic.study_values(np.random.default_rng(0), 4000, 3, [0.0, 1.5])
    assert (arms.shape, baselines.shape) == ((4000, 2, 3), (4000, 3))
    differences = arms - baselines[:, None]
    assert differences.mean((0, 2)) == pytest.approx([0, 1.5], abs=0.03)
    assert differences.std() == pytest.approx(math.hypot(synthetic.SPREAD, 0.75), rel=0.02)
    assert baselines.std() == pytest.approx(math.hypot(synthetic.SHARED, synthetic.OWN), rel=0.03)


def test_the_bootstrap_compared_with_is_scipys():
    differences = np.array([[[0.3, 1.0, 2.5, 0.1, 0.9]]])
    low, high = synthetic.bootstrap(np.random.default_rng(0), differences)
    expected = stats.bootstrap(
        (differences[0, 0],), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (low.shape, high.shape) == ((1, 1), (1, 1))
    assert (low.item(), high.item()) == pytest.approx((expected.low, expected.high), abs=0.1)


def test_the_unpaired_interval_compared_with_is_welchs():
    arms, baselines = np.array([[[1.0, 2.0, 4.0]]]), np.array([[0.0, 1.0, 1.0]])
    low, high = synthetic.unpaired(arms, baselines)
    errors = [7 / 3 / 3, 1 / 3 / 3]  # variance / n of each
    freedom = sum(errors) ** 2 / sum(error**2 / 2 for error in errors)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(errors))
    assert (low.item(), high.item()) == pytest.approx((5 / 3 - half, 5 / 3 + half))


def test_arms_of_one_study_count_as_one_in_the_error_of_a_rate():
    one = statistics.row("covers", 3, [[True, True], [False, False], [True, True], [True, True]], (0.7, 0.8))
    assert (one["rate"], one["holds"]) == (0.75, True)
    assert one["error"] == pytest.approx(0.5 / 2)
    assert statistics.row("covers", 3, [True, False], (0.7, 0.8))["holds"] is False
    assert statistics.row("covers", 3, [True, False])["holds"] is None


def test_the_command_writes_every_row_and_names_those_that_miss(tmp_path, monkeypatch, capsys):
    rows = [
        statistics.row("covers", 3, [True] * 19 + [False], (0.93, 0.97)),
        statistics.row("covers", 5, [True, False], (0.93, 0.97)),
        statistics.row("g", 3, [1.0, 1.1], unit="ratio"),
    ]
    monkeypatch.setattr(statistics, "measure", lambda *, studies: rows)
    monkeypatch.setattr(sys, "argv", ["statistics", "--studies", "20", "--out", str(tmp_path / "out.json")])
    assert statistics.main() == 1
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (written["studies"], [one["rate"] for one in written["rows"]]) == (20, [0.95, 0.5, pytest.approx(1.05)])
    said = capsys.readouterr()
    assert "missed: covers at n = 5: 0.5000" in said.err and "n = 3" not in said.err
    assert "| covers | 95.0 % | 50.0 % | 93.0 % to 97.0 % |" in said.out


def test_too_few_studies_are_refused():
    with pytest.raises(InputError, match="at least 10, but got 9"):
        statistics.measure(studies=9)
