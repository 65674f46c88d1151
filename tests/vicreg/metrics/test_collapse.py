"""Spread, rank and correlation of features of known geometry, and all metrics together."""

import json
import math

import numpy as np
import pytest
import torch

import vicreg.metrics.clusters as clusters
import vicreg.metrics.collapse as collapse
import vicreg.metrics.spectral as spectral
from tests.vicreg.features import SHAPES, equicorrelated, gaussian, orthonormal, rotation, uneven
from vicreg.errors import InputError
from vicreg.metrics.collapse import (
    collapse_metrics,
    collapse_trace,
    dead_share,
    normalised_std,
    participation_ratio,
    rankme,
    rms_correlation,
    spectrum,
    std_per_dimension,
    uniformity,
    view_discrepancy,
)
from vicreg.metrics.lidar import lidar


def test_std_is_the_unbiased_one_of_each_dimension():
    features = uneven(40, 12).float()
    expected = np.std(features.numpy().astype(np.float64), axis=0, ddof=1)
    assert std_per_dimension(features).tolist() == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize("n", [3, 7, 1000])
def test_std_of_a_constant_is_exactly_zero_though_its_mean_is_rounded(n):
    assert std_per_dimension(torch.full((n, 2), 0.1, dtype=torch.float64)).tolist() == [0.0, 0.0]


def test_std_survives_a_large_mean_in_float32():
    features = torch.tensor([[4096.0], [4096.5], [4097.0]])  # one pass in float32 loses all of it
    assert std_per_dimension(features).item() == 0.5


def test_dead_share_counts_dimensions_below_the_threshold():
    features = orthonormal(30, 4) * torch.tensor([1.0, 0.02, 0.009, 0.0])
    assert dead_share(features) == 0.5
    assert dead_share(features, threshold=0.05) == 0.75


def test_normalised_std_is_one_for_isotropic_features_at_any_scale():
    features = gaussian(4000, 64)
    assert normalised_std(features) == pytest.approx(1, abs=0.02)
    assert normalised_std(1e-9 * features) == pytest.approx(normalised_std(features), rel=1e-9)


def test_normalised_std_of_a_constant_plus_noise_is_the_ratio_of_their_lengths():
    constant = torch.zeros(64, dtype=torch.float64)
    constant[0] = 100.0
    expected = math.sqrt(64) / 100  # noise of length sqrt(64) beside a constant of length 100
    assert normalised_std(constant + gaussian(4000, 64)) == pytest.approx(expected, rel=0.03)
    assert normalised_std(constant.expand(50, 64)) == 0.0


@pytest.mark.parametrize("metric", [rankme, participation_ratio])
def test_k_equal_directions_have_rank_k_in_any_width(metric):
    for k in (1, 3, 8):
        features = orthonormal(30, k) @ torch.linalg.qr(gaussian(50, k)).Q.T  # (30, 50)
        assert metric(features) == pytest.approx(k, rel=1e-4)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_rank_one_features_have_rank_one(shape):
    features = gaussian(shape[0], 1) @ gaussian(1, shape[1], seed=5)
    assert rankme(features) == pytest.approx(1, abs=1e-3)
    assert participation_ratio(features) == pytest.approx(1, abs=1e-9)
    assert spectrum(features)[1:].max().item() < 1e-12 * spectrum(features)[0].item()


def test_rankme_of_two_singular_values_is_the_exponential_of_their_entropy():
    features = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert rankme(features) == pytest.approx(math.exp(entropy), rel=1e-5)


def test_participation_ratio_of_two_variances_is_their_squared_sum_over_the_sum_of_squares():
    features = orthonormal(20, 2) * torch.tensor([3.0, 1.0])
    assert participation_ratio(features) == pytest.approx((9 + 1) ** 2 / (81 + 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_rankme_from_the_gram_matrix_equals_the_one_from_singular_values(shape):
    n, d = shape
    decaying = torch.logspace(0, -9, d, dtype=torch.float64)  # down to what the Gram matrix cannot resolve
    for features in (uneven(n, d), gaussian(n, d) * decaying):
        singular_values = np.linalg.svd(features.numpy(), compute_uv=False)
        shares = singular_values / singular_values.sum() + 1e-7
        assert rankme(features) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_rankme_of_rank_one_stays_near_one_at_width_8192(monkeypatch):
    features = gaussian(300, 1) @ gaussian(1, 8192, seed=5)
    of_epsilon_alone = math.exp(-299 * 1e-7 * math.log(1e-7) - 1e-7)  # 1.0005: the others are exact zeros
    assert rankme(features) == pytest.approx(of_epsilon_alone, abs=1e-9)
    monkeypatch.setattr(collapse, "RANKME_EPSILON", 1e-5)
    assert rankme(features) > 1.03  # and 2.57 from 8192 samples


def test_rankme_counts_the_mean_and_the_participation_ratio_does_not():
    constant = torch.ones(50, 8, dtype=torch.float64)
    assert rankme(constant) == pytest.approx(1, abs=1e-4)
    assert participation_ratio(constant) == 0
    shifted = orthonormal(50, 8) + 1000
    assert rankme(shifted) < 1.1
    assert participation_ratio(shifted) == pytest.approx(8)


@pytest.mark.parametrize("shape", SHAPES)
def test_spectrum_is_the_covariances_in_descending_order_without_the_certain_zeros(shape):
    features = uneven(*shape)
    n, d = shape
    expected = np.linalg.eigvalsh(np.cov(features.numpy(), rowvar=False))[::-1]
    values = spectrum(features)
    assert len(values) == min(n - 1, d)
    assert values.tolist() == pytest.approx(expected[: len(values)].tolist(), rel=1e-9, abs=1e-9 * expected[0])
    assert values.sum().item() == pytest.approx(std_per_dimension(features).square().sum().item())
    ratio = expected.sum() ** 2 / np.square(expected).sum()
    assert participation_ratio(features) == pytest.approx(ratio, rel=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize(("n", "d"), [(60, 10), (60, 50)])
def test_known_correlation_is_found_and_bounds_the_participation_ratio(n, d, rho):
    features = equicorrelated(n, d, rho)
    assert rms_correlation(features) == pytest.approx(rho, abs=1e-6)
    assert participation_ratio(features) == pytest.approx(d / (1 + (d - 1) * rho**2), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_rms_correlation_equals_the_off_diagonal_of_the_correlation_matrix(shape):
    features = uneven(*shape)
    matrix = np.corrcoef(features.numpy(), rowvar=False)
    off_diagonal = matrix[~np.eye(shape[1], dtype=bool)]
    assert rms_correlation(features) == pytest.approx(np.sqrt(np.square(off_diagonal).mean()), rel=1e-9)


def test_duplicated_dimensions_are_fully_correlated_whatever_their_sign_and_scale():
    column = gaussian(30, 1)
    assert rms_correlation(torch.cat([column, -2 * column, 3 * column + 1], dim=1)) == pytest.approx(1)
    pairs = orthonormal(30, 3).repeat(1, 2)  # of 30 ordered pairs 6 have correlation 1, the others 0
    assert rms_correlation(pairs) == pytest.approx(math.sqrt(6 / 30))


def test_dead_dimensions_neither_raise_nor_lower_the_correlation():
    live = equicorrelated(30, 4, 0.4)
    features = torch.cat([live, torch.full((30, 5), 0.1, dtype=torch.float64)], dim=1)
    assert rms_correlation(features) == pytest.approx(0.4)


def test_fewer_than_two_live_dimensions_have_no_correlation():
    assert rms_correlation(torch.ones(30, 4)) == 0
    assert rms_correlation(torch.cat([gaussian(30, 1), torch.ones(30, 3)], dim=1)) == 0


def test_independent_dimensions_measure_one_over_the_root_of_the_samples():
    assert rms_correlation(gaussian(101, 400)) == pytest.approx(0.1, abs=0.002)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("metric", "change"),
    [
        *[(m, "rotate") for m in (rankme, participation_ratio, uniformity)],
        *[(m, "shift") for m in (participation_ratio, rms_correlation, lambda x: std_per_dimension(x).mean().item())],
        *[(m, "scale") for m in (rankme, participation_ratio, uniformity, rms_correlation, normalised_std)],
        *[(m, "stretch") for m in (rms_correlation,)],
        *[(m, "shuffle") for m in (rankme, participation_ratio, uniformity, rms_correlation, normalised_std)],
    ],
)
def test_metrics_do_not_depend_on_what_they_are_invariant_to(metric, change, shape):
    features = uneven(*shape)
    n, d = shape
    changed = {
        "rotate": features @ rotation(d),
        "shift": features + 10 * torch.arange(d),
        "scale": 1e-3 * features,
        "stretch": features * torch.arange(1, d + 1) - 3,
        "shuffle": features[torch.randperm(n, generator=torch.Generator().manual_seed(4))].flip(1),
    }[change]
    assert metric(changed) == pytest.approx(metric(features), rel=1e-6)


def test_collapse_metrics_are_plain_numbers_under_the_names_of_their_functions():
    features = uneven(40, 12).float()
    classes = torch.stack([features, features + uneven(40, 12, seed=1).float()], dim=1)
    metrics = collapse_metrics(features, views=(features, 2 * features), classes=classes)
    assert list(metrics) == [
        "std_mean", "std_min", "normalised_std", "dead_share", "rankme", "rms_correlation",
        "std_quantiles", "participation_ratio", "uniformity", "spectrum", "relative_dead_share", "effective_rank", "nesum",
        "alpha_req", "stable_rank", "cluster_learnability", "intrinsic_dimension", "alignment", "view_discrepancy", "lidar",
    ]  # fmt: skip
    assert metrics["lidar"] == lidar(classes)
    for name in ("effective_rank", "nesum", "alpha_req"):
        assert metrics[name] == getattr(spectral, name)(spectrum(features))
    for name in ("cluster_learnability", "intrinsic_dimension"):
        assert metrics[name] == getattr(clusters, name)(features)
    deviations = std_per_dimension(features).numpy()
    assert metrics["std_mean"] == pytest.approx(deviations.mean())
    assert metrics["std_min"] == pytest.approx(deviations.min())
    assert metrics["std_quantiles"] == pytest.approx(np.percentile(deviations, [5, 25, 50, 75, 95]).tolist())
    assert metrics["spectrum"] == spectrum(features).tolist()
    assert metrics["alignment"] == pytest.approx(0, abs=1e-12)
    assert metrics["view_discrepancy"] == view_discrepancy(features, 2 * features) > 0
    for name in ("normalised_std", "dead_share", "rankme", "rms_correlation", "participation_ratio", "uniformity",
                 "relative_dead_share", "stable_rank"):  # fmt: skip
        assert metrics[name] == getattr(collapse, name)(features)
    numbers = [x for value in metrics.values() for x in (value if isinstance(value, list) else [value])]
    assert all(type(x) is float for x in numbers)


def test_the_trace_is_a_part_of_the_metrics_and_three_of_them_need_views():
    features = uneven(40, 12)
    metrics = collapse_metrics(features)
    assert collapse_trace(features).items() <= metrics.items()
    assert not {"alignment", "view_discrepancy", "lidar"} & set(metrics)


@pytest.mark.parametrize(
    "features",
    [
        torch.zeros(6, 4),
        torch.ones(6, 4),
        torch.cat([torch.zeros(3, 4), gaussian(3, 4).float()]),
        torch.zeros(2, 1),
        torch.tensor([[0.0], [1.0]]),
        torch.full((6, 4), 1e-30),
        gaussian(6, 4).float() * 1e30,
    ],
    ids=["zeros", "constant", "zero rows", "smallest", "one dimension", "tiny", "huge"],
)
def test_degenerate_features_give_numbers_and_never_nan(features):
    json.dumps(collapse_metrics(features, views=(features, features.flip(0))), allow_nan=False)


def test_features_that_require_gradients_or_come_in_half_precision_are_measured():
    features = gaussian(20, 6)
    assert collapse_trace(features.clone().requires_grad_()) == collapse_trace(features)
    half = features.to(torch.bfloat16)
    assert collapse_trace(half) == collapse_trace(half.double())


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.ones(1, 4), r"at least 2 samples, but got 1"),
        (torch.ones(4), r"shape \(N, d\), but got \(4,\)"),
        (torch.ones(4, 0), r"shape \(N, d\), but got \(4, 0\)"),
        (torch.tensor([[1.0, math.nan], [math.inf, 0.0]]), r"2 of 4 values are infinite or NaN"),
    ],
)
def test_features_that_cannot_be_measured_are_refused(features, message):
    for metric in (collapse_metrics, collapse_trace, rankme, uniformity, spectrum):
        with pytest.raises(InputError, match=message):
            metric(features)
