"""The cached linear probe, against scikit-learn's logistic regression."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from tests.vicreg.features import CLASSES, clusters
from vicreg.errors import InputError
from vicreg.evaluation.linear_probe import choose_linear_cached, fit_linear_cached
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.knn import knn_scores


def objective(weight, bias, inputs, labels, *, weight_decay: float) -> float:
    scores = inputs @ weight.T + bias
    return (functional.cross_entropy(scores, labels) + weight_decay / 2 * weight.square().sum()).item()


@pytest.mark.parametrize("weight_decay", [1e-4, 1e-2, 1.0])
def test_the_probe_is_scikit_learns_logistic_regression(weight_decay):
    (features, labels), (queries, _) = clusters(200, spread=1.5), clusters(500, seed=1, spread=1.5)
    probe = fit_linear_cached(features, labels, classes=CLASSES, weight_decay=weight_decay)
    centred = features.double() - features.double().mean(dim=0)
    scale = centred.square().mean().sqrt()
    inputs = centred / scale
    reference = LogisticRegression(C=1 / (len(labels) * weight_decay), tol=1e-10, max_iter=10_000)
    reference.fit(inputs.numpy(), labels.numpy())
    weight, bias = torch.from_numpy(reference.coef_), torch.from_numpy(reference.intercept_)
    ours = objective(probe.weight, probe.bias, inputs, labels, weight_decay=weight_decay)
    theirs = objective(weight, bias, inputs, labels, weight_decay=weight_decay)
    assert ours == pytest.approx(theirs, rel=1e-6)
    shifted = (queries.double() - features.double().mean(dim=0)) / scale
    assert probe(queries).argmax(dim=1).tolist() == reference.predict(shifted.numpy()).tolist()
    torch.testing.assert_close(
        functional.softmax(probe(queries), dim=1), torch.from_numpy(reference.predict_proba(shifted.numpy())),
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("transform", [lambda x: 1e-6 * x, lambda x: 1e6 * x, lambda x: x - 50])
def test_the_probe_does_not_see_the_features_scale_or_offset(transform):
    (features, labels), (queries, _) = clusters(200, spread=1.5), clusters(200, seed=1, spread=1.5)
    expected = fit_linear_cached(features, labels, classes=CLASSES, weight_decay=1e-3)(queries)
    scores = fit_linear_cached(transform(features), labels, classes=CLASSES, weight_decay=1e-3)(transform(queries))
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-3)
    assert torch.equal(scores.argmax(dim=1), expected.argmax(dim=1))


def test_features_that_vary_by_little_around_much_are_scored_as_precisely_as_they_are_fitted():
    features, labels = clusters(200, spread=1.5)
    features = (3 + 1e-6 * features.double()).float()  # some units in the last place of float32
    probe = fit_linear_cached(features, labels, classes=CLASSES, weight_decay=1e-3)
    assert torch.equal(probe(features), probe(features.double()))
    # At the optimum the shares that are predicted for the classes are their shares in the data.
    shares = functional.softmax(probe(features), dim=1).mean(dim=0)
    torch.testing.assert_close(shares, torch.full((CLASSES,), 1 / CLASSES, dtype=torch.float64), rtol=0, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_a_constant_feature_gives_chance_to_both_probes(value):
    labels = torch.arange(200) % CLASSES
    features = torch.full((200, 8), value) * torch.linspace(0.5, 1.5, 8)
    probe = fit_linear_cached(features, labels, classes=CLASSES, weight_decay=1e-3)
    assert accuracy(probe(features), labels).top1 == 1 / CLASSES
    scores = knn_scores(features, labels, features, classes=CLASSES, k=20, temperature=0.07)
    assert accuracy(scores, labels).top1 == 1 / CLASSES


def test_noise_of_collapsed_dimensions_is_not_lifted_to_the_signals_height():
    """Labels that only a dimension of tiny variance knows stay unknown under a decay that asks for large weights."""
    labels = torch.arange(200) % 2
    noise = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    tiny = 1e-4 * (labels[:, None] - 0.5)
    probe = fit_linear_cached(torch.cat([noise, tiny], dim=1), labels, classes=2, weight_decay=1e-2)
    assert accuracy(probe(torch.cat([noise, tiny], dim=1)), labels).top1 < 0.8


def test_a_stronger_decay_gives_smaller_weights():
    features, labels = clusters(100)
    norms = [
        fit_linear_cached(features, labels, classes=CLASSES, weight_decay=decay).weight.norm().item()
        for decay in (1e-4, 1e-2, 1.0)
    ]
    assert norms == sorted(norms, reverse=True) and norms[0] > 2 * norms[1]


@pytest.mark.parametrize("weight_decay", [0.0, -1.0])
def test_a_decay_that_is_not_positive_raises(weight_decay):
    with pytest.raises(InputError) as raised:
        fit_linear_cached(*clusters(8), classes=CLASSES, weight_decay=weight_decay)
    assert str(raised.value) == f"evaluate.linear_cached.weight_decay must be positive, but got {weight_decay}."


def test_the_strength_that_does_best_on_validation_is_chosen():
    train, validation = clusters(40, d=30, spread=3.0), clusters(400, d=30, seed=1, spread=3.0)
    decays = [1e-4, 1e-1, 1e2]
    top1 = {}
    for decay in decays:
        probe = fit_linear_cached(*train, classes=CLASSES, weight_decay=decay)
        top1[decay] = accuracy(probe(validation[0]), validation[1]).top1
    probe, chosen = choose_linear_cached(train, validation, classes=CLASSES, weight_decays=decays)
    assert len(set(top1.values())) == 3  # otherwise nothing is chosen
    assert chosen == max(top1, key=top1.get)
    assert accuracy(probe(validation[0]), validation[1]).top1 == top1[chosen]


def test_of_equal_strengths_the_strongest_is_chosen_in_whatever_order_they_come():
    train, validation = clusters(40, spread=0.01), clusters(40, seed=1, spread=0.01)
    for decays in ([1e-3, 1e-2, 1e-1], [1e-1, 1e-3, 1e-2]):
        _, chosen = choose_linear_cached(train, validation, classes=CLASSES, weight_decays=decays)
        assert chosen == 1e-1


def test_no_strengths_to_choose_from_raise():
    with pytest.raises(InputError, match="must hold at least one value, but it is empty"):
        choose_linear_cached(clusters(8), clusters(8), classes=CLASSES, weight_decays=[])
