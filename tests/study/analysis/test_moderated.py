"""Moderated differences: cases by hand, and an independent implementation on random studies."""

import math

import numpy as np
import pytest
from scipy import stats

from study.analysis.intervals import paired_difference
from study.analysis.moderated import class_scale, moderated_differences
from vicreg.errors import InputError

STEP = 1 / 359  # what one test image is of an accuracy
# Three arms whose seeds have no effect in common: residuals sum to 0 over arms and over seeds, and each variance is 1.
PATTERNS = ((1, -1, 0), (0, 1, -1), (-1, 0, 1))


def arm(*values):
    return dict(enumerate(values))


def around(centre, pattern, scale=0.01):
    return arm(*(centre + scale * value for value in pattern))


def healthy(*arms):
    return dict.fromkeys(arms, "healthy")


# ---- an independent implementation: arrays (arms, seeds), nan where a seed was not run


def scale_by_bisection(variances, freedoms, prior):
    """The s0^2 at which the likelihood of variances that scatter as s0^2 F(freedom, prior) is highest."""
    if not np.any(variances > 0):
        return 0.0

    def slope(scale):  # of the log likelihood in log s0^2, up to a factor
        return (freedoms * (variances - scale) / (prior * scale + freedoms * variances)).sum()

    low, high = 1e-30, 1e6
    if slope(low) <= 0:
        return 0.0
    for _ in range(70):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return math.sqrt(low * high)


def by_arrays(Y, kinds, prior=4.0):
    """(mean, low, high, p, sd, df) of each arm but the first, which is the baseline; None where nothing is concluded."""
    kinds, counts = np.array(kinds), (~np.isnan(Y)).sum(1)
    residuals = Y - np.nanmean(Y, 1, keepdims=True)
    freedoms = np.maximum(counts - 1, 0)
    own = np.nansum(residuals**2, 1) / np.maximum(freedoms, 1)
    is_healthy = kinds == "healthy"
    shared = np.zeros(Y.shape[1])
    for seed in range(Y.shape[1]):
        column = residuals[is_healthy, seed]
        if (~np.isnan(column)).any():
            shared[seed] = np.nanmean(column)
    alike = (~np.isnan(Y[is_healthy])).sum(0)  # healthy arms that have a seed, the share 1 / alike of which the effect takes
    told = ~np.isnan(Y) & (alike > 1)
    weights = alike / np.maximum(alike - 1, 1)
    sums = np.where(told, weights * (residuals - shared) ** 2, 0.0).sum(1)
    parts = told.sum(1) * np.maximum(freedoms, 1) / np.maximum(counts, 1)
    cleaned = np.where(told.any(1), sums / np.where(parts > 0, parts, 1), own)
    found = []
    for place in range(1, len(Y)):
        differences = Y[place] - Y[0]
        differences = differences[~np.isnan(differences)]
        n = len(differences)
        if n < 3:
            found.append(None)
            continue
        constant = np.ptp(differences) <= 1e-12 * np.nanmax(np.abs(Y[[0, place]]))
        s2 = 0.0 if constant else differences.var(ddof=1)
        same = (kinds == kinds[place]) & (np.arange(len(Y)) != place)
        mates = same.copy()
        mates[0] = False
        learned = freedoms[mates].sum()
        weight, expected = 0.0, 0.0
        if kinds[place] != "mixed" and kinds[0] == "healthy" and same.sum() >= 2 and learned:
            weight = 1 / (1 / prior + 1 / learned)
            rest = is_healthy & (np.arange(len(Y)) != place)
            if kinds[place] == "healthy":
                of_healthy = of_class = scale_by_bisection(cleaned[rest], freedoms[rest], prior)
            else:
                of_healthy = scale_by_bisection(own[rest], freedoms[rest], prior)
                of_class = scale_by_bisection(own[same], freedoms[same], prior)
            expected = of_class + max(of_healthy, cleaned[0])
        variance = max(s2, (weight * expected + (n - 1) * s2) / (weight + n - 1))
        if variance == 0:
            found.append(None)
            continue
        df, error = weight + n - 1, math.sqrt(variance / n)
        low, high = differences.mean() + stats.t.ppf([0.025, 0.975], df) * error
        p = 2 * stats.t.sf(abs(differences.mean()) / error, df)
        found.append((differences.mean(), low, high, p, math.sqrt(variance), df))
    return found


def random_study(rng):
    """Accuracies (arms, seeds) and classes: few arms and many, ties, lost seeds, every class, at times a sick baseline."""
    arms, seeds = int(rng.integers(2, 13)), int(rng.integers(3, 7))
    Y = rng.uniform(0.5, 0.95, (arms, 1)) + rng.normal(size=(arms, seeds)) * 0.02 * rng.exponential(size=(arms, 1))
    if rng.random() < 0.4:
        Y = np.round(Y / STEP) * STEP
    if rng.random() < 0.1:
        Y[-1] = Y[0] + 10 * STEP  # the same difference at each seed
    if rng.random() < 0.5:
        lost = rng.random(Y.shape) < 0.15
        lost[:, 0] = False  # an arm without any accuracy is none
        Y[lost] = np.nan
    kinds = rng.choice(["healthy", "collapsed", "mixed"], arms, p=[0.5, 0.4, 0.1])
    kinds[0] = "healthy" if rng.random() < 0.85 else kinds[0]
    return Y, [str(kind) for kind in kinds]


def test_random_studies_come_out_as_by_an_implementation_of_its_own():
    rng, moderated, errors = np.random.default_rng(14), 0, []
    for _ in range(220):
        Y, kinds = random_study(rng)
        accuracies = {
            str(place): {seed: value for seed, value in enumerate(row) if not math.isnan(value)}
            for place, row in enumerate(Y.tolist())
        }
        found = moderated_differences(accuracies, {str(i): kind for i, kind in enumerate(kinds)}, baseline="0")
        for place, expected in enumerate(by_arrays(Y, kinds), start=1):
            one = found.get(str(place))
            if expected is None:
                assert one is None or (one.low, one.high, one.p, one.sd, one.df) == (None,) * 5
                continue
            numbers = (one.mean, one.low, one.high, one.p, one.sd, one.df)
            errors += [abs(a - b) / max(1, abs(b)) for a, b in zip(numbers, expected, strict=True)]
            moderated += one.moderated
    assert all(error < 1e-10 for error in errors)
    assert moderated > 400  # there was something to compare


def test_seeds_that_few_arms_have_are_corrected_for_what_the_common_effect_takes_of_them():
    """A baseline and an arm at twelve seeds, eight arms at three, all of one spread: it is neither under- nor overstated."""
    rng, found = np.random.default_rng(3), []
    for _ in range(400):
        Y = rng.normal(size=(10, 12)) + rng.normal(size=12)
        Y[2:, 3:] = np.nan
        accuracies = {
            str(place): {seed: value for seed, value in enumerate(row) if not math.isnan(value)}
            for place, row in enumerate(Y.tolist())
        }
        one = moderated_differences(accuracies, healthy(*map(str, range(10))), baseline="0")["1"]
        found.append(one.low <= 0 <= one.high)
    assert 0.93 < np.mean(found) < 0.985


# ---- cases by hand


def test_where_all_arms_spread_alike_the_spread_is_theirs_and_only_the_degrees_of_freedom_grow():
    accuracies = {
        name: around(centre, pattern) for name, centre, pattern in zip("abc", (0.9, 0.92, 0.91), PATTERNS, strict=True)
    }
    one = moderated_differences(accuracies, healthy(*"abc"), baseline="a")["b"]
    # differences are 0.02 + 0.01 (-1, 2, -1), of variance 3e-4, which is what two arms of variance 1.5 (1e-4) add up to
    assert one.sd == pytest.approx(math.sqrt(3e-4)) and one.moderated
    assert one.df == pytest.approx(2 + 4 * 2 / (4 + 2))  # one other arm of three seeds
    half = stats.t.ppf(0.975, one.df) * math.sqrt(3e-4 / 3)
    assert (one.mean, one.low, one.high) == pytest.approx((0.02, 0.02 - half, 0.02 + half))
    assert one.p == pytest.approx(2 * stats.t.sf(0.02 / math.sqrt(3e-4 / 3), one.df))


def test_an_arm_that_spreads_less_than_its_class_is_given_some_of_its_spread_and_one_that_spreads_more_keeps_its_own():
    calm, wild = arm(0.8, 0.8001, 0.8), arm(0.5, 0.9, 0.7)
    others = {f"c{place}": around(0.8, pattern, 0.02) for place, pattern in enumerate(PATTERNS)}
    accuracies = {"base": around(0.9, PATTERNS[0]), "calm": calm, "wild": wild, **others}
    classes = {**dict.fromkeys(accuracies, "collapsed"), "base": "healthy"}
    found = moderated_differences(accuracies, classes, baseline="base")
    own = {
        name: np.std([accuracies[name][s] - accuracies["base"][s] for s in range(3)], ddof=1) for name in ("calm", "wild")
    }
    assert found["calm"].sd > 1.2 * own["calm"]
    assert found["wild"].sd == pytest.approx(own["wild"]) and found["wild"].df == pytest.approx(2 + 4 * 8 / 12)


def test_the_same_difference_at_each_seed_is_not_certain_where_others_of_the_class_vary():
    accuracies = {
        "base": around(0.9, PATTERNS[0]), "other": around(0.8, PATTERNS[0]), "b": around(0.9, PATTERNS[1]),
        "c": around(0.9, PATTERNS[2]),
    }  # fmt: skip
    one = moderated_differences(accuracies, healthy(*accuracies), baseline="base")["other"]
    assert one.moderated and one.low < -0.1 < one.high and 0 < one.p < 0.05
    alone = moderated_differences(
        {name: accuracies[name] for name in ("base", "other")}, healthy("base", "other"), baseline="base"
    )
    assert (alone["other"].low, alone["other"].p, alone["other"].moderated) == (None, None, False)


@pytest.mark.parametrize(
    ("why", "kinds"),
    [
        ("its seeds ended differently", ["healthy", "mixed", *["healthy"] * 4]),
        ("the baseline collapsed", ["collapsed", *["healthy"] * 5]),
        ("the baseline is mixed", ["mixed", *["healthy"] * 5]),
        ("one other arm alone is of its class", ["healthy", "collapsed", "collapsed", *["healthy"] * 3]),
        ("no other arm is of its class", ["healthy", "collapsed", *["healthy"] * 4]),
    ],
)
def test_without_a_class_to_learn_from_it_is_the_paired_t_interval_to_the_bit(why, kinds):
    rng = np.random.default_rng(3)
    for _ in range(20):
        accuracies = {str(place): arm(*rng.normal(0.9, 0.02, 4).tolist()) for place in range(6)}
        classes = {str(place): kind for place, kind in enumerate(kinds)}
        one = moderated_differences(accuracies, classes, baseline="0")["1"]
        expected = paired_difference(list(accuracies["1"].values()), list(accuracies["0"].values()))
        assert (one.n, one.mean, one.low, one.high, one.p) == (
            expected.n, expected.mean, expected.low, expected.high, expected.p
        ), why  # fmt: skip
        assert one.df == 3 and not one.moderated


def test_two_shared_seeds_conclude_nothing_and_none_is_no_comparison():
    accuracies = {"a": arm(0.9, 0.91, 0.92), "b": {0: 0.8, 1: 0.82}, "c": {7: 0.8}, "d": {}}
    found = moderated_differences(accuracies, healthy(*accuracies), baseline="a")
    assert set(found) == {"b"} and (found["b"].n, found["b"].low, found["b"].df) == (2, None, None)


def test_order_of_arms_and_a_shift_of_all_accuracies_change_nothing():
    rng = np.random.default_rng(5)
    accuracies = {name: arm(*rng.normal(0.9, 0.02, 3).tolist()) for name in "abcde"}
    classes = {**healthy(*"abc"), "d": "collapsed", "e": "collapsed"}
    found = moderated_differences(accuracies, classes, baseline="a")
    turned = moderated_differences(dict(reversed(accuracies.items())), classes, baseline="a")
    moved = {name: {seed: value - 0.5 for seed, value in row.items()} for name, row in accuracies.items()}
    shifted = moderated_differences(moved, classes, baseline="a")
    for name in "bcde":
        assert turned[name].p == pytest.approx(found[name].p, rel=1e-9)
        assert shifted[name].high == pytest.approx(found[name].high, rel=1e-9)


def test_the_scale_of_a_class_is_where_its_likelihood_is_highest():
    variances, freedoms = [1.0, 4.0, 0.2, 9.0], [2, 2, 4, 3]
    scale = class_scale(variances, freedoms)
    likelihood = [
        sum(stats.f.logpdf(v / s, nu, 4) - math.log(s) for v, nu in zip(variances, freedoms, strict=True))
        for s in (0.98 * scale, scale, 1.02 * scale)
    ]
    assert likelihood[1] > max(likelihood[0], likelihood[2])
    assert class_scale([2.0, 2.0], [2, 2]) == pytest.approx(2.0)
    assert class_scale([0.0, 0.0], [2, 2]) == 0


def test_a_baseline_without_accuracies_or_a_prior_without_freedom_is_refused():
    with pytest.raises(InputError, match="the baseline 'a' must have accuracies"):
        moderated_differences({"b": arm(0.1, 0.2)}, healthy("a", "b"), baseline="a")
    with pytest.raises(InputError, match="prior_freedom must be above 0, but got 0"):
        moderated_differences({"a": arm(0.1)}, healthy("a"), baseline="a", prior_freedom=0)
