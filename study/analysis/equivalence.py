"""Tests whether two arms differ by less than a margin."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.intervals import paired_difference
from study.analysis.moderated import ModeratedDifference
from study.analysis.moments import paired_differences, standard_deviation
from study.analysis.student import t_quantile, t_share
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """Whether two arms differ by less than a margin: two one-sided t tests of n differences.

    `low` and `high` are the 1 - 2 alpha interval (90 %), `p` the larger of the two p-values. `largest` is the smallest
    margin at which the arms would be equivalent: "no difference larger than `largest`". All but n, mean and margin are None
    with fewer than 3 seeds.
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
    """Return two one-sided t tests of paired differences.

    The source is Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.

    Equivalent where the mean difference is above -margin and below margin, each in a one-sided t test at alpha. That is so
    just where the 1 - 2 alpha interval lies within +-margin. The margin is to be chosen before the numbers are seen.

    Raises:
        InputError: for a margin that is not above 0, an alpha that is not between 0 and 0.5, or unequal lengths.
    """
    if not margin > 0:
        raise InputError(f"margin must be above 0, but got {margin}; it is the smallest difference that would matter.")
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha must be between 0 and 0.5, but got {alpha}.")
    interval = paired_difference(values, reference, confidence=1 - 2 * alpha)
    n, centre = interval.n, interval.mean
    if interval.low is None:
        return Equivalence(n=n, mean=centre, margin=margin)
    spread = standard_deviation(paired_differences(values, reference))
    assert spread is not None, "an interval has a spread"
    return one_sided_tests(centre, spread / math.sqrt(n), n=n, freedom=n - 1, margin=margin, alpha=alpha)


def one_sided_tests(
    centre: float, error: float, *, n: int, freedom: float, margin: float, alpha: float = 0.05
) -> Equivalence:
    """Return two one-sided t tests of a mean difference with this standard error and these degrees of freedom."""
    room = margin - abs(centre)  # to the nearer end of the margin, whose test has the larger p
    p = t_share(-room / error, freedom)
    half = t_quantile(1 - alpha, freedom) * error
    return Equivalence(
        n=n, mean=centre, margin=margin, low=centre - half, high=centre + half, p=p, equivalent=p <= alpha,
        largest=abs(centre) + half,
    )  # fmt: skip


def is_within(difference: ModeratedDifference, *, margin: float, alpha: float) -> bool:
    """Return whether two one-sided tests place a difference within the margin, on its own, moderated standard error."""
    if difference.sd is None or difference.df is None:
        return False
    error = difference.sd / math.sqrt(difference.n)
    tests = one_sided_tests(difference.mean, error, n=difference.n, freedom=difference.df, margin=margin, alpha=alpha)
    return bool(tests.equivalent)
