"""Synthetic studies whose truth is known, and intervals to compare with."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import stats

SHARED, OWN = 1.0, 0.5  # standard deviations: of what a seed does in all arms, and of a run besides
SPREAD = OWN * math.sqrt(2)  # of a paired difference
RESAMPLES = 1000

Values = NDArray[np.float64]


def study_values(rng: Generator, studies: int, n: int, effects: Sequence[float]) -> tuple[Values, Values]:
    """Return arms (studies, arms, n) and their baseline (studies, n)."""
    by_seed = rng.normal(0, SHARED, (studies, 1, n))
    arms = by_seed + np.asarray(effects)[:, None] + rng.normal(0, OWN, (studies, len(effects), n))
    return arms, by_seed[:, 0] + rng.normal(0, OWN, (studies, n))


def correlated(rng: Generator, shape: tuple[int, int], pearson: float) -> Values:
    """Return two arrays of a bivariate normal distribution, (2, *shape)."""
    x, other = rng.normal(size=(2, *shape))
    return np.stack([x, pearson * x + math.sqrt(1 - pearson**2) * other])


def bootstrap(rng: Generator, differences: Values) -> tuple[Values, Values]:
    """Return 95 % percentile intervals of the mean over the last axis, (..., n), from 1000 resamples each."""
    n = differences.shape[-1]
    flat = differences.reshape(-1, n)
    low, high = np.empty((2, len(flat)))
    for start in range(0, len(flat), 1000):
        chunk = flat[start : start + 1000]
        counts = rng.multinomial(n, [1 / n] * n, size=RESAMPLES) / n  # how often each seed is drawn, (resamples, n)
        low[start : start + 1000], high[start : start + 1000] = np.quantile(chunk @ counts.T, (0.025, 0.975), axis=1)
    return low.reshape(differences.shape[:-1]), high.reshape(differences.shape[:-1])


def unpaired(arms: Values, baselines: Values) -> tuple[Values, Values]:
    """Return 95 % Welch intervals of arms (studies, arms, n) against baselines (studies, n), as if seeds were not shared."""
    interval = stats.ttest_ind(arms, baselines[:, None], axis=-1, equal_var=False).confidence_interval(0.95)
    return interval.low, interval.high
