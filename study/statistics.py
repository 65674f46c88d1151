"""Statistics of a few seeds: one pure function each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from vicreg.errors import InputError

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of n paired differences, its confidence interval and the two-sided p-value against zero.

    `low`, `high` and `p` are None where n is too small to estimate a spread.
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
    half-width is 9 standard deviations, which says nothing. Equal differences everywhere give an interval of no width.

    Raises:
        InputError: if the two are not of one length of at least 1.
    """
    if len(values) != len(reference):
        raise InputError(f"paired values must be as many as their references, but got {len(values)}, {len(reference)}.")
    differences = [value - other for value, other in zip(values, reference, strict=True)]
    centre, spread = mean(differences), standard_deviation(differences)
    n = len(differences)
    if n < 3 or spread is None:
        return Interval(n=n, mean=centre, low=None, high=None, p=None)
    if spread == 0:
        return Interval(n=n, mean=centre, low=centre, high=centre, p=1.0 if centre == 0 else 0.0)
    error = spread / math.sqrt(n)
    half = float(stats.t.ppf((1 + confidence) / 2, df=n - 1)) * error
    p = float(2 * stats.t.sf(abs(centre) / error, df=n - 1))
    return Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=p)


def _need(values: Sequence[float], count: int, what: str) -> None:
    if len(values) < count:
        raise InputError(f"{what} needs at least {count} value, but got {len(values)}.")
