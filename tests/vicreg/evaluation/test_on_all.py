"""What is reported is fitted on train and validation; what is measured on validation is fitted on train alone."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from vicreg.data.dataset import Dataset, Split
from vicreg.evaluation import linear_evaluation as protocol
from vicreg.evaluation.evaluate import evaluate
from vicreg.evaluation.linear_evaluation import LinearSettings, cross_entropy_gradient, fit_linear
from vicreg.evaluation.settings import PROBES
from vicreg.training.setup import new_model

CPU = torch.device("cpu")
LINEAR = LinearSettings(
    epochs=2, lr=(0.05, 0.5), batch_size=32, momentum=0.9, weight_decay=0.01, crop_scale=(0.5, 1.0), flip=0.0
)


@pytest.fixture(scope="module")
def config(tiny_config):
    return tiny_config()


@pytest.fixture(scope="module")
def joined(digits) -> Dataset:
    """The digits with validation among the images of the train split; their statistics stay."""
    parts = (digits.train, digits.validation)
    whole = Split(images=torch.cat([one.images for one in parts]), labels=torch.cat([one.labels for one in parts]))
    return dataclasses.replace(digits, train=whole)


@pytest.fixture(scope="module")
def model(config, digits, shallow):
    return new_model(config.pretrain, digits)


@pytest.fixture(scope="module")
def measured(config, model, digits, joined):
    """Fitted on train, on both, and on a train split that has the validation images."""
    settings = dataclasses.replace(config.evaluate, linear=LINEAR)

    def run(dataset: Dataset, *, on_all: bool = False):
        return evaluate(
            model, dataset, control=model, settings=settings, probes=PROBES, views=config.pretrain.views, target_std=1.0,
            size=8, seed=0, device=CPU, on_all=on_all,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vicreg.evaluation.held_out_views.LIDAR_VIEWS", 2)
        return run(digits), run(digits, on_all=True), run(joined)


@pytest.mark.slow
def test_what_is_measured_of_validation_without_augmentation_and_of_collapse_is_the_same(measured):
    held_out, on_all, _ = measured
    for probe in ("knn_5", "knn_20", "linear_cached"):
        assert on_all["validation"][probe] == held_out["validation"][probe]
    assert on_all["collapse"] == held_out["collapse"] and on_all["verdict"] == held_out["verdict"]


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["knn_5", "knn_20"])
def test_neighbours_of_test_images_are_of_both_splits(measured, probe):
    held_out, on_all, joined = measured
    assert on_all["test"][probe] == joined["test"][probe] != held_out["test"][probe]


@pytest.mark.slow
def test_the_cached_probes_strength_is_chosen_on_validation_and_the_reported_one_fitted_on_both(measured):
    held_out, on_all, joined = measured
    chosen = on_all["validation"]["linear_cached"]["weight_decay"]
    assert chosen == held_out["validation"]["linear_cached"]["weight_decay"]
    assert chosen != joined["validation"]["linear_cached"]["weight_decay"]  # of images that it was fitted on
    assert on_all["test"]["linear_cached"] != held_out["test"]["linear_cached"]


def test_the_reported_layers_are_those_of_the_union_bit_for_bit(model, digits, joined):
    found = fit_linear(model, digits, settings=LINEAR, size=8, seed=3, device=CPU, on_all=True)
    whole = fit_linear(model, joined, settings=LINEAR, size=8, seed=3, device=CPU)
    assert tuple(found.reported) == tuple(found.on_train) == LINEAR.lr
    for lr in LINEAR.lr:
        assert torch.equal(found.reported[lr].weight, whole.reported[lr].weight)
        assert torch.equal(found.reported[lr].bias, whole.reported[lr].bias)
        assert not torch.equal(found.on_train[lr].weight, found.reported[lr].weight)
    assert whole.on_train.keys() == whole.reported.keys()


def test_the_layers_for_validation_are_trained_by_torch_on_the_train_images_of_each_batch(model, digits, monkeypatch):
    given = dataclasses.replace(LINEAR, lr=(0.3,))
    steps, original = [], protocol.epoch_of_features

    def kept(*arguments, **named):
        for features, indices in original(*arguments, **named):
            steps.append((features[:, :-1], indices))
            yield features, indices

    with monkeypatch.context() as patch:
        patch.setattr(protocol, "epoch_of_features", kept)
        (found,) = fit_linear(model, digits, settings=given, size=8, seed=0, device=CPU, on_all=True).on_train.values()
    still = dataclasses.replace(given, lr=(0.0,))
    (start,) = fit_linear(model, digits, settings=still, size=8, seed=0, device=CPU).reported.values()
    layer = nn.Linear(start.weight.shape[1], 10)
    with torch.no_grad():
        layer.weight.copy_(start.weight)
        layer.bias.zero_()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.3, momentum=0.9, weight_decay=given.weight_decay)
    for step, (features, indices) in enumerate(steps):
        own = indices < len(digits.train.labels)
        optimizer.zero_grad()
        functional.cross_entropy(layer(features[own]), digits.train.labels[indices[own]]).backward()
        optimizer.param_groups[0]["lr"] = 0.3 * (1 + math.cos(math.pi * step / (len(steps) - 1))) / 2
        optimizer.step()
    torch.testing.assert_close(found.weight, layer.weight.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.bias, layer.bias.detach(), rtol=1e-4, atol=1e-6)


def test_a_batch_without_an_image_that_counts_has_no_gradient():
    features, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 0, 1])
    none = torch.zeros(4, dtype=torch.bool)
    assert torch.equal(cross_entropy_gradient(torch.ones(1, 2, 3), features, labels, among=none), torch.zeros(1, 2, 3))
