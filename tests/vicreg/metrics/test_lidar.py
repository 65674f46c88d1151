"""LiDAR of views of known scatter within images and between them."""

import math

import pytest
import torch

from tests.vicreg.features import gaussian, orthonormal, rotation
from vicreg.errors import InputError
from vicreg.metrics.lidar import lidar


def views_of(means, within):
    """Features (n, q, d): each image's mean plus the same q deviations, whose mean is 0."""
    return means[:, None] + (within - within.mean(dim=0))


def lda_by_definition(views, delta=1e-4):
    """LiDAR by its d x d matrix, as the paper writes it."""
    n, q, d = views.shape
    means = views.mean(dim=1)
    between = torch.cov(means.T)
    deviations = (views - means[:, None]).reshape(-1, d)
    within = deviations.T @ deviations / (n * (q - 1)) + delta * torch.eye(d, dtype=views.dtype)
    values, vectors = torch.linalg.eigh(within)
    root = vectors @ torch.diag(values**-0.5) @ vectors.T
    eigenvalues = torch.linalg.eigvalsh(root @ between @ root).clamp(min=0)
    shares = eigenvalues[eigenvalues > 1e-14 * eigenvalues.max()] / eigenvalues.sum()
    return torch.exp(-(shares * shares.log()).sum()).item()


@pytest.mark.parametrize(("n", "q", "d"), [(30, 4, 8), (8, 4, 30), (12, 2, 12)])
def test_lidar_is_the_effective_rank_of_the_papers_matrix(n, q, d):
    views = gaussian(n, d)[:, None] + 0.5 * gaussian(n * q, d, seed=1).reshape(n, q, d) @ rotation(d)
    assert lidar(views) == pytest.approx(lda_by_definition(views), rel=1e-9)
    assert 1 <= lidar(views) <= min(n - 1, d)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_images_that_differ_alike_in_k_directions_have_a_lidar_of_k(k):
    within = orthonormal(20, 8)
    means = torch.cat([orthonormal(40, k), torch.zeros(40, 8 - k, dtype=torch.float64)], dim=1)
    assert lidar(views_of(means, within)) == pytest.approx(k, rel=1e-9)


def test_two_directions_weigh_by_their_variance_between_images_over_that_within():
    within = orthonormal(20, 2) * torch.tensor([2.0, 1.0])
    means = orthonormal(40, 2) * torch.tensor([2.0, 3.0])  # ratios of variances 1 and 9
    expected = math.exp(-(0.1 * math.log(0.1) + 0.9 * math.log(0.9)))
    assert lidar(views_of(means, within), delta=0.0) == pytest.approx(expected, rel=1e-9)


def test_a_direction_that_views_alone_vary_in_raises_rankme_but_not_lidar():
    means = torch.cat([orthonormal(40, 3), torch.zeros(40, 5, dtype=torch.float64)], dim=1)
    views = views_of(means, 10 * orthonormal(20, 8))
    assert lidar(views) == pytest.approx(3, rel=1e-6)


def test_lidar_does_not_depend_on_shift_and_rotation_nor_above_delta_on_scale():
    views = gaussian(20, 6)[:, None] + gaussian(100, 6, seed=1).reshape(20, 5, 6)
    assert lidar(views @ rotation(6) + 3) == pytest.approx(lidar(views), rel=1e-8)
    assert lidar(1e3 * views) == pytest.approx(lidar(views), rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_images_that_all_have_the_same_features_have_a_lidar_of_zero(value):
    assert lidar(torch.full((20, 5, 6), value, dtype=torch.float64)) == 0.0
    assert lidar(torch.full((20, 5, 6), value)) == 0.0


@pytest.mark.parametrize("shape", [(1, 5, 6), (5, 1, 6), (5, 6), (0, 5, 6)])
def test_lidar_of_one_image_or_one_view_is_refused(shape):
    with pytest.raises(InputError, match="at least 2 images and 2 views"):
        lidar(torch.zeros(shape))
