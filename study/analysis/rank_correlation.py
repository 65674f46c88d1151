"""Spearman's and Kendall's rank correlations with intervals."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

from study.analysis.intervals import CONFIDENCE
from study.results.comparisons import Correlation
from vicreg.errors import InputError

LEAST_UNITS = 5  # of a rank correlation's interval: the variance of Kendall's z is 0.437 / (n - 4)


def rank_correlations(
    x: Sequence[float], y: Sequence[float], *, independent: int | None = None
) -> tuple[Correlation, Correlation]:
    """Return Spearman's rho and Kendall's tau-b of n points, with intervals on Fisher's z.

    tanh(atanh(value) +- 1.96 sd). The variance is (1 + rho^2/2) / (n - 3) for Spearman (Bonett and Wright, Psychometrika
    65, 2000) and 0.437 / (n - 4) for Kendall (Fieller, Hartley and Pearson, Biometrika 44, 1957), n the independent units.
    The latter needs 5 units, and with fewer there is no interval of either: it would reach from nearly -1 to nearly 1.
    Fisher's z of +-1 is infinite. There the interval ends at +-1, and its other end is that of the value next to it, two
    neighbours exchanged.

    Args:
        x, y: (n,) each, entry i of both from one run. independent: how many of the points are independent, n by default.
            Runs of one arm at several seeds are one unit and not several: with their number for n the interval would be too
            narrow.

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
    """Return a correlation with its interval; `step` is how much two neighbours exchanged change it."""
    if units < LEAST_UNITS:
        return Correlation(n=n, value=value, low=None, high=None)
    z = math.atanh(min(max(value, step - 1), 1 - step))
    half = float(special.ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
    return Correlation(n=n, value=value, low=min(math.tanh(z - half), value), high=max(math.tanh(z + half), value))
