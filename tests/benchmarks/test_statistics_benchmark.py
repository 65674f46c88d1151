"""A short run of the simulation: rates within loose bounds, and rows that say what they are."""

import json
import math
import sys

import numpy as np
import pytest
from scipy import stats

from benchmarks import synthetic
from benchmarks.statistics import __main__ as command
from benchmarks.statistics import adaptive, moderated, normal, rows, scenarios
from vicreg.errors import InputError

# The parts whose rows are looked at here.
LOOKED_AT = ("intervals", "families", "powers", "probabilities", "equivalences", "ratios", "shares", "correlations")


@pytest.fixture(scope="module")
def rates():
    """(what, n) -> rate, of 100 studies."""
    return {(row["what"], row["n"]): row["rate"] for row in command.measure(studies=100, parts=LOOKED_AT)}


@pytest.mark.slow
@pytest.mark.parametrize("n", normal.SEEDS)
def test_intervals_cover_and_families_are_protected_where_the_alternatives_are_not(rates, n):
    for named in ("no effect", "effects in half of the arms"):
        assert rates[f"95 % paired t interval covers, {named}", n] == pytest.approx(0.95, abs=0.04)
    assert rates["95 % percentile bootstrap covers", n] < rates["95 % paired t interval covers, no effect", n]
    for named in ("no arm has an effect", "half of the arms have"):
        held, not_held = (rates[f"a false finding, {way}, {named}", n] for way in ("Holm", "uncorrected"))
        assert held <= 0.13 and held < not_held < rates[f"a false finding, bootstrap, {named}", n]


@pytest.mark.slow
@pytest.mark.parametrize("n", normal.SEEDS)
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
    one = rows.row("covers", 3, [[True, True], [False, False], [True, True], [True, True]], (0.7, 0.8))
    assert (one["rate"], one["holds"]) == (0.75, True)
    assert one["error"] == pytest.approx(0.5 / 2)
    assert rows.row("covers", 3, [True, False], (0.7, 0.8))["holds"] is False
    assert rows.row("covers", 3, [True, False])["holds"] is None


def test_the_command_writes_every_row_and_names_those_that_miss(tmp_path, monkeypatch, capsys):
    measured = [
        rows.row("covers", 3, [True] * 19 + [False], (0.93, 0.97)),
        rows.row("covers", 5, [True, False], (0.93, 0.97)),
        rows.row("g", 3, [1.0, 1.1], unit="ratio"),
    ]
    monkeypatch.setattr(command, "measure", lambda *, studies, parts: measured)
    monkeypatch.setattr(sys, "argv", ["statistics", "--studies", "20", "--out", str(tmp_path / "out.json")])
    assert command.main() == 1
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (written["studies"], [one["rate"] for one in written["rows"]]) == (20, [0.95, 0.5, pytest.approx(1.05)])
    said = capsys.readouterr()
    assert "missed: covers at n = 5: 0.5000" in said.err and "n = 3" not in said.err
    assert "| covers | 95.0 % | 50.0 % | 93.0 % to 97.0 % |" in said.out


def test_too_few_studies_are_refused():
    with pytest.raises(InputError, match="at least 10, but got 9"):
        command.measure(studies=9)


# ---- scenarios


def test_a_scenario_has_the_means_spreads_and_shared_luck_that_it_says():
    values, classes = scenarios.SCENARIOS["P8"].draw(np.random.default_rng(0), 4000, 3)
    truth = scenarios.SCENARIOS["P8"]
    assert (values.shape, len(classes), classes[0]) == ((4000, 11, 3), 4000, truth.labels)
    assert values.mean((0, 2)) == pytest.approx(truth.means, abs=0.3)
    assert values.std((0, 2)) == pytest.approx(truth.spreads, rel=0.04)
    standard = (values - values.mean((0, 2), keepdims=True)) / values.std((0, 2), keepdims=True)
    assert (standard[:, 0] * standard[:, 6]).mean() == pytest.approx(0.8, abs=0.03)
    images = values / scenarios.STEP
    assert np.abs(images - images.round()).max() < 1e-9  # ties, as of 359 test images
    assert truth.differences.tolist() == [0, 0, -7, -12, -20, -1, -2, -5, -10, -35]


def test_skewed_noise_is_skewed_and_drawn_spreads_differ_between_studies():
    values, _ = scenarios.SCENARIOS["D0"].draw(np.random.default_rng(0), 4000, 3)
    healthy, collapsed = (stats.skew((values[:, arm] - values[:, arm].mean(1, keepdims=True)).ravel()) for arm in (0, 8))
    assert healthy < -0.2 and collapsed > 0.2
    spreads = values[:, 8].std(axis=1, ddof=1)
    even = scenarios.SCENARIOS["A"].draw(np.random.default_rng(0), 4000, 3)[0][:, 8].std(axis=1, ddof=1)
    assert spreads.std() / spreads.mean() > 1.2 * even.std() / even.mean()


def test_an_arm_that_collapses_in_one_run_of_three_is_mixed_where_its_seeds_differ():
    for letter, mean in (("F", 97 - 20 / 3), ("F0", 97)):
        truth = scenarios.SCENARIOS[letter]
        values, classes = truth.draw(np.random.default_rng(0), 4000, 3)
        assert values[:, 1].mean() == pytest.approx(mean, abs=0.3)
        assert truth.differences[0] == pytest.approx(mean - 97)
        kinds = [own[1] for own in classes]
        shares = [kinds.count(kind) / 4000 for kind in ("healthy", "collapsed", "mixed")]
        assert shares == pytest.approx([8 / 27, 1 / 27, 18 / 27], abs=0.03)
        lost = np.array([own[1] == "collapsed" for own in classes])
        assert values[lost, 1].max() < values[~lost, 1].max()


def test_the_scenarios_are_those_that_the_procedure_was_chosen_on():
    chosen = "A A8 B B8 C C2 D D0 E F F0 H I I2 J2 J3 S3 S6 P P8 Pd".split()
    assert set(chosen) <= set(scenarios.SCENARIOS)


def test_the_moderated_test_finds_what_the_paired_one_misses_and_covers():
    truth = scenarios.SCENARIOS["P"]
    values, classes = truth.draw(np.random.default_rng(1), 120, 3)
    ours, paired = (told(values, classes, truth.differences) for told in (moderated.moderated, moderated.paired))
    ten = scenarios.POINTS[10] - 1
    assert ours.finds[:, ten].mean() > 0.4 > 0.3 > paired.finds[:, ten].mean()
    assert np.nanmean(ours.covers) > 0.92 and np.nanmean(paired.covers) > 0.92
    null = truth.differences == 0
    assert ours.finds[:, null].any(axis=1).mean() < 0.08


def test_rows_of_scenarios_ask_for_errors_coverage_and_power(monkeypatch):
    monkeypatch.setattr(moderated, "SCENARIOS", {key: scenarios.SCENARIOS[key] for key in ("P", "F0")})
    monkeypatch.setattr(moderated, "SEEDS", (3,))
    found = list(moderated.scenarios(np.random.default_rng(0), 20))
    asked = {(row["what"][:2], row["column"]): row["asked"] for row in found if row["table"] == "family error"}
    assert asked == {
        ("P:", "n = 3"): (0, 0.06),
        ("P:", "paired t, n = 3"): None,
        ("F0", "n = 3"): None,
        ("F0", "paired t, n = 3"): None,
    }
    (overall,) = [row for row in found if row["asked"] == moderated.COVERAGE]
    assert overall["what"] == "mean of all but F and F0" and overall["holds"] in (True, False)
    powers = [row["asked"] for row in found if row["table"] == "power" and row["asked"]]
    assert len(powers) == 5 and powers[1][0] == pytest.approx(0.25 - 3 * math.sqrt(0.25 * 0.75 * (1 / 20 + 1 / 3000)))


@pytest.mark.slow
def test_what_is_said_to_be_detectable_is_about_what_is_found():
    found = {(row["what"], row["n"]): row["rate"] for row in moderated.detectable(np.random.default_rng(0), 160)}
    for name in ("healthy", "collapsed"):
        assert found[f"what {name} arms are said to show with 80 % is found", 3] == pytest.approx(0.78, abs=0.17)
        ratios = [found[f"that difference, in spreads of a {name} arm", n] for n in (3, 4, 5)]
        assert ratios == sorted(ratios, reverse=True)


# ---- looks


def test_decided_arms_get_no_more_seeds_and_the_baseline_goes_on_with_the_others():
    planned = next(one for one in adaptive.designs() if one.name == "until decided, looks planned")
    assert planned.prices == (4, 4, 4, 4) and planned.looks == (3, 5, 8, 12)
    rng = np.random.default_rng(0)
    wave = np.array([0.2, -0.2, 0.1, -0.1, 0.3, -0.3, 0.0, 0.1, -0.1, 0.2, -0.2, 0.0])
    wide = rng.normal(size=12) * 4
    values = [90 + wave, 90.1 + wave[::-1], 40 + 1.5 * wave, 90.3 + wide]
    classes = ("healthy", "healthy", "healthy", "healthy")
    ended = adaptive.carry_out(planned, [row.tolist() for row in values], classes)
    assert ended.decisions["2"] == "worse" and "3" not in ended.decisions
    assert ended.runs < 4 * 12 and ended.runs >= 2 * 12 + 3 + 3
    all_decided = adaptive.carry_out(planned, [row.tolist() for row in (values[0], values[2], 45 + wave)], classes[:3])
    assert set(all_decided.decisions.values()) == {"worse"} and all_decided.runs < 3 * 12


@pytest.mark.slow
def test_looks_without_a_price_find_more_than_there_is(monkeypatch):
    names = ("until decided, looks without a price", "until decided, looks planned")
    kept = [one for one in adaptive.designs() if one.name in names]
    monkeypatch.setattr(adaptive, "designs", lambda: kept)
    found = {(row["what"], row["column"]): row for row in adaptive.adaptive(np.random.default_rng(3), 60)}
    free, paid = (found[name, "errors, no effects"] for name in names)
    assert free["rate"] >= paid["rate"] and free["asked"] is None and paid["asked"] == (0, 0.04)
    runs = found[names[1], "runs"]
    assert 33 < runs["rate"] < 132 and runs["unit"] == "runs"


def test_seeds_that_are_added_undeclared_cost_more_at_each_look():
    undeclared = adaptive.designs()[-1]
    assert undeclared.prices == (1, 6, 12, 20) and not undeclared.stops


def test_columns_of_a_line_stand_side_by_side_and_what_has_no_interval_is_left_out():
    given = [
        rows.row("A", 3, [[1, math.nan], [0, math.nan]], (0.0, 0.06), column="n = 3", table="errors"),
        rows.row("A", 3, [[math.nan]], column="t, n = 3", table="errors"),
        rows.row("B", 3, [5.0, 6.0], unit="runs"),
    ]
    assert (given[0]["rate"], given[0]["holds"]) == (0.5, False)
    text = rows.tables(given)
    assert "| A   | 50.0 % |        – | at most 6.0 % |" in text and "| B   |   5.5 |" in text
