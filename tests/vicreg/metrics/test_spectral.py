"""Ranks and decays of spectra of known form."""

import math

import numpy as np
import pytest
import torch

from tests.vicreg.features import gaussian, orthonormal, rotation, uneven
from vicreg.metrics.collapse import participation_ratio, rankme, relative_dead_share, spectrum, stable_rank
from vicreg.metrics.spectral import alpha_req, effective_rank, nesum

SPECTRAL = (effective_rank, nesum, alpha_req)


def with_variances(variances, *, n=300):
    """Features of n images with exactly these eigenvalues of their covariance, in directions of no axis."""
    features = orthonormal(n, len(variances)) * torch.tensor(variances, dtype=torch.float64).sqrt()
    return features @ rotation(len(variances))


@pytest.mark.parametrize("k", [1, 3, 40])
def test_k_equal_variances_have_an_effective_rank_and_a_nesum_of_k(k):
    features = orthonormal(60, k) @ torch.linalg.qr(gaussian(50, k)).Q.T  # (60, 50)
    assert effective_rank(spectrum(features)) == pytest.approx(k, rel=1e-9)
    assert nesum(spectrum(features)) == pytest.approx(k, rel=1e-9)


def test_two_variances_have_the_ranks_of_their_formulas():
    variances = spectrum(with_variances([9.0, 1.0]))
    assert nesum(variances) == pytest.approx(10 / 9)
    assert effective_rank(variances) == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("count", [20, 100, 250])
def test_a_power_law_has_its_exponent_as_alpha(exponent, count):
    variances = torch.arange(1, count + 1, dtype=torch.float64) ** -exponent
    assert alpha_req(variances) == pytest.approx(exponent, abs=1e-12)
    assert alpha_req(spectrum(with_variances(variances.tolist()))) == pytest.approx(exponent, abs=1e-9)


def test_the_first_two_variances_and_those_beyond_a_hundred_do_not_move_alpha():
    variances = torch.arange(1, 151, dtype=torch.float64) ** -1.0
    variances[:2] = 50.0
    variances[100:] = 1e-6
    assert alpha_req(variances) == pytest.approx(1.0, abs=1e-12)


def test_alpha_is_the_weighted_regression_of_numpy():
    variances = spectrum(uneven(80, 40))
    ranks = np.arange(3, 41)
    slope, _ = np.polyfit(np.log(ranks), np.log(variances[2:].numpy()), 1, w=ranks**-0.5)  # which squares its weights
    assert alpha_req(variances) == pytest.approx(-slope, rel=1e-9)


def test_spectra_that_collapsed_have_no_exponent_and_the_least_rank():
    constant = spectrum(torch.full((30, 8), 0.3, dtype=torch.float64))
    assert (effective_rank(constant), nesum(constant)) == (0.0, 0.0) and math.isnan(alpha_req(constant))
    line = spectrum(gaussian(30, 1) @ gaussian(1, 8, seed=5))
    assert (effective_rank(line), nesum(line)) == (pytest.approx(1), pytest.approx(1)) and math.isnan(alpha_req(line))


@pytest.mark.parametrize("metric", SPECTRAL)
def test_spectral_metrics_do_not_depend_on_scale_shift_and_rotation(metric):
    features = uneven(40, 12)
    turned = 1e3 * features @ rotation(12) + 7
    assert metric(spectrum(turned)) == pytest.approx(metric(spectrum(features)), rel=1e-8)


def test_effective_rank_is_rankme_of_centred_features_and_rankme_alone_sees_a_shift():
    features = uneven(60, 20)
    centred = features - features.mean(dim=0)
    assert effective_rank(spectrum(features)) == pytest.approx(rankme(centred), rel=1e-3)  # but for RankMe's epsilon
    shifted = features + 1e4
    assert effective_rank(spectrum(shifted)) == pytest.approx(effective_rank(spectrum(features)), rel=1e-6)
    assert rankme(shifted) < 1.5


def test_stable_rank_is_the_squared_norms_ratio_and_of_centred_features_nesum():
    features = uneven(60, 20)
    expected = torch.linalg.matrix_norm(features) ** 2 / torch.linalg.matrix_norm(features, ord=2) ** 2
    assert stable_rank(features) == pytest.approx(expected.item(), rel=1e-10)
    assert stable_rank(features.T.contiguous()) == pytest.approx(expected.item(), rel=1e-10)
    centred = features - features.mean(dim=0)
    assert stable_rank(centred) == pytest.approx(nesum(spectrum(features)), rel=1e-10)
    assert stable_rank(torch.zeros(5, 3)) == 0.0
    assert stable_rank(1e-3 * features @ rotation(20)) == pytest.approx(stable_rank(features), rel=1e-10)


def test_ranks_stand_in_the_order_of_their_weights_on_small_variances():
    features = uneven(60, 20)
    variances = spectrum(features)
    assert 1 <= nesum(variances) <= participation_ratio(features) <= effective_rank(variances) <= 20


def test_relative_dead_share_counts_dimensions_that_are_small_next_to_the_others():
    features = orthonormal(40, 4) * torch.tensor([1.0, 1.0, 1e-4, 0.0])
    assert relative_dead_share(features) == relative_dead_share(1e-8 * features + 5) == 0.5
    assert relative_dead_share(1e-8 * orthonormal(40, 4)) == 0.0
    assert relative_dead_share(torch.ones(40, 4)) == 1.0
