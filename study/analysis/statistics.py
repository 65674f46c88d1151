"""Statistics of a few seeds: one pure function each. docs/statistics.md says what a reader may take from them, and
benchmarks/statistics.py measures whether they hold what they state."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from vicreg.errors import InputError

CONFIDENCE = 0.95
LEAST_SEEDS = 3  # fewer conclude nothing: the interval of two differences is 9 standard deviations to either side
LEAST_UNITS = 5  # of a rank correlation's interval: the variance of Kendall's z is 0.437 / (n - 4)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of n paired differences, its confidence interval and the two-sided p-value against zero.

    `low`, `high` and `p` are None where n is too small to estimate a spread. Of ratios (`ratio_interval`), the mean is
    geometric and p is against 1.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    p: float | None


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of (n,) values, n >= 1."""
    _need(values, 1, "a mean")
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float | None:
    """The unbiased-variance standard deviation of (n,) values, one a seed; None for n = 1, where there is none."""
    _need(values, 1, "a standard deviation")
    if len(values) == 1:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def paired_difference(values: Sequence[float], reference: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The mean of values - reference, paired by seed, with Student's t interval.

    Args:
        values, reference: (n,) each, entry i of both from the same seed, hence the same initial weights and order.
        confidence: of the interval, two-sided.

    With n = 3 seeds the interval is mean +- 4.30 sd / sqrt(3): wide, but it covers at its stated rate, where a
    bootstrap over 3 values covers about three times in four. With n < 3 no interval is given: over two values its
    half-width is 9 standard deviations, which says nothing. Nor is there one where all differences are equal: accuracies
    on a few hundred images come in steps, and three equal steps do not make a difference certain.

    Raises:
        InputError: if the two are not of one length of at least 1.
    """
    differences = _differences(values, reference)
    centre, spread = mean(differences), standard_deviation(differences)
    n = len(differences)
    if n < LEAST_SEEDS or spread is None or not _differ(differences, values):
        return Interval(n=n, mean=centre, low=None, high=None, p=None)
    error = spread / math.sqrt(n)
    half = _t_quantile((1 + confidence) / 2, n - 1) * error
    p = 2 * _t_share(-abs(centre) / error, n - 1)
    return Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=p)


def ratio_interval(values: Sequence[float], reference: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The geometric mean of values / reference, paired by seed, with Student's t interval of the log ratio.

    exp(mean +- t sd / sqrt(n)) of ln(values / reference), (n,) each: for what is compared by its ratio, as times and ranks
    are. p is against a ratio of 1.

    Raises:
        InputError: if a number is not above 0, or the two are not of one length of at least 1.
    """
    for number in (*values, *reference):
        if not number > 0:
            raise InputError(f"numbers of a ratio must be above 0, but got {number}; compare such numbers by difference.")
    logs = paired_difference([math.log(x) for x in values], [math.log(x) for x in reference], confidence=confidence)
    low, high = (None if bound is None else math.exp(bound) for bound in (logs.low, logs.high))
    return Interval(n=logs.n, mean=math.exp(logs.mean), low=low, high=high, p=logs.p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for being the smallest of several, by Holm's step-down rule, in the order given.

    Of m p-values sorted upwards, the j-th is max over k <= j of (m - k + 1) p_k, at most 1. Rejecting those at or below
    alpha makes any false rejection in the family at most alpha likely, however the tests depend on one another (Holm, A
    simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979). None stays None and
    is not of the family.

    Raises:
        InputError: for a p-value outside 0 to 1.
    """
    family = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(family):
        if not 0 <= p <= 1:
            raise InputError(f"a p-value must be between 0 and 1, but got {p}.")
        highest = max(highest, min(1.0, (len(family) - rank) * p))
        adjusted[place] = highest
    return adjusted


def effect_size(values: Sequence[float], reference: Sequence[float]) -> float | None:
    """Hedges' g_av of paired samples (n,): the mean difference in units of the spread over seeds.

    d = mean difference / sqrt((s1^2 + s2^2) / 2), times J(v) = Gamma(v/2) / (sqrt(v/2) Gamma((v-1)/2)), which removes the
    bias of few values (Hedges, Journal of Educational Statistics 6, 1981). The degrees of freedom of that spread are
    v = 2 (n - 1) / (1 + r^2) for series of correlation r (Cousineau, The Quantitative Methods for Psychology 16, 2020),
    r = 2 c / (s1^2 + s2^2) with their covariance c. The usual v = 2 (n - 1) takes the series for independent: with 3 seeds
    it makes d a fifth too large where they share most of their noise. This one errs towards 0, by a tenth at most.

    None with fewer than 3 seeds, or where neither series has a spread.
    """
    difference = mean(_differences(values, reference))
    if len(values) < LEAST_SEEDS:
        return None
    (first, covariance), (_, second) = np.cov(np.asarray(values, float), np.asarray(reference, float)).tolist()
    if first + second == 0:
        return None
    freedom = 2 * (len(values) - 1) / (1 + (2 * covariance / (first + second)) ** 2)
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return difference / math.sqrt((first + second) / 2) * correction


def probability_better(values: Sequence[float], reference: Sequence[float]) -> float | None:
    """How likely the arm is above its reference at one seed that was not run yet, under the paired t model.

    P(T_{n-1} < mean / (s sqrt(1 + 1/n))): the predictive distribution of the next difference (Geisser, Predictive
    Inference, 1993, with the flat prior). It says how often a rerun wins, not how sure a mean difference is: an arm that
    is better beyond doubt by half a standard deviation wins 7 of 10 times. Where true differences are no larger than their
    spread, the flat prior is too sure with 3 seeds: said to win with 95 %, 84 of 100 do (docs/statistics.md).

    None with fewer than 3 seeds, or where all differences are equal and there is no spread to tell by.
    """
    differences = _differences(values, reference)
    centre, spread, n = mean(differences), standard_deviation(differences), len(differences)
    if n < LEAST_SEEDS or spread is None or not _differ(differences, values):
        return None
    return _t_share(centre / (spread * math.sqrt(1 + 1 / n)), n - 1)


def smallest_detectable(spread: float, n: int, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The true difference that a paired two-sided t test over n seeds finds with this power.

    `spread` is the standard deviation of the paired differences. The test statistic of a difference d is noncentral t with
    n - 1 degrees of freedom and noncentrality d sqrt(n) / spread (Cohen, Statistical Power Analysis, 1988, chapter 2).

    None for n < 2, where there is no test.

    Raises:
        InputError: for a negative spread, or a power that is not above alpha or not below 1.
    """
    _need_power(spread, alpha, power)
    if n < 2:
        return None
    return spread / math.sqrt(n) * _noncentrality(n, alpha, power)


def seeds_needed(
    spread: float, difference: float, *, alpha: float = 0.05, power: float = 0.8, most: int = 1000
) -> int | None:
    """The fewest seeds, at least 3, with which a paired two-sided t test finds a true difference with this power.

    None where more than `most` would be needed, as for a difference of 0. Units and errors as in `smallest_detectable`.
    """
    _need_power(spread, alpha, power)

    def enough(n: int) -> bool:
        return spread / math.sqrt(n) * _noncentrality(n, alpha, power) <= abs(difference)

    if difference == 0 or most < LEAST_SEEDS or not enough(most):
        return None
    low, high = LEAST_SEEDS - 1, most  # the answer is above low and at most high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@lru_cache(maxsize=4096)
def _noncentrality(n: int, alpha: float, power: float) -> float:
    critical = _t_quantile(1 - alpha / 2, n - 1)

    def excess(noncentrality: float) -> float:
        # P(T < -c) as P(T > c) of the mirrored distribution: scipy's cdf is nan far out in that tail.
        sides = stats.nct.sf(critical, n - 1, [noncentrality, -noncentrality])
        return float(sides.sum()) - power

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(optimize.brentq(excess, 0, high, xtol=1e-12))


def pooled_spread(differences: Sequence[Sequence[float]]) -> float | None:
    """The standard deviation that groups of paired differences share, each group (n_i,) about a mean of its own.

    sqrt(sum_i (n_i - 1) s_i^2 / sum_i (n_i - 1)). None where no group has two values. It takes the groups to spread alike.
    """
    freedom = sum(len(group) - 1 for group in differences if group)
    if freedom == 0:
        return None
    squares = [(value - mean(group)) ** 2 for group in differences if group for value in group]
    return math.sqrt(math.fsum(squares) / freedom)


def wilson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval of a share: those for which the normal test of `successes` of n does not reject.

    (k + z^2/2 +- z sqrt(k (n - k) / n + z^2/4)) / (n + z^2) (Wilson, Journal of the American Statistical Association 22,
    1927). Within 0 and 1 by itself, and not of zero width at 0 or n successes: none of 3 is 0 to 0.56.

    Raises:
        InputError: for n < 1, or successes outside 0 to n.
    """
    if n < 1:
        raise InputError(f"n must be at least 1 for a share, but got {n}.")
    if not 0 <= successes <= n:
        raise InputError(f"successes must be between 0 and n = {n}, but got {successes}.")
    z = float(special.ndtri((1 + confidence) / 2))
    half = z * math.sqrt(successes * (n - successes) / n + z**2 / 4)
    low, high = ((successes + z**2 / 2 + sign * half) / (n + z**2) for sign in (-1, 1))
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)  # exact there; rounding is not


def sampling_error(share: float, n: int) -> float:
    """The standard error of an accuracy in 0 to 1 that was measured on n test images, from their sampling alone.

    sqrt(p (1 - p) / (n + z^2)) with p = (share n + z^2/2) / (n + z^2) and z = 1.96 (Agresti and Coull, The American
    Statistician 52, 1998). The plain sqrt(share (1 - share) / n) is 0 at accuracies of 0 and 1, as if another 360 images
    could not hold an error; this one is 0.0038 there. It is used everywhere, for if it were used at 0 and 1 alone, 360 right
    of 360 would have a larger error than 359. At 0.5 the two differ by z^2 / 2n: 0.5 % of the error for n = 360.

    Raises:
        InputError: for n < 1, or a share outside 0 to 1.
    """
    if n < 1:
        raise InputError(f"n must be at least 1 for an accuracy, but got {n}.")
    if not 0 <= share <= 1:
        raise InputError(f"an accuracy must be between 0 and 1, but got {share}.")
    squared = float(special.ndtri((1 + CONFIDENCE) / 2)) ** 2
    centre = (share * n + squared / 2) / (n + squared)
    return math.sqrt(centre * (1 - centre) / (n + squared))


def paired_sampling_error(correct: ArrayLike, reference: ArrayLike) -> float | None:
    """The standard error of a difference of two accuracies from the sampling of test images alone.

    Args:
        correct, reference: (seeds, images) each, 1 where an image was classified rightly; column j of both is one image.

    sd(D) / sqrt(images) with D_j the difference of image j averaged over seeds: images that both get right cancel, so it
    is smaller than two errors of `sampling_error` added (McNemar's variance where there is one seed; Miller, Adding error
    bars to evals, arXiv 2411.00640). Seeds are taken as given: their spread is the t interval's matter. 0 where
    no two images differ; None with fewer than two images.

    Raises:
        InputError: if the two are not of one shape (seeds, images) with at least one seed.
    """
    own, other = np.asarray(correct, float), np.asarray(reference, float)
    if own.shape != other.shape or own.ndim != 2 or len(own) == 0:
        raise InputError(f"both must be of one shape (seeds, images), but got {own.shape} and {other.shape}.")
    if own.shape[1] < 2:
        return None
    differences = (own - other).mean(axis=0)  # (images,)
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A rank correlation of n points and its 95 % interval; `value` is None where an input is constant, `low` and `high`
    where there are fewer than 5 independent units too."""

    n: int
    value: float | None
    low: float | None
    high: float | None


def rank_correlations(
    x: Sequence[float], y: Sequence[float], *, independent: int | None = None
) -> tuple[Correlation, Correlation]:
    """Spearman's rho and Kendall's tau-b of n points, with intervals on Fisher's z.

    Args:
        x, y: (n,) each, entry i of both from one run.
        independent: how many of the points are independent, n by default. Runs of one arm at several seeds are one unit
            and not several: with their number for n the interval would be too narrow.

    tanh(atanh(value) +- 1.96 sd), with the variance (1 + rho^2/2) / (n - 3) for Spearman (Bonett and Wright, Psychometrika
    65, 2000) and 0.437 / (n - 4) for Kendall (Fieller, Hartley and Pearson, Biometrika 44, 1957), n the independent units.
    The latter needs 5 units, and with fewer there is no interval of either: it would reach from nearly -1 to nearly 1.
    Fisher's z of +-1 is infinite; there the interval ends at +-1, and its other end is that of the value next to it, two
    neighbours exchanged.

    Raises:
        InputError: if the two are not of one length, a number is not finite, or `independent` is not between 1 and n.
    """
    n = len(x)
    units = n if independent is None else independent
    if n != len(y):
        raise InputError(f"points must have as many x as y, but got {n} and {len(y)}.")
    if n and not 1 <= units <= n:
        raise InputError(f"independent must be between 1 and the number of points {n}, but got {units}.")
    if not np.isfinite([*x, *y]).all():
        raise InputError("points must be finite numbers to be ranked, but one is not; leave its run out and say so.")
    if len(set(x)) < 2 or len(set(y)) < 2:
        return (nothing := Correlation(n=n, value=None, low=None, high=None)), nothing
    rho, tau = float(stats.spearmanr(x, y).statistic), float(stats.kendalltau(x, y, variant="b").statistic)
    return (
        _correlation(rho, n, units, variance=(1 + rho**2 / 2) / max(units - 3, 1), step=12 / max(units**3 - units, 1)),
        _correlation(tau, n, units, variance=0.437 / max(units - 4, 1), step=4 / max(units**2 - units, 1)),
    )


def _correlation(value: float, n: int, units: int, *, variance: float, step: float) -> Correlation:
    if units < LEAST_UNITS:
        return Correlation(n=n, value=value, low=None, high=None)
    z = math.atanh(min(max(value, step - 1), 1 - step))
    half = float(special.ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return Correlation(n=n, value=value, low=min(math.tanh(z - half), value), high=max(math.tanh(z + half), value))


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Whether two arms differ by less than a margin: two one-sided t tests of n paired differences.

    `low` and `high` are the 1 - 2 alpha interval (90 %), `p` the larger of the two p-values, and `largest` the smallest
    margin at which the arms would be equivalent: "no difference larger than `largest`". All but n, mean and margin are
    None with fewer than 3 seeds.
    """

    n: int
    mean: float
    margin: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    equivalent: bool | None = None
    largest: float | None = None


def equivalence(values: Sequence[float], reference: Sequence[float], *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987) of paired differences.

    Equivalent where the mean difference is above -margin and below margin, each in a one-sided t test at alpha; just where
    the 1 - 2 alpha interval lies within +-margin. The margin is to be chosen before the numbers are seen.

    Raises:
        InputError: for a margin that is not above 0, an alpha that is not between 0 and 0.5, or unequal lengths.
    """
    if not margin > 0:
        raise InputError(f"margin must be above 0, but got {margin}; it is the smallest difference that would matter.")
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha must be between 0 and 0.5, but got {alpha}.")
    interval = paired_difference(values, reference, confidence=1 - 2 * alpha)
    n, centre, low, high = interval.n, interval.mean, interval.low, interval.high
    if low is None or high is None:
        return Equivalence(n=n, mean=centre, margin=margin)
    spread = standard_deviation(_differences(values, reference))
    room = margin - abs(centre)  # to the nearer end of the margin, whose test has the larger p
    p = _t_share(-room / (spread / math.sqrt(n)), n - 1)
    return Equivalence(
        n=n, mean=centre, margin=margin, low=low, high=high, p=p, equivalent=p <= alpha, largest=max(abs(low), abs(high))
    )


def _t_quantile(share: float, freedom: int) -> float:
    return float(special.stdtrit(freedom, share))  # what scipy.stats.t calls, at a fiftieth of its cost


def _t_share(value: float, freedom: int) -> float:
    return float(special.stdtr(freedom, value))


def _differences(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    if len(values) != len(reference):
        raise InputError(f"paired values must be as many as their references, but got {len(values)}, {len(reference)}.")
    return [value - other for value, other in zip(values, reference, strict=True)]


def _differ(differences: Sequence[float], values: Sequence[float]) -> bool:
    """Whether differences differ from one another by more than the rounding of the values they are of."""
    return max(differences) - min(differences) > 1e-12 * max(abs(value) for value in (*values, *differences))


def _need_power(spread: float, alpha: float, power: float) -> None:
    if not spread >= 0:
        raise InputError(f"spread must be at least 0, but got {spread}; it is a standard deviation.")
    if not 0 < alpha < power < 1:
        raise InputError(f"power must be above alpha and below 1, but got {power} with alpha {alpha}.")


def _need(values: Sequence[float], count: int, what: str) -> None:
    if len(values) < count:
        raise InputError(f"{what} needs at least {count} value, but got {len(values)}.")
