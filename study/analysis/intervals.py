"""Confidence and prediction intervals of means, differences, ratios and shares."""

import math
from collections.abc import Sequence

from scipy import special, stats

from study.analysis.moments import LEAST_SEEDS, mean, paired_differences, standard_deviation, vary
from study.analysis.student import t_quantile, t_share
from study.results.comparisons import Interval
from vicreg.errors import InputError

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float], *, least: int = LEAST_SEEDS) -> Interval:
    """Return the mean of n values, one a seed, with Student's 95 % t interval of it; none below `least` seeds.

    `p` is None: a mean accuracy is tested against nothing.
    """
    centre, n = mean(values), len(values)
    if (reach := _reach(values, least)) is None:
        return Interval(n=n, mean=centre, low=None, high=None, p=None)
    half = reach / math.sqrt(n)
    return Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=None)


def paired_difference(
    values: Sequence[float], reference: Sequence[float], *, confidence: float = CONFIDENCE, least: int = LEAST_SEEDS
) -> Interval:  # fmt: skip
    """Return the mean of values - reference, paired by seed, with Student's t interval.

    With n = 3 seeds the interval is mean +- 4.30 sd / sqrt(3). That is wide, but it covers at its stated rate, where a
    bootstrap over 3 values covers about three times in four. With n < 3 no interval is given unless `least` asks for it:
    over two values its half-width is 9 standard deviations. Nor is there one where all differences are equal. Accuracies
    on a few hundred images come in steps, and three equal steps do not make a difference certain.

    Args:
        values, reference: (n,) each, entry i of both from the same seed, hence the same initial weights and order.
        confidence: of the interval, two-sided.
        least: seeds that an interval takes; below two there is none.

    Raises:
        InputError: if the two are not of one length of at least 1.
    """
    differences = paired_differences(values, reference)
    centre, spread = mean(differences), standard_deviation(differences)
    n = len(differences)
    if n < least or spread is None or not vary(differences, values):
        return Interval(n=n, mean=centre, low=None, high=None, p=None)
    error = spread / math.sqrt(n)
    half = t_quantile((1 + confidence) / 2, n - 1) * error
    p = 2 * t_share(-abs(centre) / error, n - 1)
    return Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=p)


def ratio_interval(values: Sequence[float], reference: Sequence[float], *, least: int = LEAST_SEEDS) -> Interval:
    """Return the geometric mean of values / reference, paired by seed, with Student's 95 % t interval of the log ratio.

    exp(mean +- t sd / sqrt(n)) of ln(values / reference), (n,) each. It is for what is compared by its ratio, as times and
    ranks are. p is against a ratio of 1.

    Raises:
        InputError: if a number is not above 0, or the two are not of one length of at least 1.
    """
    for number in (*values, *reference):
        if not number > 0:
            raise InputError(f"numbers of a ratio must be above 0, but got {number}; compare such numbers by difference.")
    of, against = [math.log(x) for x in values], [math.log(x) for x in reference]
    logs = paired_difference(of, against, least=least)
    low, high = (None if bound is None else math.exp(bound) for bound in (logs.low, logs.high))
    return Interval(n=logs.n, mean=math.exp(logs.mean), low=low, high=high, p=logs.p)


def prediction_interval(values: Sequence[float], *, least: int = LEAST_SEEDS) -> tuple[float, float] | None:
    """Return where one more run at another seed would lie with 95 %, from (n,) values.

    mean +- t_{n-1} s sqrt(1 + 1/n) (Geisser, Predictive Inference, 1993). A published single run is one more run, if it was
    made in the same way. None below `least` seeds, or where all values are equal.
    """
    if (reach := _reach(values, least)) is None:
        return None
    centre, half = mean(values), reach * math.sqrt(1 + 1 / len(values))
    return centre - half, centre + half


def wilson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's interval of a share: the shares for which the normal test of `successes` of n does not reject.

    (k + z^2/2 +- z sqrt(k (n - k) / n + z^2/4)) / (n + z^2) (Wilson, Journal of the American Statistical Association 22,
    1927). It lies within 0 and 1, and has a width at 0 and n successes too: none of 3 is 0 to 0.56.

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


def _reach(values: Sequence[float], least: int) -> float | None:
    """Return t_{n-1} s of (n,) values; None where they are too few or all equal.

    Equality is tested on the values. The rounding of their mean would give equal ones a spread of 1e-17, and an interval of
    no width that excludes every other number.
    """
    spread = standard_deviation(values)
    if len(values) < least or spread is None or min(values) == max(values):
        return None
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread
