"""Means and standard deviations of a few seeds, and of paired differences."""

import math
from collections.abc import Sequence

from vicreg.errors import InputError

LEAST_SEEDS = 3  # fewer conclude nothing: the interval of two differences is 9 standard deviations to either side

# Seeds that a verdict on a claim of the source paper takes. The interval of two covers at its stated rate: for their mean it
# reaches 9 standard deviations to either side, for one more run 15.6. A number outside is refuted by it, and what it is too
# wide for is undetermined. One training may take ten hours.
ENOUGH_SEEDS = 2


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of (n,) values, n >= 1."""
    need_values(values, 1, "a mean")
    return math.fsum(values) / len(values)


def standard_deviation(values: Sequence[float]) -> float | None:
    """Return the unbiased-variance standard deviation of (n,) values, one a seed; None for n = 1."""
    need_values(values, 1, "a standard deviation")
    if len(values) == 1:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def pooled_spread(differences: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation that groups of paired differences share, each group (n_i,) about a mean of its own.

    sqrt(sum_i (n_i - 1) s_i^2 / sum_i (n_i - 1)). None where no group has two values. It takes the groups to spread alike.
    """
    freedom = sum(len(group) - 1 for group in differences if group)
    if freedom == 0:
        return None
    squares = [(value - mean(group)) ** 2 for group in differences if group for value in group]
    return math.sqrt(math.fsum(squares) / freedom)


def paired_differences(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Return values - reference, (n,) each, entry i of both from the same seed.

    Raises:
        InputError: if the two are not of one length.
    """
    if len(values) != len(reference):
        raise InputError(f"paired values must be as many as their references, but got {len(values)}, {len(reference)}.")
    return [value - other for value, other in zip(values, reference, strict=True)]


def vary(differences: Sequence[float], values: Sequence[float]) -> bool:
    """Return whether differences differ from one another by more than the rounding of the values they are of."""
    return max(differences) - min(differences) > 1e-12 * max(abs(value) for value in (*values, *differences))


def need_values(values: Sequence[float], count: int, what: str) -> None:
    """Check that there are at least `count` values for what is to be computed.

    Raises:
        InputError: where there are fewer.
    """
    if len(values) < count:
        raise InputError(f"{what} needs at least {count} value, but got {len(values)}.")
