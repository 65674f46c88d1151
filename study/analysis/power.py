"""Power of t tests of differences: what is detectable, and seeds needed."""

import math
from collections.abc import Callable
from functools import lru_cache

from scipy import optimize, special, stats

from study.analysis.moments import LEAST_SEEDS
from study.analysis.student import t_quantile
from vicreg.errors import InputError


def smallest_detectable(
    spread: float, n: int, *, freedom: float | None = None, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Return the true difference that a two-sided t test of n paired differences finds with this power.

    The test statistic of a difference d is noncentral t with `freedom` degrees of freedom and noncentrality d sqrt(n) /
    spread (Cohen, Statistical Power Analysis, 1988, chapter 2). That is exact for a paired t test. For a moderated one it is
    an approximation, which `benchmarks.statistics` checks: there the spread is in part known from other arms, and never
    taken for less than the arm's own. None for n < 2, where there is no test.

    Args:
        spread: the standard deviation of one difference.
        n: number of seeds.
        freedom: degrees of freedom of the spread; n - 1, those of the paired t test, where None.
        alpha: level of the test.
        power: probability of finding the difference.

    Raises:
        InputError: for a negative spread, or a power that is not above alpha or not below 1.
    """
    _need_power(spread, alpha, power)
    if n < 2:
        return None
    return spread / math.sqrt(n) * _noncentrality(n - 1 if freedom is None else freedom, alpha, power)


def seeds_needed(
    spread: float,
    difference: float,
    *,
    freedom: Callable[[int], float] = lambda n: n - 1,
    alpha: float = 0.05,
    power: float = 0.8,
    most: int = 1000,
) -> int | None:
    """Return the fewest seeds, at least 3, with which a two-sided t test finds a true difference with this power.

    `freedom` maps a number of seeds to the degrees of freedom of the spread. None where more than `most` would be needed, as
    for a difference of 0. Units and errors are as in `smallest_detectable`.
    """
    _need_power(spread, alpha, power)

    def enough(n: int) -> bool:
        return spread / math.sqrt(n) * _noncentrality(freedom(n), alpha, power) <= abs(difference)

    if difference == 0 or most < LEAST_SEEDS or not enough(most):
        return None
    low, high = LEAST_SEEDS - 1, most  # the answer is above low and at most high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def spread_interval(spread: float, freedom: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a standard deviation that was estimated with this many degrees of freedom.

    spread sqrt(v / q), q the upper and the lower quantile of chi-square with v degrees of freedom. With two degrees of
    freedom it reaches from half of the spread to six times it.
    """
    upper, lower = (2 * float(special.gammaincinv(freedom / 2, (1 + side * confidence) / 2)) for side in (1, -1))
    return spread * math.sqrt(freedom / upper), spread * math.sqrt(freedom / lower)


@lru_cache(maxsize=4096)
def _noncentrality(freedom: float, alpha: float, power: float) -> float:
    """Return the noncentrality at which a two-sided t test has this power."""
    critical = t_quantile(1 - alpha / 2, freedom)

    def excess(noncentrality: float) -> float:
        # P(T < -c) as P(T > c) of the mirrored distribution: scipy's cdf is nan far out in that tail.
        sides = stats.nct.sf(critical, freedom, [noncentrality, -noncentrality])
        return float(sides.sum()) - power

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(optimize.brentq(excess, 0, high, xtol=1e-12))


def _need_power(spread: float, alpha: float, power: float) -> None:
    """Check what a power is computed from.

    Raises:
        InputError: for a negative spread, or a power that is not above alpha or not below 1.
    """
    if not spread >= 0:
        raise InputError(f"spread must be at least 0, but got {spread}; it is a standard deviation.")
    if not 0 < alpha < power < 1:
        raise InputError(f"power must be above alpha and below 1, but got {power} with alpha {alpha}.")
