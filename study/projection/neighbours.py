"""Find exact nearest neighbours, and measure how a map keeps them.

Distances are made a block of rows at a time, each block by one thread. Blocks are the same whatever the number of threads,
so results are, too.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

Block = TypeVar("Block")

ROWS = 256  # 20 MB of distances a block at 10,000 points


def nearest(points: np.ndarray, *, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` nearest others of each of (N, d) points, nearest first.

    Returns:
        Their indices and squared Euclidean distances, both (N, count).
    """
    assert 0 < count < len(points), (count, len(points))

    def nearest_of_block(_: int, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near = np.sort(np.argpartition(squared, count - 1, axis=1)[:, :count], axis=1)  # of equal ones the first is nearer
        order = np.argsort(np.take_along_axis(squared, near, axis=1), axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        return near, np.take_along_axis(squared, near, axis=1)

    indices, squared = zip(*_over_blocks(points, nearest_of_block), strict=True)
    return np.concatenate(indices), np.concatenate(squared)


def trustworthiness(features: np.ndarray, neighbours: Sequence[np.ndarray]) -> list[float]:
    """Return how far each of several maps of features (N, d) can be believed, given its nearest others (N, k).

    It is 1 - 2 / (N k (2N - 3k - 1)) times the sum of max(0, r - k) over all neighbours on the map. r is the rank of the
    neighbour among the features. It is 1 where every neighbour on the map is one among the features too.
    Needs k < N / 2. Source: Venna & Kaski 2001, "Neighborhood preservation in nonlinear projection methods".
    """
    assert all(2 * near.shape[1] < len(features) for near in neighbours)

    def excess_of_block(start: int, squared: np.ndarray) -> list[int]:
        ordered = np.sort(squared, axis=1)
        excess = []
        for near in neighbours:
            near = near[start : start + len(squared)]
            distances = np.take_along_axis(squared, near, axis=1)
            ranks = 1 + np.array([np.searchsorted(*row) for row in zip(ordered, distances, strict=True)])
            excess.append(int(np.maximum(0, ranks - near.shape[1]).sum()))
        return excess

    n = len(features)
    sums = np.sum(_over_blocks(features, excess_of_block), axis=0)
    shapes = [near.shape[1] for near in neighbours]
    return [1 - 2 / (n * k * (2 * n - 3 * k - 1)) * float(total) for k, total in zip(shapes, sums, strict=True)]


def _over_blocks(points: np.ndarray, function: Callable[[int, np.ndarray], Block]) -> list[Block]:
    """Return what `function` makes of each block of rows, in order.

    It is given the first row's number and the squared distances (`ROWS`, N); a point is infinitely far from itself.
    """
    points = np.asarray(points, dtype=np.float64)
    points = points - points.mean(axis=0)  # what all share would cost digits below
    norms = np.einsum("nd,nd->n", points, points)

    def of_block(start: int) -> Block:
        rows = points[start : start + ROWS]
        squared = rows @ points.T
        squared *= -2
        squared += norms
        squared += norms[start : start + ROWS, None]
        np.maximum(squared, 0, out=squared)
        squared[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf
        return function(start, squared)

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(of_block, range(0, len(points), ROWS)))
