"""How much runs wander and spread: what "more stable" is taken to mean, and what one more run could have come to."""

import math
from collections.abc import Sequence

from scipy import stats

from study.analysis.statistics import CONFIDENCE, LEAST_SEEDS, Interval, mean, standard_deviation
from vicreg.errors import InputError

LAST_SHARE = 0.1  # of the epochs are "the last" ones,
LEAST_EPOCHS = 5  # and at least this many: four differences tell a wander within a factor of two, two do not


def mean_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval:
    """The mean of n values, one a seed, with Student's t interval of it; none below three seeds. `p` is None: a mean
    accuracy is tested against nothing."""
    centre, n = mean(values), len(values)
    if (reach := _reach(values, confidence)) is None:
        return Interval(n=n, mean=centre, low=None, high=None, p=None)
    half = reach / math.sqrt(n)
    return Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=None)


def prediction_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Where one more run at another seed would lie: mean +- t_{n-1} s sqrt(1 + 1/n) of (n,) values (Geisser, Predictive
    Inference, 1993). A published single run is one more run, if it was made in the same way. None below three seeds, or
    where all values are equal."""
    if (reach := _reach(values, confidence)) is None:
        return None
    centre, half = mean(values), reach * math.sqrt(1 + 1 / len(values))
    return centre - half, centre + half


def _reach(values: Sequence[float], confidence: float) -> float | None:
    """t_{n-1} s; None where (n,) values are too few or all equal. Equal is told by the values: the rounding of their mean
    would give equal ones a spread of 1e-17, and an interval of no width that excludes every other number."""
    if len(values) < LEAST_SEEDS or min(values) == max(values):
        return None
    spread = standard_deviation(values)
    assert spread is not None, "three values have a spread"
    return float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * spread


def spread_ratio(values: Sequence[float], reference: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval | None:
    """The ratio of two standard deviations over seeds, (n,) and (m,), with the interval of the F distribution.

    sqrt(s1^2 / s2^2 / F_q) with F of n - 1 and m - 1 degrees of freedom (Snedecor and Cochran, Statistical Methods, 1989,
    Section 6.12). With three seeds each it reaches over a factor of 39: a spread takes many more seeds than a mean does.
    It takes accuracies for normal, and the two for independent: where the same seeds make both alike it is too wide. None
    below three seeds, or where one of the two has no spread.
    """
    if any(len(series) < LEAST_SEEDS or min(series) == max(series) for series in (values, reference)):
        return None
    first, second = standard_deviation(values), standard_deviation(reference)
    assert first is not None and second is not None, "three values have a spread"
    ratio, freedom = first / second, (len(values) - 1, len(reference) - 1)
    low, high = (ratio / math.sqrt(float(stats.f.ppf(q, *freedom))) for q in ((1 + confidence) / 2, (1 - confidence) / 2))
    p = 2 * min(float(stats.f.cdf(ratio**2, *freedom)), float(stats.f.sf(ratio**2, *freedom)))
    return Interval(n=min(len(values), len(reference)), mean=ratio, low=low, high=high, p=min(1.0, p))


def wander(values: Sequence[float]) -> float:
    """How far a series (n,) moves from one entry to the next, in its own unit, trend left aside.

    sqrt(sum (x_{t+1} - x_t)^2 / (2 (n - 1))): the standard deviation of independent noise about a slow trend, which cancels
    in differences (von Neumann, Kent, Bellinson and Hart, Annals of Mathematical Statistics 12, 1941).

    Raises:
        InputError: for fewer than two values.
    """
    if len(values) < 2:
        raise InputError(f"a wander needs at least 2 values, but got {len(values)}.")
    steps = [second - first for first, second in zip(values, values[1:])]
    return math.sqrt(math.fsum(step * step for step in steps) / (2 * len(steps)))


def last_epochs(values: Sequence[float | None]) -> list[float]:
    """The part of a log, one value an epoch, that "over the last epochs" speaks of: its last tenth and at least five, epochs
    without a value left out."""
    count = max(LEAST_EPOCHS, math.ceil(LAST_SHARE * len(values)))
    return [value for value in values[-count:] if value is not None]
