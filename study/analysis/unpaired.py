"""The difference of two accuracies measured on different test images."""

import math
from collections.abc import Sequence

from study.analysis.equivalence import Equivalence, one_sided_tests
from study.analysis.moments import LEAST_SEEDS, mean, standard_deviation
from study.analysis.multiple_testing import ALPHA
from study.analysis.sampling_error import sampling_error
from study.analysis.student import t_quantile, t_share
from study.results.comparisons import Interval


def unpaired_difference(
    values: Sequence[float], others: Sequence[float], *, images: tuple[int, int], margin: float
) -> tuple[Interval, Equivalence]:
    """Return mean(values) - mean(others) with its interval, and whether it is within the margin.

    Welch's t interval (Biometrika 34, 1947) with the sampling error of both test sets added, which seeds do not show and
    pairing cannot remove. The variance is the sum over the two sides of s^2 / n + e^2, of n seeds and with the error e of
    `sampling_error`. Its degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946), those of a test set N - 1.
    Equivalence is by two one-sided tests on the same error. Nothing is concluded with fewer than 3 seeds on either side.

    Args:
        values, others: accuracies (n,), shares from 0 to 1, a seed each.
        images: number of test images of each.
        margin: the smallest difference that would matter, a share.
    """
    centre, n = mean(values) - mean(others), min(len(values), len(others))
    nothing = Interval(n=n, mean=centre, low=None, high=None, p=None), Equivalence(n=n, mean=centre, margin=margin)
    if n < LEAST_SEEDS or min(images) < 2:
        return nothing
    parts = [part for side, count in zip((values, others), images, strict=True) for part in _variances(side, count)]
    variance = math.fsum(part for part, _ in parts)
    freedom = variance**2 / math.fsum(part**2 / free for part, free in parts)
    error = math.sqrt(variance)
    half = t_quantile(1 - ALPHA / 2, freedom) * error
    p = 2 * t_share(-abs(centre) / error, freedom)
    interval = Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=p)
    return interval, one_sided_tests(centre, error, n=n, freedom=freedom, margin=margin, alpha=ALPHA)


def _variances(values: Sequence[float], images: int) -> list[tuple[float, int]]:
    """Return the variance of a mean from its seeds and from its test images, each with its degrees of freedom."""
    share, spread = mean(values), standard_deviation(values) or 0.0
    return [(spread**2 / len(values), len(values) - 1), (sampling_error(share, images) ** 2, images - 1)]
