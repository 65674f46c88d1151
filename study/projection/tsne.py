"""t-SNE in two and three dimensions with the exact gradient.

Sources: van der Maaten & Hinton 2008 (the method); van der Maaten 2014 (only 3 x perplexity neighbours attract); Belkina
et al. 2019 (the learning rate); Kobak & Berens 2019 (a start from principal components). Phases, momenta and gains are
scikit-learn's, whose Barnes-Hut trees took 6 times as long in two dimensions and 10 times in three for 10,000 points
(`benchmarks/tsne.py`). The exact sum takes N^2 operations an iteration, but in loops that compile to vector instructions;
for many more points an approximation would be faster.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

EXPLORATION = 250  # iterations of early exaggeration
EXAGGERATION = 12.0  # of attraction meanwhile
START = 1e-4  # standard deviation of the first coordinate at the start
JITTER = 0.01  # of it, as openTSNE has it: points that coincide would never part
LEAST_GAIN = 0.01
LEAST_RATE = 50.0
# Sums may be taken in another order than they are written (in an order fixed at compilation), or nothing is vectorised.
REORDERED = {"reassoc", "contract", "arcp", "nsz"}


def tsne(
    features: np.ndarray, near: np.ndarray, squared: np.ndarray, *,
    dimensions: Sequence[int], perplexity: float, iterations: int, seed: int,
) -> list[np.ndarray]:  # fmt: skip
    """Return a map (N, n), float32, of features (N, d) for each n of `dimensions`.

    The same features give the same points bit for bit, however many threads there are: each map is made by one.

    Args:
        features: (N, d).
        near: (N, k), the nearest others of each point, of which the first `attracting` are used.
        squared: (N, k), their squared distances.
        dimensions: 1 to 3 each.
        perplexity: below N.
        iterations: at least `EXPLORATION`.
        seed: of the start.
    """
    assert 0 < perplexity < len(features) and iterations >= EXPLORATION, (perplexity, len(features), iterations)
    k = attracting(len(features), perplexity=perplexity)
    attraction = affinities(near[:, :k], squared[:, :k], perplexity=perplexity)
    start = starting_points(features, seed=seed)

    def one(n: int) -> np.ndarray:
        points = start.copy()
        points[n:] = 0  # where no force has a part along an axis, no point ever leaves zero on it
        return np.ascontiguousarray(_descend(points, attraction, iterations=iterations)[:n].T)

    with ThreadPoolExecutor(len(dimensions)) as pool:
        return list(pool.map(one, dimensions))


def attracting(n: int, *, perplexity: float) -> int:
    """Return how many of `n` points attract each of them."""
    return min(n - 1, int(3 * perplexity + 1))


def affinities(near: np.ndarray, squared: np.ndarray, *, perplexity: float) -> sparse.csr_array:
    """Return the symmetric affinities p (N, N), which sum to 1, of points with nearest others `near` (N, k).

    They are the mean of both ways of the conditional ones. These are Gaussian in the distance, given as `squared` (N, k), of
    a width that makes their entropy log(perplexity).
    """
    n = len(near)
    conditional = _conditional(squared, perplexity=perplexity)
    pointers = np.arange(0, near.size + 1, near.shape[1])
    one_way = sparse.csr_array((conditional.ravel(), near.ravel(), pointers), shape=(n, n))
    both = (one_way + one_way.T).tocsr() / (2 * n)
    both.sort_indices()
    return both


def _conditional(squared: np.ndarray, *, perplexity: float) -> np.ndarray:
    """Return probabilities (N, k) of squared distances (N, k), by bisection of each row's precision; rows sum to 1."""
    mean = squared.mean(axis=1, keepdims=True)
    scaled = (squared - squared.min(axis=1, keepdims=True)) / np.where(mean > 0, mean, 1)
    low, high = np.full_like(mean, -40), np.full_like(mean, 40)  # log2 of the precision, where the mean distance is 1
    for _ in range(60):
        middle = (low + high) / 2
        weights = np.exp(-scaled * 2**middle)
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + 2**middle * (scaled * weights).sum(axis=1, keepdims=True) / total
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return weights / total


def starting_points(features: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the first principal components (3, N), float32, of features (N, d), scaled down and with a little noise."""
    n = len(features)
    found = np.zeros((3, n))
    kept = min(3, *features.shape)
    centred = features - features.mean(axis=0)
    if centred.any():
        with threadpool_limits(limits=1, user_api="blas"):
            components = PCA(kept, svd_solver="randomized", random_state=seed)
            found[:kept] = components.fit_transform(centred / abs(centred).max()).T
        found /= found[0].std()
    found += JITTER * np.random.default_rng(seed).standard_normal((3, n))
    return (START * found).astype(np.float32)


def _descend(points: np.ndarray, attraction: sparse.csr_array, *, iterations: int) -> np.ndarray:
    """Descend from points (3, N), in place, with momentum and gains; return them."""
    rate = np.float32(max(LEAST_RATE, points.shape[1] / EXAGGERATION / 4))
    for steps, exaggeration, momentum in ((EXPLORATION, EXAGGERATION, 0.5), (iterations - EXPLORATION, 1.0, 0.8)):
        exaggerated = attraction * exaggeration
        update, gains = np.zeros_like(points), np.ones_like(points)
        for _ in range(steps):
            slope = gradient(points, exaggerated)
            against = update * slope < 0
            gains = np.maximum(np.where(against, gains + np.float32(0.2), gains * np.float32(0.8)), np.float32(LEAST_GAIN))
            update = np.float32(momentum) * update - rate * gains * slope
            points += update
    return points


def gradient(points: np.ndarray, attraction: sparse.csr_array) -> np.ndarray:
    """Return the gradient (3, N) of the divergence KL(p || q) at points (3, N), float32, where p is `attraction` (N, N).

    It is 4 sum_j (p_ij - q_ij) w_ij (y_i - y_j), where w_ij = 1 / (1 + |y_i - y_j|^2) and q_ij = w_ij / sum_{k != l} w_kl
    (van der Maaten & Hinton 2008, Eq. 5).
    """
    pull, push, weights = np.empty_like(points), np.empty_like(points), np.empty_like(points[0])
    values = attraction.data.astype(np.float32)
    _forces(points, values, attraction.indptr, attraction.indices, pull, push, weights)
    total = weights.sum(dtype=np.float64) - points.shape[1]  # without each point's with itself
    return 4 * (pull - push / np.float32(total))


@numba.njit(nogil=True, error_model="numpy", fastmath=REORDERED)
def _forces(
    points: np.ndarray, values: np.ndarray, pointers: np.ndarray, neighbours: np.ndarray, pull: np.ndarray,
    push: np.ndarray, weights: np.ndarray,
) -> None:  # fmt: skip
    """Fill `pull` and `push` (3, N) and `weights` (N,) at points y (3, N).

    They become sum_j p_ij w_ij (y_i - y_j), sum_j w_ij^2 (y_i - y_j) and sum_j w_ij. `values`, `pointers` and `neighbours`
    are p as a CSR matrix.
    """
    one, zero = np.float32(1), np.float32(0)
    xs, ys, zs = points[0], points[1], points[2]
    for i in range(points.shape[1]):
        x, y, z = xs[i], ys[i], zs[i]
        total, push_x, push_y, push_z = zero, zero, zero, zero
        for j in range(points.shape[1]):  # nearly all of the time is spent in here
            dx, dy, dz = x - xs[j], y - ys[j], z - zs[j]
            w = one / (one + dx * dx + dy * dy + dz * dz)
            total += w
            push_x += w * w * dx
            push_y += w * w * dy
            push_z += w * w * dz
        pull_x, pull_y, pull_z = zero, zero, zero
        for place in range(pointers[i], pointers[i + 1]):
            j = neighbours[place]
            dx, dy, dz = x - xs[j], y - ys[j], z - zs[j]
            w = values[place] / (one + dx * dx + dy * dy + dz * dz)
            pull_x += w * dx
            pull_y += w * dy
            pull_z += w * dz
        weights[i] = total
        push[0, i], push[1, i], push[2, i] = push_x, push_y, push_z
        pull[0, i], pull[1, i], pull[2, i] = pull_x, pull_y, pull_z
