"""Clusters that are learned at once or hardly, and manifolds of known dimension."""

import math

import pytest
import torch

from tests.vicreg.features import clusters, gaussian, rotation
from vicreg.metrics.clusters import cluster_learnability, intrinsic_dimension


def test_clusters_far_apart_are_learned_and_noise_in_many_dimensions_is_not():
    apart, _ = clusters(400, spread=0.001)
    assert cluster_learnability(gaussian(400, 256)) < 0.4 < 0.8 < cluster_learnability(gaussian(400, 2))
    assert cluster_learnability(apart) > cluster_learnability(clusters(400, spread=3.0)[0])


def test_copies_of_k_points_are_all_learned_but_the_first_of_each():
    points = gaussian(4, 8).repeat(25, 1)  # fewer points than the sqrt(100) clusters
    assert cluster_learnability(points) == pytest.approx((100 - 4) / 99)
    assert cluster_learnability(torch.ones(100, 8)) == 1.0  # one cluster


def test_the_first_image_of_each_cluster_is_never_right():
    """Of two clusters the second to come up cannot be known: n - 2 of n - 1 are right, wherever blocks end."""
    pair = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    for n in (10, 1024, 1025, 2060):
        points = pair[torch.arange(n) % 2]
        assert cluster_learnability(points) == pytest.approx((n - 2) / (n - 1))


def test_learnability_is_the_same_every_time_and_does_not_depend_on_scale():
    features = gaussian(300, 16)
    assert cluster_learnability(features) == cluster_learnability(features.clone())
    assert cluster_learnability(1e3 * features) == pytest.approx(cluster_learnability(features), abs=0.01)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_flat_manifold_has_its_dimension_wherever_it_lies(k):
    torch.manual_seed(0)
    points = torch.rand(2000, k, dtype=torch.float64)
    lying = torch.cat([points, torch.zeros(2000, 20 - k, dtype=torch.float64)], dim=1) @ rotation(20) * 1e3 + 5
    assert intrinsic_dimension(points) == pytest.approx(k, rel=0.12)
    assert intrinsic_dimension(lying) == pytest.approx(intrinsic_dimension(points), rel=1e-6)


def test_the_dimension_is_the_mean_log_ratio_of_the_two_nearest_distances():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]], dtype=torch.float64)  # ratios 3 / 1, 2 / 1, 3 / 2 and 6 / 4
    expected = 4 / math.log(3 * 2 * 1.5 * 1.5)
    assert intrinsic_dimension(points) == pytest.approx(expected, rel=1e-12)


def test_points_without_two_neighbours_apart_have_no_dimension():
    for points in (torch.ones(20, 3), torch.tensor([[0.0], [1.0]]), gaussian(5, 3).repeat(2, 1)):
        assert math.isnan(intrinsic_dimension(points))
