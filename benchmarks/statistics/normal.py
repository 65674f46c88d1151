"""Paired t tests, effect sizes, shares, correlations and searches, of normal noise.

A study is a baseline and ten arms over 3, 5 or 10 seeds: a run is its arm's mean, what its seed does alike in all arms
(sd 1), and noise of its own (sd 0.5). Every interval, p-value and probability comes from the functions that reports call.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy import stats

from benchmarks.statistics.rows import Rows, row
from benchmarks.synthetic import OWN, SHARED, SPREAD, Values, bootstrap, correlated, study_values, unpaired
from study.analysis.effect_sizes import effect_size, probability_better
from study.analysis.equivalence import equivalence
from study.analysis.importances import LEAST_TRIALS, importances
from study.analysis.intervals import paired_difference, ratio_interval, wilson
from study.analysis.multiple_testing import holm
from study.analysis.power import smallest_detectable
from study.analysis.rank_correlation import rank_correlations
from study.results.comparisons import Correlation, Interval

ARMS, SEEDS = 10, (3, 5, 10)
EFFECTS = (*[0.0] * 5, *[1.5] * 5)  # half of the arms, by two sd of a paired difference
COVERAGE, AT_MOST = (0.93, 0.97), (0.0, 0.055)
ROUGHLY = (0.90, 0.98)  # what Fisher's z of ranks is good for
BOOTSTRAPPED = 1000  # studies of a row that has bootstrap intervals
ALPHA = 0.05


def each(function: Callable[[list[float], list[float]], Any], arms: Values, baselines: Values) -> list[list[Any]]:
    """Apply a function to every arm and its study's baseline: studies x arms results."""
    return [
        [function(arm, baseline) for arm in own] for own, baseline in zip(arms.tolist(), baselines.tolist(), strict=True)
    ]


def covers(one: Interval | Correlation, truth: float) -> bool:
    """Return whether an interval holds the truth; there is one of every sample that is drawn here."""
    assert one.low is not None and one.high is not None
    return one.low <= truth <= one.high


def intervals(rng: Generator, studies: int) -> Rows:
    """Measure the coverage of the paired t interval, and of what might be used in its place."""
    for n in SEEDS:
        for effects, named in (([0.0] * ARMS, "no effect"), (EFFECTS, "effects in half of the arms")):
            arms, baselines = study_values(rng, studies, n, effects)
            found = each(paired_difference, arms, baselines)
            covered = [[covers(one, effect) for one, effect in zip(own, effects, strict=True)] for own in found]
            yield row(f"95 % paired t interval covers, {named}", n, covered, COVERAGE)
        low, high = bootstrap(rng, (arms - baselines[:, None])[:BOOTSTRAPPED])
        yield row("95 % percentile bootstrap covers", n, (low <= effects) & (np.asarray(effects) <= high))
        low, high = unpaired(arms, baselines)
        yield row("95 % unpaired (Welch) interval covers", n, (low <= effects) & (np.asarray(effects) <= high))


def families(rng: Generator, studies: int) -> Rows:
    """Measure how often a study of ten arms finds an effect where there is none."""
    for n in SEEDS:
        for effects, named in (([0.0] * ARMS, "no arm has an effect"), (EFFECTS, "half of the arms have")):
            null = np.asarray(effects) == 0
            arms, baselines = study_values(rng, studies, n, effects)
            p = [[one.p for one in own] for own in each(paired_difference, arms, baselines)]
            adjusted = np.array([holm(own) for own in p])
            yield row(f"a false finding, Holm, {named}", n, (adjusted <= ALPHA)[:, null].any(1), AT_MOST)
            yield row(f"a false finding, uncorrected, {named}", n, (np.array(p) <= ALPHA)[:, null].any(1))
            low, high = bootstrap(rng, (arms - baselines[:, None])[:BOOTSTRAPPED])
            yield row(f"a false finding, bootstrap, {named}", n, ((low > 0) | (high < 0))[:, null].any(1))


def powers(rng: Generator, studies: int) -> Rows:
    """Measure how often a difference as large as `smallest_detectable` says is found."""
    for n in SEEDS:
        difference = smallest_detectable(SPREAD, n)
        assert difference is not None  # which it is of one seed alone
        arms, baselines = study_values(rng, studies, n, [difference] * ARMS)
        p = [[one.p for one in own] for own in each(paired_difference, arms, baselines)]
        yield row("smallest detectable difference is found, paired", n, np.array(p) <= ALPHA, (0.78, 0.82))
        low, high = unpaired(arms, baselines)
        yield row("the same difference is found, unpaired (Welch)", n, (low > 0) | (high < 0))


def probabilities(rng: Generator, studies: int) -> Rows:
    """Measure how often an arm wins at a further seed, beside how likely that was said to be."""
    for n in SEEDS:
        # The predictive distribution itself: its 5 % and 95 % points have the further difference between them.
        arms, baselines = study_values(rng, studies, n + 1, EFFECTS)
        further = (arms - baselines[:, None])[:, :, n]  # (studies, arms)
        above_further = each(probability_better, arms[:, :, :n] - further[:, :, None], baselines[:, :n])
        within = (np.array(above_further) > 0.05) & (np.array(above_further) < 0.95)
        yield row("90 % of the predictive distribution holds the next seed", n, within, (0.88, 0.92))
        for scale, named in ((10.0, "true differences of sd 10"), (1.0, "true differences of sd 1")):
            truths = scale * rng.normal(size=(studies * ARMS, 1))
            differences = truths + rng.normal(size=(studies * ARMS, n + 1))
            said = np.array([probability_better(own, [0.0] * n) for own in differences[:, :n].tolist()])
            surer, won = np.maximum(said, 1 - said), (differences[:, n] > 0) == (said > 0.5)
            for low, high in ((0.5, 0.75), (0.75, 0.9), (0.9, 0.99)):
                among = (surer >= low) & (surer < high)
                label = f"said to win with {100 * low:.0f} to {100 * high:.0f} %, {named}"
                yield row(f"{label}: said", n, surer[among])
                yield row(f"{label}: won", n, won[among])


def effect_sizes(rng: Generator, studies: int) -> Rows:
    """Measure the mean of g over the true effect size, where a seed's share in the noise is none, and where it is most."""
    for n in SEEDS:
        for shared in (0.0, SHARED):
            by_seed = rng.normal(0, shared, (studies, 1, n))
            arms = by_seed + rng.normal(0, OWN, (studies, 2, n)) + np.array([[1.0], [0.0]])
            found = [effect_size(*pair) for pair in arms.tolist()]
            ratios = np.array(found) * math.hypot(shared, OWN)
            part = shared**2 / (shared**2 + OWN**2)
            yield row(f"g over the true effect size, correlation {part:.1f}", n, ratios, (0.88, 1.03), unit="ratio")


def equivalences(rng: Generator, studies: int) -> Rows:
    """Measure how often arms that differ by just the margin are called equivalent, and arms that do not differ at all."""
    margin = 3 * SPREAD
    for n in SEEDS:
        for effect, named, asked in ((margin, "arms a margin apart", AT_MOST), (0.0, "equal arms", None)):
            arms, baselines = study_values(rng, studies, n, [effect] * ARMS)
            found = each(lambda own, other: equivalence(own, other, margin=margin).equivalent, arms, baselines)
            yield row(f"{named} are called equivalent (margin 3 sd)", n, found, asked)


def ratios(rng: Generator, studies: int) -> Rows:
    """Measure the coverage of the interval of a ratio whose truth is 1.5."""
    for n in SEEDS:
        arms, baselines = study_values(rng, studies, n, [math.log(1.5)] * ARMS)
        found = each(ratio_interval, np.exp(arms), np.exp(baselines))
        yield row("95 % interval of a ratio covers", n, [[covers(one, 1.5) for one in own] for own in found], COVERAGE)


def shares(rng: Generator, studies: int) -> Rows:
    """Measure the coverage of Wilson's interval, for true shares 0.01, 0.02, ... 0.99.

    They are exact sums over the binomial distribution.
    """
    truths = np.linspace(0.01, 0.99, 99)
    for n in SEEDS:
        bounds = np.array([wilson(k, n) for k in range(n + 1)])  # (n + 1, 2)
        chances = stats.binom.pmf(np.arange(n + 1), n, truths[:, None])  # (truths, n + 1)
        covers = (bounds[:, 0] <= truths[:, None]) & (truths[:, None] <= bounds[:, 1])
        coverage = (chances * covers).sum(1)
        yield row("95 % Wilson interval covers, mean over true shares", n, [coverage.mean()], COVERAGE)
        yield row("95 % Wilson interval covers, worst true share", n, [coverage.min()])


def correlations(rng: Generator, studies: int) -> Rows:
    """Measure the coverage of the intervals of rank correlations: independent points, and arms of three runs each."""
    for n in (10, 20, 40):
        for pearson in (0.0, 0.6, 0.9):
            points = correlated(rng, (studies, n), pearson)
            yield from _rank_rows(points, pearson, n, f"independent points, Pearson {pearson}", ROUGHLY, independent=None)
    for n in (10, 20):
        arms = np.repeat(correlated(rng, (studies, n), 0.6), 3, axis=-1)
        points = math.sqrt(0.9) * arms + math.sqrt(0.1) * correlated(rng, (studies, 3 * n), 0.6)
        yield from _rank_rows(points, 0.6, n, "3 runs an arm, arms counted", None, independent=n)
        yield from _rank_rows(points, 0.6, n, "3 runs an arm, runs counted", None, independent=None)


def _rank_rows(
    points: Values, pearson: float, n: int, named: str, asked: tuple[float, float] | None, *, independent: int | None
) -> Rows:
    # The population's, of a bivariate normal distribution (Kruskal, JASA 53, 1958).
    truths = (6 / math.pi * math.asin(pearson / 2), 2 / math.pi * math.asin(pearson))
    found = [rank_correlations(x, y, independent=independent) for x, y in zip(*points.tolist(), strict=True)]
    for place, name in enumerate(("Spearman", "Kendall")):
        covered = [covers(one[place], truths[place]) for one in found]
        yield row(f"95 % interval of {name} covers, {named}", n, covered, asked)


def searches(rng: Generator, studies: int) -> Rows:
    """Measure importances in random searches of the fewest trials: one number decides most, one nothing."""
    space = {name: {"low": 0.0, "high": 1.0} for name in ("decides", "adds", "inert")}
    found = []
    for _ in range(max(2, studies // 160)):
        drawn = rng.uniform(size=(LEAST_TRIALS, len(space)))
        values = -6 * (drawn[:, 0] - 0.6) ** 2 + 0.3 * drawn[:, 1] + 0.3 * rng.normal(size=LEAST_TRIALS)
        settings = [dict(zip(space, point, strict=True)) for point in drawn.tolist()]
        seeds = rng.integers(3, size=LEAST_TRIALS).tolist()
        found.append(importances(list(zip(settings, seeds, values.tolist(), strict=True)), space=space))
    for name, label in (("fanova", "fANOVA"), ("ped_anova", "PED-ANOVA")):
        shares = [getattr(one, name) for one in found]
        first = [max(one, key=one.get) == "decides" for one in shares]
        above = [own["inert"] > one.floor[name] for own, one in zip(shares, found, strict=True)]
        yield row(f"{label} of {LEAST_TRIALS} trials puts what decides first", LEAST_TRIALS, first)
        yield row(f"{label}: a number without influence is above the floor", LEAST_TRIALS, above)
        for key in ("inert", "noise", "seed"):
            yield row(f"{label}: mean share of {key}", LEAST_TRIALS, [own[key] for own in shares])


PARTS: tuple[Callable[[Generator, int], Rows], ...] = (
    intervals, families, powers, probabilities, effect_sizes, equivalences, ratios, shares, correlations, searches
)  # fmt: skip
