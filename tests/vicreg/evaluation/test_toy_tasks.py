"""Positive controls: networks that collapsed for a known reason, by RankMe and by the diagnosis."""

import pytest
import torch
from torch import nn

from tests.vicreg.evaluation.toy_tasks import WIDTH, images, implicit_regularisation, product, strong_augmentation
from vicreg.evaluation.collapse_diagnosis import CollapseDiagnosis, diagnose_collapse
from vicreg.metrics.collapse import collapse_metrics, rankme, spectrum

pytestmark = pytest.mark.slow


def directions_left(network: nn.Sequential) -> int:
    """Count singular values of the network's matrix within a tenth of the largest."""
    values = torch.linalg.svdvals(product(network))
    return int((values > values[0] / 10).sum())


def rank_of_weights(network: nn.Sequential) -> float:
    """Return RankMe's value for infinitely many N(0, I) inputs, from the weights alone."""
    shares = torch.linalg.svdvals(product(network))
    shares = shares / shares.sum()
    return torch.exp(-torch.xlogy(shares, shares).sum()).item()


def diagnosis(network: nn.Sequential) -> CollapseDiagnosis:
    inputs = images(2000)
    return diagnose_collapse(
        embeddings=collapse_metrics(network(inputs)), representations=collapse_metrics(inputs), knn_accuracy=None,
        chance=None, images=len(inputs), dimensions=(WIDTH, WIDTH), target_std=None,
    )  # fmt: skip


def test_strong_augmentation_shrinks_the_directions_of_its_noise_and_the_collapse_is_named_dimensional():
    network = strong_augmentation(noise=6.0, noisy=14, lr=0.001)
    columns = product(network).square().sum(dim=0)
    assert directions_left(network) == 2
    assert columns[:2].min() > 10 * columns[2:].max()  # of the inputs, those without noise are passed on
    variances = spectrum(network(images(4000)))
    assert variances[1] > 10 * variances[2]
    measured = rankme(network(images(4000)))
    assert 2 < measured < 3.6 and measured == pytest.approx(rank_of_weights(network), rel=0.02)
    found = diagnosis(network)
    assert found.name == "dimensional" and found.borderline is None
    assert found.deciding.measure == "the embeddings' RankMe" and 2 < found.deciding.value < 3.6


def test_two_layers_leave_small_directions_behind_that_one_layer_learns():
    two, one = (implicit_regularisation(layers=layers, decay=0.35) for layers in (2, 1))
    assert directions_left(one) == WIDTH and rankme(one(images(4000))) > 15.8
    left = directions_left(two)
    values = torch.linalg.svdvals(product(two))
    assert 8 <= left <= 13 and values[left - 1] > 10 * values[left]
    # each of the others has less than a hundredth of a learned one's variance, so RankMe counts the learned ones
    measured = rankme(two(images(4000)))
    assert abs(measured - left) < 0.5 and measured == pytest.approx(rank_of_weights(two), rel=0.02)
    assert diagnosis(two).name == diagnosis(one).name == "healthy"  # most of 16 directions are more than the fewest allowed


def test_a_collapse_to_few_directions_that_all_dimensions_share_is_named_informational():
    network = implicit_regularisation(layers=2, decay=2.0)
    found = diagnosis(network)
    assert directions_left(network) <= 3 and rankme(network(images(4000))) < 3.5
    assert found.name == "informational", found
