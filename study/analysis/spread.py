"""How much runs spread over seeds, and wander from epoch to epoch."""

import math
from collections.abc import Sequence

from scipy import stats

from study.analysis.intervals import CONFIDENCE
from study.analysis.moments import LEAST_SEEDS, standard_deviation
from study.results.comparisons import Interval
from vicreg.errors import InputError

LAST_SHARE = 0.1  # of the epochs are "the last" ones,
LEAST_EPOCHS = 5  # and at least this many: four differences tell a wander within a factor of two, two do not


def spread_ratio(values: Sequence[float], reference: Sequence[float]) -> Interval | None:
    """Return the ratio of two standard deviations over seeds, (n,) and (m,), with the 95 % interval of the F distribution.

    sqrt(s1^2 / s2^2 / F_q) with F of n - 1 and m - 1 degrees of freedom (Snedecor and Cochran, Statistical Methods, 1989,
    Section 6.12). With three seeds each it reaches over a factor of 39: a spread takes many more seeds than a mean does. It
    takes accuracies for normal, and the two for independent: where the same seeds make both alike it is too wide. None
    below three seeds, or where one of the two has no spread.
    """
    if any(len(series) < LEAST_SEEDS or min(series) == max(series) for series in (values, reference)):
        return None
    first, second = standard_deviation(values), standard_deviation(reference)
    assert first is not None and second is not None, "three values have a spread"
    ratio, freedom = first / second, (len(values) - 1, len(reference) - 1)
    low, high = (ratio / math.sqrt(float(stats.f.ppf(q, *freedom))) for q in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2))
    p = 2 * min(float(stats.f.cdf(ratio**2, *freedom)), float(stats.f.sf(ratio**2, *freedom)))
    return Interval(n=min(len(values), len(reference)), mean=ratio, low=low, high=high, p=min(1.0, p))


def wander(values: Sequence[float]) -> float:
    """Return how far a series (n,) moves from one entry to the next, in its own unit, trend left aside.

    sqrt(sum (x_{t+1} - x_t)^2 / (2 (n - 1))) is the standard deviation of independent noise about a slow trend, which
    cancels in differences. The source is von Neumann et al., Annals of Mathematical Statistics 12, 1941.

    Raises:
        InputError: for fewer than two values.
    """
    if len(values) < 2:
        raise InputError(f"a wander needs at least 2 values, but got {len(values)}.")
    steps = [second - first for first, second in zip(values, values[1:])]
    return math.sqrt(math.fsum(step * step for step in steps) / (2 * len(steps)))


def last_epochs(values: Sequence[float | None]) -> list[float]:
    """Return the last epochs of a log, one value an epoch: its last tenth and at least five.

    Epochs without a value are left out.
    """
    count = max(LEAST_EPOCHS, math.ceil(LAST_SHARE * len(values)))
    return [value for value in values[-count:] if value is not None]
