"""Measure whether features form clusters, and the dimension of the manifold that they lie on.

They are the two parts of CLID (arXiv 2206.01251). CLID adds them after scaling each over the networks that are compared, so
that it is no measure of one network; here each stands for itself.
"""

import math

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from vicreg.metrics.matrices import checked, unit_rows

_ROWS_AT_ONCE = 1024  # of the N x N distances
_DECIMALS = 9
_SEED = 0  # of the centres that K-means starts from, and of the order in which images are learned


def cluster_learnability(features: Tensor) -> float:
    """Return how fast a nearest neighbour learns the clusters of features `(N, d)`, in [0, 1].

    K-means sorts the L2-normalised rows into sqrt(N) clusters. Each image, in a fixed random order, gets the cluster of the
    nearest image before it; the result is the share that is right. It is near 1 where clusters are far apart. Rows of one
    direction are one cluster, which is learned at once, so it says nothing of a complete collapse.

    K-means runs on one thread, because the order of sums would depend on the number of threads. O(N^2 d) time.

    Source: arXiv 2206.01251, Section 3.
    """
    from sklearn.cluster import KMeans  # takes a second to import

    rows = unit_rows(checked(features)).cpu().round(decimals=_DECIMALS)  # so that copies are equal whatever their rounding
    with threadpool_limits(limits=1):
        clusters = KMeans(n_clusters=_distinct(rows), n_init=1, random_state=_SEED).fit_predict(rows.numpy())
    order = np.random.default_rng(_SEED).permutation(len(rows))
    rows, labels = rows[order], torch.from_numpy(clusters[order])
    right = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, len(rows))
        similarity = rows[start:stop] @ rows[:stop].T
        seen = torch.arange(stop) < torch.arange(start, stop)[:, None]
        nearest = similarity.masked_fill(~seen, -math.inf).argmax(dim=1)
        matches = labels[nearest] == labels[start:stop]
        right += int(matches[1 if start == 0 else 0 :].sum())  # the very first image has none before it
    return right / (len(rows) - 1)


def intrinsic_dimension(features: Tensor) -> float:
    """Return the dimension of the manifold that features `(N, d)` lie on, by the two nearest neighbours of each.

    It is the maximum-likelihood estimate n / sum_i log(r_i2 / r_i1), with r_i1 and r_i2 the distances of row i to its two
    nearest others. Rows that have a copy are left out; NaN where that leaves none, or all distances are equal. It does not
    depend on scale, shift and rotation. O(N^2 d) time.

    Source: Facco et al. 2017, Estimating the intrinsic dimension of datasets by a minimal neighborhood information.
    """
    rows = checked(features)
    rows = rows - rows.mean(dim=0)
    squares = rows.square().sum(dim=1)
    logs = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = rows[start : start + _ROWS_AT_ONCE]
        distances = (squares[start : start + len(block), None] + squares - 2 * block @ rows.T).clamp(min=0)
        distances[torch.arange(len(block)), torch.arange(start, start + len(block))] = math.inf
        nearest = distances.topk(2, largest=False).values if len(rows) > 2 else distances[:, :0]
        logs.append(_log_ratios(nearest, squares.max()))
    ratios = torch.cat(logs)
    total = ratios.sum().item()
    return len(ratios) / total if total > 0 else math.nan


def _log_ratios(squared: Tensor, largest: Tensor) -> Tensor:
    """Return log(r2 / r1) of rows (n, 2) of squared distances, of those whose first is more than rounding."""
    if squared.shape[1] < 2:
        return squared.new_zeros(0)
    apart = squared[squared[:, 0] > 1e-12 * largest]
    return (apart[:, 1] / apart[:, 0]).log() / 2


def _distinct(rows: Tensor) -> int:
    """Return sqrt(N), or how many different rows there are if that is less: K-means needs a row for each cluster."""
    return min(math.isqrt(len(rows)), len(torch.unique(rows, dim=0)))
