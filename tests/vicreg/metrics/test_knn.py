"""Probes of frozen features, against closed forms, a naive float64 implementation, and scikit-learn."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.metrics.knn import accuracy, choose_linear_cached, fit_linear_cached, knn_scores

CLASSES = 4


def clusters(n: int, *, d: int = 12, seed: int = 0, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """n features around one centre a class; the centres are the same for every seed. Classes take turns."""
    centres = torch.randn(CLASSES, d, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(n) % CLASSES
    noise = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return centres[labels] + spread * noise, labels


# ---- accuracy


def test_accuracy_of_a_case_worked_by_hand():
    scores = torch.tensor(
        [
            [0.1, 0.7, 0.2, 0, 0, 0],  # true 1, answered 1
            [0.6, 0.1, 0.3, 0, 0, 0],  # true 2, answered 0, in the top five
            [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],  # true 0, answered 5, sixth of six
            [0.9, 0.0, 0.0, 0, 0, 0],  # true 0, answered 0
        ]
    )
    measured = accuracy(scores, torch.tensor([1, 2, 0, 0]))
    assert (measured.top1, measured.top5) == (0.5, 0.75)
    assert measured.correct == "90"  # 1001 and four zeros to fill the byte
    assert measured.per_class == (0.5, 1.0, 0.0, 0.0, 0.0, 0.0)  # classes 3 to 5 have no images
    assert measured.confusion == (
        (1, 0, 0, 0, 0, 1),
        (0, 1, 0, 0, 0, 0),
        (1, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0),
    )


def test_ties_go_to_the_lowest_class_so_a_constant_score_is_right_by_chance_alone():
    labels = torch.arange(100) % 10
    measured = accuracy(torch.zeros(100, 10), labels)
    assert measured.top1 == 0.1 and measured.top5 == 0.5
    assert measured.per_class == (1.0,) + (0.0,) * 9


def test_with_fewer_than_five_classes_top5_is_certain():
    measured = accuracy(torch.tensor([[0.0, 1.0, 2.0]] * 2), torch.tensor([0, 1]))
    assert (measured.top1, measured.top5) == (0.0, 1.0)


def test_accuracies_are_the_confusions_diagonal():
    scores = torch.randn(200, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 7, (200,), generator=torch.Generator().manual_seed(1))
    measured = accuracy(scores, labels)
    confusion = torch.tensor(measured.confusion)
    assert confusion.sum() == 200 and torch.equal(confusion.sum(dim=1), torch.bincount(labels, minlength=7))
    assert measured.top1 == confusion.trace().item() / 200
    assert measured.per_class == pytest.approx((confusion.diagonal() / confusion.sum(dim=1)).tolist())
    assert measured.top1 <= measured.top5


def test_what_is_right_image_by_image_adds_up_to_top1():
    scores = torch.randn(203, 7, generator=torch.Generator().manual_seed(0))
    measured = accuracy(scores, torch.arange(203) % 7)
    bits = [int(bit) for digit in measured.correct for bit in f"{int(digit, 16):04b}"]
    assert len(bits) == 208 and sum(bits) / 203 == measured.top1
    assert bits[:203] == (scores.argmax(dim=1) == torch.arange(203) % 7).int().tolist()


@pytest.mark.parametrize("transform", [lambda s: 3 * s + 5, torch.exp, lambda s: s.double()])
def test_accuracy_sees_the_order_of_scores_alone(transform):
    scores = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 6, (50,), generator=torch.Generator().manual_seed(1))
    assert accuracy(scores, labels) == accuracy(transform(scores), labels)


# ---- k-NN


def naive_knn(features, labels, queries, *, k, temperature):
    """One query and one neighbour at a time, in float64, votes as exp(cosine / T)."""
    scores = []
    for query in queries.double():
        cosines = [(query @ one / query.norm() / one.norm()).item() for one in features.double()]
        nearest = sorted(range(len(features)), key=lambda index: -cosines[index])[:k]
        votes = [0.0] * CLASSES
        for index in nearest:
            votes[labels[index]] += math.exp(cosines[index] / temperature)
        scores.append(votes)
    return torch.tensor(scores, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 5, 20, 200])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_scores_are_those_of_a_naive_implementation(k, temperature):
    (features, labels), (queries, _) = clusters(80, spread=2.0), clusters(30, seed=1, spread=2.0)
    scores = knn_scores(features, labels, queries, classes=CLASSES, k=k, temperature=temperature)
    expected = naive_knn(features, labels, queries, k=k, temperature=temperature) * math.exp(-1 / temperature)
    torch.testing.assert_close(scores.double(), expected, rtol=1e-4, atol=1e-9)
    assert torch.equal(scores.argmax(dim=1), expected.argmax(dim=1))


def test_one_neighbour_answers_as_scikit_learns_nearest_neighbour():
    (features, labels), (queries, _) = clusters(300, spread=3.0), clusters(200, seed=1, spread=3.0)
    reference = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(features.numpy(), labels.numpy())
    scores = knn_scores(features, labels, queries, classes=CLASSES, k=1, temperature=0.07)
    assert scores.argmax(dim=1).tolist() == reference.predict(queries.numpy()).tolist()


def test_more_neighbours_than_features_are_all_features():
    (features, labels), (queries, _) = clusters(12), clusters(5, seed=1)
    scores = [knn_scores(features, labels, queries, classes=CLASSES, k=k, temperature=0.5) for k in (12, 13, 10_000)]
    assert torch.equal(scores[0], scores[1]) and torch.equal(scores[0], scores[2])


def test_blocks_of_queries_are_scored_as_one():
    (features, labels), (queries, _) = clusters(50), clusters(2500, seed=1)
    whole = knn_scores(features, labels, queries, classes=CLASSES, k=5, temperature=0.5)
    some = knn_scores(features, labels, queries[2000:2100], classes=CLASSES, k=5, temperature=0.5)
    assert whole.shape == (2500, CLASSES)
    torch.testing.assert_close(whole[2000:2100], some)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_knn_does_not_see_the_features_scale(scale):
    (features, labels), (queries, _) = clusters(80, spread=2.0), clusters(40, seed=1, spread=2.0)
    expected = knn_scores(features, labels, queries, classes=CLASSES, k=5, temperature=0.07)
    scaled = knn_scores(scale * features, labels, scale * queries, classes=CLASSES, k=5, temperature=0.07)
    torch.testing.assert_close(scaled, expected, rtol=1e-4, atol=1e-9)


def test_a_far_neighbour_votes_without_overflow_or_underflow_to_nothing():
    scores = knn_scores(
        torch.tensor([[-1.0, 0.0]]), torch.tensor([2]), torch.tensor([[1.0, 0.0]]), classes=3, k=1, temperature=0.07
    )
    assert scores[0, 2] == pytest.approx(math.exp(-2 / 0.07), rel=1e-4) and scores[0, :2].sum() == 0


@pytest.mark.parametrize(("k", "temperature"), [(0, 0.07), (20, 0.0), (20, -1.0)])
def test_impossible_neighbours_and_temperatures_raise(k, temperature):
    features, labels = clusters(8)
    with pytest.raises(InputError, match=f"but got {k} and {temperature}"):
        knn_scores(features, labels, features, classes=CLASSES, k=k, temperature=temperature)


# ---- the cached-feature linear probe


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


# ---- choosing its strength


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
