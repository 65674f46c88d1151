"""Linear evaluation learns, repeats itself, and leaves the encoder unchanged."""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from vicreg.data.dataset import Dataset, Split
from vicreg.errors import InputError
from vicreg.evaluation import linear_evaluation as linear_protocol
from vicreg.evaluation.linear_evaluation import LinearSettings, fit_linear
from vicreg.evaluation.linear_probe import LinearClassifier
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.features import encode
from vicreg.models.joint_embedding import JointEmbedding, build_model
from vicreg.views.pipeline import crop_and_flip

CPU = torch.device("cpu")


def settings(**changes) -> LinearSettings:
    given = {
        "epochs": 3, "lr": (0.1,), "batch_size": 16, "momentum": 0.9, "weight_decay": 0.0,
        "crop_scale": (0.5, 1.0), "flip": 0.5,
    }  # fmt: skip
    return LinearSettings(**(given | changes))


def stripes(n: int, *, seed: int) -> Split:
    """Images whose class is the channel that is bright: no crop and no flip can hide it."""
    noise = torch.randint(0, 50, (n, 3, 8, 8), generator=torch.Generator().manual_seed(seed))
    labels = torch.arange(n) % 3
    noise[torch.arange(n), labels] += 200
    return Split(images=noise.to(torch.uint8), labels=labels)


@pytest.fixture(scope="module")
def toy() -> Dataset:
    return Dataset(
        name="toy", classes=("red", "green", "blue"), note=None, mean=(0.35,) * 3, std=(0.25,) * 3,
        train=stripes(90, seed=0), validation=stripes(30, seed=1), test=stripes(30, seed=2),
    )  # fmt: skip


@pytest.fixture
def model() -> JointEmbedding:
    """An untrained encoder with BatchNorm statistics of its own."""
    made = build_model(
        architecture="resnet18", stem="cifar", width=4, in_channels=3, expander=(8,), batchnorm=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    for seed in range(20):
        made.train()(torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))
    return made


def fit(model: JointEmbedding, dataset: Dataset, *, seed: int = 0, **changes) -> LinearClassifier:
    (layer,) = fit_linear(model, dataset, settings=settings(**changes), size=8, seed=seed, device=CPU).reported.values()
    return layer


def top1(model: JointEmbedding, dataset: Dataset, classifier: LinearClassifier) -> float:
    encoded = encode(model, dataset.test.images, size=8, mean=dataset.mean, std=dataset.std, batch_size=64)
    return accuracy(classifier(encoded.representations), dataset.test.labels).top1


def test_a_separable_toy_is_learned(model, toy):
    assert top1(model, toy, fit(model, toy, lr=(0.0,))) < 0.7
    assert top1(model, toy, fit(model, toy, epochs=8)) > 0.9


def test_the_same_seed_gives_the_same_layer_and_another_seed_another(model, toy):
    first, second, third = (fit(model, toy, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    assert not torch.equal(first.weight, third.weight)


def test_the_encoder_is_frozen_in_weights_and_in_batchnorm_statistics(model, toy):
    before = {name: tensor.clone() for name, tensor in model.train().state_dict().items()}
    fit(model, toy)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_global_generator_is_neither_drawn_from_nor_asked(model, toy):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = fit(model, toy)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        assert torch.equal(fit(model, toy).weight, first.weight)


def test_validation_and_test_are_not_looked_at(model, toy):
    other = dataclasses.replace(toy, validation=stripes(5, seed=8), test=stripes(7, seed=9))
    assert torch.equal(fit(model, toy).weight, fit(model, other).weight)


def test_images_are_augmented_anew_each_epoch_and_each_is_seen_once(model, toy, monkeypatch):
    batches, streams, original = [], [], linear_protocol.crop_and_flip

    def watched(images, **named):
        views = original(images, **named)
        batches.append((images, views))
        streams.append(named["generator"].initial_seed())
        return views

    monkeypatch.setattr(linear_protocol, "crop_and_flip", watched)
    fit(model, toy, epochs=2, batch_size=40)
    assert [len(images) for images, _ in batches] == [90] * 2  # encoded at once, whatever the batch of a step

    def epoch(which: int, part: int) -> dict[bytes, bytes]:
        pairs = [pair for batch in batches[which : which + 1] for pair in zip(*batch, strict=True)]
        return {pair[0].numpy().tobytes(): pair[part].numpy().tobytes() for pair in pairs}

    originals = {image.numpy().tobytes() for image in toy.train.images}
    assert epoch(0, 0).keys() == epoch(1, 0).keys() == originals
    assert list(epoch(0, 0)) != list(epoch(1, 0))  # another order
    assert streams[0] != streams[1]  # and other draws
    changed = [epoch(0, 1)[image] != epoch(1, 1)[image] for image in originals]
    assert sum(changed) > len(changed) / 2  # a full crop without a flip can come twice


def reference(model: JointEmbedding, dataset: Dataset, given: LinearSettings, start: torch.Tensor, monkeypatch) -> nn.Linear:
    """The protocol by torch's own layer, loss and SGD, on the features of each step."""
    steps, original = [], linear_protocol.epoch_of_features

    def kept(*arguments, **named):
        for features, indices in original(*arguments, **named):
            steps.append((features[:, :-1], dataset.train.labels[indices]))
            yield features, indices

    with monkeypatch.context() as patch:
        patch.setattr(linear_protocol, "epoch_of_features", kept)
        fit_linear(model, dataset, settings=given, size=8, seed=0, device=CPU)
    layer = nn.Linear(start.shape[1], start.shape[0])
    with torch.no_grad():
        layer.weight.copy_(start)
        layer.bias.zero_()
    (lr,) = given.lr
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr, momentum=given.momentum, weight_decay=given.weight_decay)
    for step, (features, labels) in enumerate(steps):
        optimizer.zero_grad()
        functional.cross_entropy(layer(features), labels).backward()
        optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / (len(steps) - 1))) / 2
        optimizer.step()
    return layer


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_a_layer_is_trained_as_torchs_own_sgd_and_cross_entropy_train_it_along_a_cosine(
    model, toy, monkeypatch, weight_decay
):
    given = settings(epochs=4, batch_size=20, weight_decay=weight_decay)
    start = fit(model, toy, lr=(0.0,)).weight
    expected = reference(model, toy, given, start, monkeypatch)
    found = fit_linear(model, toy, settings=given, size=8, seed=0, device=CPU).reported[0.1]
    torch.testing.assert_close(found.weight, expected.weight.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.bias, expected.bias.detach(), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found.weight, start, atol=1e-2)


def test_the_layers_of_every_epoch_are_shown_and_stay_as_they_were(model, toy):
    seen = []
    layers = fit_linear(model, toy, settings=settings(epochs=3), size=8, seed=0, device=CPU, on_epoch=seen.append)
    assert len(seen) == 3 and [*seen[0].reported] == [*layers.reported]
    (first,), (last,), (end,) = (list(one.reported.values()) for one in (seen[0], seen[-1], layers))
    assert torch.equal(last.weight, end.weight) and torch.equal(last.bias, end.bias)
    assert not torch.equal(first.weight, end.weight)


def test_several_learning_rates_are_trained_as_each_is_by_itself(model, toy):
    rates = (0.01, 0.1, 1.0)
    together = fit_linear(model, toy, settings=settings(lr=rates), size=8, seed=0, device=CPU).reported
    assert tuple(together) == rates
    for lr, layer in together.items():
        torch.testing.assert_close(layer.weight, fit(model, toy, lr=(lr,)).weight, rtol=1e-4, atol=1e-6)


def test_the_gradient_is_that_of_the_mean_cross_entropy():
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 3, 5, generator=draw, dtype=torch.float64).requires_grad_()
    features = torch.randn(7, 5, generator=draw, dtype=torch.float64)
    labels = torch.arange(7) % 3
    sum(functional.cross_entropy(features @ layer.T, labels) for layer in weight).backward()
    found = linear_protocol.cross_entropy_gradient(weight.detach(), features, labels)
    torch.testing.assert_close(found, weight.grad, rtol=1e-12, atol=1e-12)


def test_decay_shrinks_the_layer(model, toy):
    assert fit(model, toy, weight_decay=1.0).weight.norm() < 0.5 * fit(model, toy).weight.norm()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "evaluate.linear.epochs must be at least 1, but got 0."),
        ({"batch_size": 0}, "evaluate.linear.batch_size must be at least 1, but got 0."),
        ({"lr": (-0.1,)}, "evaluate.linear.lr must list different numbers from 0 to 10000, but got [-0.1]."),
        ({"lr": (0.1, float("inf"))}, "evaluate.linear.lr must list different numbers from 0 to 10000, but got [0.1, inf]."),
        ({"lr": ()}, "evaluate.linear.lr must list different numbers from 0 to 10000, but got []."),
        ({"lr": (0.1, 0.1)}, "evaluate.linear.lr must list different numbers from 0 to 10000, but got [0.1, 0.1]."),
        ({"lr": (1e300,)}, "evaluate.linear.lr must list different numbers from 0 to 10000, but got [1e+300]."),
        ({"momentum": 1.0}, "evaluate.linear.momentum must be at least 0 and below 1, but got 1.0."),
        ({"weight_decay": 1e6}, "evaluate.linear.weight_decay must be from 0 to 1, but got 1000000.0."),
        ({"momentum": float("nan")}, "evaluate.linear.momentum must be at least 0 and below 1, but got nan."),
        ({"weight_decay": -1.0}, "evaluate.linear.weight_decay must be from 0 to 1, but got -1.0."),
        ({"flip": 1.5}, "flip must be a number between 0 and 1, but got 1.5."),
        ({"crop_scale": (0.2,)}, "crop_scale must be a range"),
        ({"crop_scale": (0.0, 1.0)}, "crop_scale must be a range"),
    ],
)
def test_impossible_settings_raise_before_anything_is_trained(change, sentence):
    with pytest.raises(InputError) as raised:
        settings(**change)
    assert str(raised.value).startswith(sentence)


# ---- images at once


def test_draws_and_views_do_not_depend_on_how_many_images_are_taken_at_once(toy):
    def views(at_once: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(5)
        return torch.cat([
            crop_and_flip(
                images, crop_scale=(0.5, 1.0), flip=0.5, size=8, mean=toy.mean, std=toy.std, generator=generator
            )
            for images in toy.train.images.split(at_once)
        ])  # fmt: skip

    assert all(torch.equal(views(at_once), views(90)) for at_once in (1, 7, 16, 40))
