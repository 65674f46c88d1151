"""Alignment, view discrepancy and uniformity, in cases of known geometry."""

import math

import pytest
import torch

import vicreg.metrics.collapse as collapse
from tests.vicreg.features import SHAPES, gaussian, rotation, uneven
from vicreg.errors import InputError
from vicreg.metrics.collapse import (
    alignment,
    spectrum,
    uniformity,
    view_discrepancy,
)


def test_alignment_is_zero_for_equal_two_for_orthogonal_and_four_for_opposite_rows():
    rows = torch.eye(4)
    assert alignment(rows, 5 * rows) == 0
    assert alignment(rows, rows.roll(1, dims=0)) == pytest.approx(2)
    assert alignment(rows, -rows) == pytest.approx(4)


@pytest.mark.parametrize("shape", SHAPES)
def test_view_discrepancy_equals_the_one_over_all_pairs(shape):
    z, z_prime = uneven(*shape), uneven(*shape) + 3 * gaussian(*shape, seed=5) + 1
    squares = torch.cdist(z, z_prime).square()
    same = torch.eye(len(z), dtype=torch.bool)
    expected = squares[same].mean() / squares[~same].mean()
    assert view_discrepancy(z, z_prime) == pytest.approx(expected.item(), rel=1e-10)


def test_view_discrepancy_is_zero_for_equal_views_and_one_for_unrelated_ones():
    features = uneven(400, 12)
    assert view_discrepancy(features, features) == 0
    assert view_discrepancy(gaussian(2000, 16), gaussian(2000, 16, seed=5)) == pytest.approx(1, abs=0.03)


def test_view_discrepancy_of_noise_beside_a_signal_is_the_noise_share_of_the_variance():
    signal = gaussian(4000, 16)
    views = [signal + 0.5 * gaussian(4000, 16, seed=seed) for seed in (1, 2)]
    assert view_discrepancy(*views) == pytest.approx(0.25 / (1 + 0.25), rel=0.03)


def test_view_discrepancy_is_one_for_equal_views_of_all_images():
    constant = torch.full((30, 4), 0.1)
    assert view_discrepancy(constant, constant) == 1
    assert view_discrepancy(torch.zeros(2, 1), torch.zeros(2, 1)) == 1
    assert view_discrepancy(torch.eye(2), torch.eye(2).flip(0)) == 1  # views of two images equal, of one apart: not inf
    assert view_discrepancy(constant, constant + 5) == 1  # each view a constant of its own: as far apart as any two


def test_view_discrepancy_survives_a_large_mean_in_float32():
    z, z_prime = uneven(30, 6).round(), uneven(30, 6, seed=3).round()  # whole numbers: exact in float32, shifted or not
    assert view_discrepancy((z + 2**20).float(), (z_prime + 2**20).float()) == view_discrepancy(z, z_prime)


def test_uniformity_of_a_square_on_the_circle():
    square = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, -4.0]])
    expected = math.log((2 * math.exp(-8) + 4 * math.exp(-4)) / 6)  # two diagonals, four sides
    assert uniformity(square) == pytest.approx(expected)


def test_uniformity_is_zero_for_identical_rows_and_near_minus_four_for_isotropic_ones():
    assert uniformity(torch.ones(20, 8)) == pytest.approx(0, abs=1e-12)
    assert uniformity(gaussian(300, 256)) == pytest.approx(-4, abs=0.05)


def test_uniformity_in_blocks_equals_the_one_over_all_pairs(monkeypatch):
    rows = uneven(50, 12)
    unit = rows / rows.norm(dim=1, keepdim=True)
    expected = torch.exp(-2 * torch.pdist(unit).square()).mean().log().item()
    for block in (1024, 50, 7):
        monkeypatch.setattr(collapse, "UNIFORMITY_ROWS", block)
        assert uniformity(rows) == pytest.approx(expected, rel=1e-10)


def test_spectrum_and_alignment_do_not_see_a_rotation():
    features, other = uneven(20, 12), uneven(20, 12, seed=7)
    turn = rotation(12)
    assert spectrum(features @ turn).tolist() == pytest.approx(spectrum(features).tolist(), rel=1e-7)
    assert alignment(features @ turn, other @ turn) == pytest.approx(alignment(features, other))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", ["rotate", "shift", "scale", "swap", "shuffle"])
def test_view_discrepancy_does_not_see_a_rotation_a_shift_a_scale_or_the_order(change, shape):
    views = uneven(*shape), uneven(*shape) + gaussian(*shape, seed=7)
    n, d = shape
    order = torch.randperm(n, generator=torch.Generator().manual_seed(4))
    changed = {
        "rotate": [view @ rotation(d) for view in views],
        "shift": [view + 10 * torch.arange(d) for view in views],
        "scale": [1e-3 * view for view in views],
        "swap": views[::-1],
        "shuffle": [view[order] for view in views],
    }[change]
    assert view_discrepancy(*changed) == pytest.approx(view_discrepancy(*views), rel=1e-9)


@pytest.mark.parametrize("metric", [alignment, view_discrepancy])
def test_views_of_different_shapes_are_refused(metric):
    with pytest.raises(InputError, match=r"\(4, 3\) and \(4, 2\)"):
        metric(torch.ones(4, 3), torch.ones(4, 2))
