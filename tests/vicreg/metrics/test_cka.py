"""Linear CKA: against the formula of the unbiased HSIC written out, its invariances, and nothing in common."""

import math

import pytest
import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.metrics.cka import linear_cka, linear_cka_matrix


def draw(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unbiased_hsic(one: Tensor, other: Tensor) -> float:
    """Song et al. 2012, Eq. 5, entry by entry."""
    n = len(one)
    k = [[0.0 if i == j else float(one[i] @ one[j]) for j in range(n)] for i in range(n)]
    m = [[0.0 if i == j else float(other[i] @ other[j]) for j in range(n)] for i in range(n)]
    trace = sum(k[i][j] * m[j][i] for i in range(n) for j in range(n))
    sums = sum(map(sum, k)) * sum(map(sum, m)) / ((n - 1) * (n - 2))
    both = sum(k[i][j] * m[j][q] for i in range(n) for j in range(n) for q in range(n))
    return (trace + sums - 2 * both / (n - 2)) / (n * (n - 3))


@pytest.mark.parametrize(("n", "d", "other_d"), [(12, 5, 7), (9, 20, 4)])
def test_it_is_the_ratio_of_unbiased_hsics(n, d, other_d):
    one = draw(n, d, 0)
    other = one[:, : min(d, other_d)] @ draw(min(d, other_d), other_d, 1) + 0.5 * draw(n, other_d, 2) + 3
    wanted = unbiased_hsic(one, other) / math.sqrt(unbiased_hsic(one, one) * unbiased_hsic(other, other))
    assert linear_cka(one, other) == pytest.approx(wanted, rel=1e-10)


def test_turning_scaling_and_shifting_change_nothing():
    one, other = draw(40, 8, 0), draw(40, 8, 0) + draw(40, 8, 1)
    turn, _ = torch.linalg.qr(draw(8, 8, 2))
    assert linear_cka(one, 1e-6 * one @ turn + 5) == pytest.approx(1, abs=1e-9)
    assert linear_cka(3 * one @ turn - 7, other) == pytest.approx(linear_cka(one, other), abs=1e-12)
    assert linear_cka(other, one) == pytest.approx(linear_cka(one, other), abs=1e-12)


def test_features_with_nothing_in_common_are_near_zero_where_the_plain_estimate_is_not():
    """The reason for the debiased one: 40 images in 200 dimensions."""
    one, other = draw(40, 200, 0), draw(40, 200, 1)
    centred = [each - each.mean(dim=0) for each in (one, other)]
    plain = (centred[0].T @ centred[1]).norm() ** 2 / (
        (centred[0].T @ centred[0]).norm() * (centred[1].T @ centred[1]).norm()
    )
    assert plain > 0.7 and abs(linear_cka(one, other)) < 0.1


def test_the_matrix_holds_every_pair():
    features = [draw(20, d, d) for d in (3, 5, 4)]
    matrix = linear_cka_matrix(features)
    assert torch.equal(matrix, matrix.T) and matrix.diagonal().tolist() == pytest.approx([1, 1, 1])
    assert float(matrix[0, 2]) == pytest.approx(linear_cka(features[0], features[2]), abs=1e-12)


def test_constant_features_have_no_similarity():
    assert math.isnan(linear_cka(torch.ones(10, 3), draw(10, 3, 0)))


@pytest.mark.parametrize("sizes", [(3, 3), (10, 11)])
def test_features_of_other_or_too_few_images_are_refused(sizes):
    with pytest.raises(InputError, match="same images, at least 4"):
        linear_cka(draw(sizes[0], 4, 0), draw(sizes[1], 4, 1))
