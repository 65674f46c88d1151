"""The standard error of accuracies from the choice of test images."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from study.analysis.intervals import CONFIDENCE
from vicreg.errors import InputError


def sampling_error(share: float, n: int) -> float:
    """Return the standard error of an accuracy, a share measured on n test images, from their sampling alone.

    sqrt(p (1 - p) / (n + z^2)) with p = (share n + z^2/2) / (n + z^2) and z = 1.96 (Agresti and Coull, The American
    Statistician 52, 1998). The plain sqrt(share (1 - share) / n) is 0 at accuracies of 0 and 1, as if another 360 images
    could not hold an error; this one is 0.0038 there. It is used everywhere: used at 0 and 1 alone, 360 right of 360 would
    have a larger error than 359. At 0.5 the two differ by z^2 / 2n, 0.5 % of the error for n = 360.

    Raises:
        InputError: for n < 1, or a share outside 0 to 1.
    """
    if n < 1:
        raise InputError(f"n must be at least 1 for an accuracy, but got {n}.")
    if not 0 <= share <= 1:
        raise InputError(f"an accuracy must be between 0 and 1, but got {share}.")
    squared = float(special.ndtri((1 + CONFIDENCE) / 2)) ** 2
    centre = (share * n + squared / 2) / (n + squared)
    return math.sqrt(centre * (1 - centre) / (n + squared))


def paired_sampling_error(correct: ArrayLike, reference: ArrayLike) -> float | None:
    """Return the standard error of a difference of two accuracies from the sampling of test images alone.

    sd(D) / sqrt(images) with D_j the difference of image j averaged over seeds. Images that both get right cancel, so it is
    smaller than two errors of `sampling_error` added. With one seed it is McNemar's (Miller, Adding error bars to evals,
    arXiv 2411.00640). Seeds are taken as given: their spread is the t interval's matter. 0 where no two images differ; None
    with fewer than two images.

    Args:
        correct, reference: (seeds, images) each, 1 where an image was classified rightly; column j of both is one image.

    Raises:
        InputError: if the two are not of one shape (seeds, images) with at least one seed.
    """
    own, other = np.asarray(correct, float), np.asarray(reference, float)
    if own.shape != other.shape or own.ndim != 2 or len(own) == 0:
        raise InputError(f"both must be of one shape (seeds, images), but got {own.shape} and {other.shape}.")
    if own.shape[1] < 2:
        return None
    differences = (own - other).mean(axis=0)  # (images,)
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))
