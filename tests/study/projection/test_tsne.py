"""Maps by t-SNE: the gradient is that of the divergence, and maps are as good as scikit-learn's, and the same every time."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from study.projection.maps import purity
from study.projection.neighbours import nearest, trustworthiness
from study.projection.tsne import EXPLORATION, START, affinities, attracting, gradient, starting_points, tsne

SMALL = {"perplexity": 15, "iterations": EXPLORATION, "seed": 0}


@pytest.fixture(scope="module")
def clusters():
    """Features (N, d) in four clusters that overlap a little, and their classes (N,)."""
    draw = np.random.default_rng(0)
    labels = np.arange(240) % 4
    return 1.2 * draw.standard_normal((4, 16))[labels] + draw.standard_normal((240, 16)), labels


def affinities_of(features, *, perplexity):
    return affinities(*nearest(features, count=attracting(len(features), perplexity=perplexity)), perplexity=perplexity)


def maps_of(features, *, perplexity, **settings):
    near = nearest(features, count=attracting(len(features), perplexity=perplexity))
    return tsne(features, *near, perplexity=perplexity, **settings)


def divergence(points, p):
    """KL(p || q) of points (N, n) as a float64 tensor and dense p (N, N), as the paper has it."""
    weights = 1 / (1 + (points[:, None] - points[None]).square().sum(dim=2))
    weights = weights - torch.diag(torch.diag(weights))
    q = weights / weights.sum()
    among = p > 0
    return (p[among] * (p[among] / q[among]).log()).sum()


# ---- affinities


def test_affinities_are_symmetric_sum_to_one_and_are_of_others(clusters):
    p = affinities_of(clusters[0], perplexity=15).toarray()
    assert np.array_equal(p, p.T) and p.sum() == pytest.approx(1) and not np.diag(p).any() and (p >= 0).all()


def test_affinities_are_the_papers(clusters):
    """Each row by a search of its own for the width of its Gaussian, over the same neighbours."""
    features, _ = clusters
    squared = np.square(features[:, None] - features[None]).sum(axis=2)
    conditional = np.zeros_like(squared)
    for i, row in enumerate(squared):
        near = np.argsort(row)[1:47]  # three times the perplexity, and one
        low, high = 0.0, 100.0
        for _ in range(200):
            precision = (low + high) / 2
            weights = np.exp(-precision * (row[near] - row[near[0]]))
            weights /= weights.sum()
            entropy = -(weights * np.log(weights, where=weights > 0, out=np.zeros_like(weights))).sum()
            low, high = (precision, high) if entropy > np.log(15) else (low, precision)
        conditional[i, near] = weights
    expected = (conditional + conditional.T) / (2 * len(features))
    assert affinities_of(features, perplexity=15).toarray() == pytest.approx(expected, abs=1e-9)


def test_three_points_at_equal_distances_attract_one_another_equally():
    p = affinities_of(np.eye(3), perplexity=1.5).toarray()
    assert p == pytest.approx((1 - np.eye(3)) / 6)


def test_affinities_change_with_neither_scale_nor_place(clusters):
    features, _ = clusters
    p = affinities_of(features, perplexity=15).toarray()
    assert np.array_equal(affinities_of(features * 2.0**-20, perplexity=15).toarray(), p)
    assert affinities_of(features * 3 + 100, perplexity=15).toarray() == pytest.approx(p, abs=1e-9)


def test_more_neighbours_than_attract_change_nothing(clusters):
    features, _ = clusters
    (more,) = tsne(features, *nearest(features, count=100), dimensions=(2,), **SMALL)
    assert attracting(240, perplexity=15) == 46 and np.array_equal(more, maps_of(features, dimensions=(2,), **SMALL)[0])


# ---- the gradient


@pytest.mark.parametrize("spread", [1e-4, 1.0, 30.0])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_gradient_is_the_derivative_of_the_divergence(clusters, dimensions, spread):
    p = affinities_of(clusters[0], perplexity=15)
    points = np.zeros((3, 240), dtype=np.float32)
    points[:dimensions] = spread * np.random.default_rng(1).standard_normal((dimensions, 240))
    exact = torch.tensor(points.T, dtype=torch.float64, requires_grad=True)
    divergence(exact, torch.tensor(p.toarray())).backward()
    found = gradient(points, p)
    largest = exact.grad.abs().max().item()
    assert found.T == pytest.approx(exact.grad.numpy(), abs=1e-5 * largest)
    assert not found[dimensions:].any(), "a map in the plane stays there"


def test_two_points_with_all_affinity_between_them_are_at_rest_and_exaggeration_draws_them_together():
    p = sparse.csr_array(np.array([[0, 0.5], [0.5, 0]]))
    points = np.array([[0, 3], [0, 4], [0, 0]], dtype=np.float32)
    assert gradient(points, p) == pytest.approx(np.zeros((3, 2)), abs=1e-6)  # q = p whatever their distance
    w = 1 / 26
    assert gradient(points, p * 3)[:, 0] == pytest.approx([4 * (1.5 - 0.5) * w * -3, 4 * (1.5 - 0.5) * w * -4, 0])


def test_the_gradient_moves_with_the_points_and_turns_with_them(clusters):
    p = affinities_of(clusters[0], perplexity=15)
    points = np.random.default_rng(2).standard_normal((3, 240)).astype(np.float32)
    slope = gradient(points, p)
    near = float(abs(slope).max()) * 1e-5
    assert slope.sum(axis=1) == pytest.approx(np.zeros(3), abs=100 * near), "forces are mutual"
    assert gradient(points + np.float32(4), p) == pytest.approx(slope, abs=near)
    assert gradient(points[[2, 0, 1]], p) == pytest.approx(slope[[2, 0, 1]], abs=near)


# ---- maps


def test_a_map_starts_from_principal_components_in_the_scale_of_a_start(clusters):
    features, _ = clusters
    start = starting_points(features, seed=0)
    expected = PCA(3).fit_transform(features).T
    assert start[0].std() == pytest.approx(START, rel=0.01)
    for found, component in zip(start, expected):
        assert abs(np.corrcoef(found, component)[0, 1]) > 0.999


@pytest.mark.slow
def test_maps_are_as_good_as_scikit_learns(clusters):
    features, labels = clusters
    settings = {"perplexity": 15, "seed": 0}
    for n, ours in zip((2, 3), maps_of(features, dimensions=(2, 3), iterations=750, **settings)):
        theirs = TSNE(n, perplexity=15, max_iter=750, init="pca", random_state=0, n_jobs=1).fit_transform(features)
        near = [nearest(points, count=10)[0] for points in (ours, theirs)]
        pure = [purity(one, labels) for one in near]
        trusted = trustworthiness(features, near)
        assert ours.shape == (240, n)
        assert pure[0] > pure[1] - 0.01 and trusted[0] > trusted[1] - 0.01
        p = torch.tensor(affinities_of(features, perplexity=15).toarray())
        diverged = [divergence(torch.tensor(points).double(), p).item() for points in (ours, theirs)]
        assert diverged[0] < 1.02 * diverged[1]


def test_the_same_features_give_the_same_points_on_any_number_of_threads_together_or_alone(clusters):
    features, _ = clusters
    with threadpool_limits(limits=1):
        together = maps_of(features, dimensions=(2, 3), **SMALL)
    alone = [maps_of(features, dimensions=(n,), **SMALL)[0] for n in (2, 3)]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


def test_the_unit_of_features_changes_no_bit_of_a_map_and_the_seed_shakes_it(clusters):
    features, _ = clusters
    (first,) = maps_of(features, dimensions=(2,), **SMALL)
    (other,) = maps_of(features * 2.0**-30, dimensions=(2,), **SMALL)
    (shaken,) = maps_of(features, dimensions=(2,), **{**SMALL, "seed": 1})
    assert np.array_equal(first, other) and not np.array_equal(first, shaken)


@pytest.mark.parametrize("features", [np.ones((40, 8)), np.repeat(np.eye(8), 5, axis=0), np.arange(80.0).reshape(40, 2)],
                         ids=["collapsed", "duplicates", "a line in the plane"])  # fmt: skip
def test_features_without_structure_give_a_map_of_finite_points(features):
    for points in maps_of(features, dimensions=(2, 3), perplexity=5, iterations=EXPLORATION, seed=0):
        assert np.isfinite(points).all() and len(np.unique(points, axis=0)) == 40, "points that coincide part"
