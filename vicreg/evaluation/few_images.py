"""Bounds of collapse metrics and of accuracy that know the number of images.

Few images are redundant by themselves: N of them span N - 1 directions, so isotropic features measure a correlation of
1 / sqrt(N - 1). A bound that ignores N would call that a collapse.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

# How often, at most, a bound may be passed by chance alone.
FALSE_ALARM = 0.01
# Features' spread, correlation and rank are judged from this many images. Half of the rank that 8 images can have is 4,
# the threshold of RankMe, and isotropic features of 8 images pass no bound (test_collapse_diagnosis.py). Fewer say little
# of spread however many dimensions there are: these are correlated, and two images may just be alike.
LEAST_IMAGES = 8
# Spread also takes this many deviations, d (N - 1). Of 8 normal numbers, less than 1 in 10,000 sets has a mean size
# below 0.1.
_LEAST_DEVIATIONS = 8
# A tail of a tenth of `FALSE_ALARM`: several bounds are tested, and the distribution below is approximate for small d.
_TAIL = FALSE_ALARM / 10
_HIGHEST_CORRELATION = 0.95  # dimensions that are copies of each other must pass any bound
# Of the way from chance to a perfect accuracy. With ten classes and N = 150 it is four standard deviations of a guess,
# sqrt(0.1 * 0.9 / 150) = 0.024.
CHANCE_MARGIN = 0.1


def images_for_spread(dimensions: int) -> int:
    """Return how many images are enough to tell whether features of `dimensions` d vary."""
    return max(LEAST_IMAGES, 1 + math.ceil(_LEAST_DEVIATIONS / dimensions))


def correlation_bound(images: int, dimensions: int, *, correlation: float) -> float:
    """Return the root-mean-square correlation that features (N, d) measure if their true one is `correlation`.

    It is sqrt(rho^2 + (1 - rho^2) / (N - 1)), Ezekiel's adjustment of R^2 turned round. Where isotropic features of few
    dimensions can measure more, it is what they exceed in one of a thousand samples. They are d random unit vectors in
    p = N - 1 directions. The mean of their squared cosines is 1/p + (1 - 1/p) (chi2(df) / df - 1) / (d - 1) for many d,
    with df = (p - 1)(p + 2) / 2; for d = 2 it is a single cosine, whose square is Beta(1/2, (p - 1) / 2).

    Args:
        images: N, at least 3.
        dimensions: d.
        correlation: rho, in [0, 1].

    Sources: Ezekiel 1930; Bingham 1974, the test of uniformity on a sphere.
    """
    p = images - 1
    expected = correlation**2 + (1 - correlation**2) / p
    if dimensions == 2:
        isotropic = special.betainccinv(0.5, (p - 1) / 2, _TAIL)
    else:
        df = (p - 1) * (p + 2) / 2
        isotropic = 1 / p + (1 - 1 / p) * (special.chdtri(df, _TAIL) / df - 1) / max(dimensions - 1, 1)
    return math.sqrt(min(max(expected, isotropic), max(expected, _HIGHEST_CORRELATION**2)))


def rank_bound(images: int, dimensions: int, *, rank: float) -> float:
    """Return the RankMe below which features (N, d) have few directions: `rank`, or half of min(N, d) if that is less."""
    return min(rank, min(images, dimensions) / 2)


def accuracy_bound(chance: float) -> float:
    """Return the accuracy below which a classifier is near chance, the share of the largest class.

    It is `CHANCE_MARGIN` of the way from chance to 1, or twice the chance if that is less: of a hundred classes 9 %
    would be far from a guess. It lies above chance and below 1.
    """
    return chance + min(CHANCE_MARGIN * (1 - chance), chance)


def guessed_by_chance(accuracy: float, class_counts: Sequence[int]) -> float:
    """Return how likely a guess that sees no image is at least as accurate, the best of such guesses.

    A guess answers class c with probability q_c, so its hits are a sum of Binomial(n_c, q_c). Guesses are tried from one by
    the classes' shares to one that nearly always answers the largest.

    Args:
        accuracy: of N images.
        class_counts: n_c, how many images of each class there are.
    """
    counts = np.array([count for count in class_counts if count > 0])
    hits = round(accuracy * counts.sum())
    tails = []
    for sharpness in (1.0, 1.25, 1.5, 2.0, 3.0):
        q = (counts / counts.sum()) ** sharpness
        found = np.ones(1)
        for n, share in zip(counts, q / q.sum(), strict=True):
            k = np.arange(n + 1)
            log = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
            found = np.convolve(found, np.exp(log + special.xlogy(k, share) + special.xlog1py(n - k, -share)))
        tails.append(float(found[hits:].sum()))
    return max(tails)


def images_wanted(accuracy: float, *, chance: float, images: int) -> int | None:
    """Return how many images an accuracy needs to be judged, or None if `images` are enough.

    An accuracy above the bound must be one that a guess has at most once in a hundred. One below it must be as rare for
    a classifier half-way between the bound and 1.
    """
    if _is_judged(accuracy, chance, np.array([images]))[0]:
        return None
    true, other = (chance, accuracy) if accuracy >= accuracy_bound(chance) else _able_and_bound(chance)
    # The normal approximation, twice over, is certainly enough. Enough is the number from which it is so for good.
    most = 50 + math.ceil(2 * special.ndtri(1 - FALSE_ALARM) ** 2 * true * (1 - true) / (true - other) ** 2)
    candidates = images + np.arange(1, most + 1)
    last_too_few = np.flatnonzero(~_is_judged(accuracy, chance, candidates)).max(initial=-1)
    return int(candidates[min(last_too_few + 1, most - 1)])


def _is_judged(accuracy: float, chance: float, images: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether so many images (n,) are enough to judge an accuracy, each."""
    able, bound = _able_and_bound(chance)
    if accuracy >= bound:
        hits = np.floor(accuracy * images + 1e-6)
        by_chance = np.where(hits > 0, special.bdtrc(np.maximum(hits - 1, 0), images, chance), 1.0)
        return np.asarray(by_chance <= FALSE_ALARM)
    return np.asarray(special.bdtr(np.maximum(np.ceil(bound * images) - 1, 0), images, able) <= FALSE_ALARM)


def _able_and_bound(chance: float) -> tuple[float, float]:
    """Return the accuracy half-way between the bound and 1, and the bound."""
    bound = accuracy_bound(chance)
    return (1 + bound) / 2, bound
