"""k-NN scores, against a naive float64 implementation and scikit-learn."""

import math

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from tests.vicreg.features import CLASSES, clusters
from vicreg.errors import InputError
from vicreg.metrics.knn import knn_scores


def naive_knn(features, labels, queries, *, k, temperature):
    """One query and one neighbour at a time, in float64, votes as shares of exp(cosine / T)."""
    scores = []
    for query in queries.double():
        cosines = [(query @ one / query.norm() / one.norm()).item() for one in features.double()]
        nearest = sorted(range(len(features)), key=lambda index: -cosines[index])[:k]
        votes = [0.0] * CLASSES
        for index in nearest:
            votes[labels[index]] += math.exp(cosines[index] / temperature)
        scores.append([vote / sum(votes) for vote in votes])
    return torch.tensor(scores, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 5, 20, 200])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_scores_are_those_of_a_naive_implementation(k, temperature):
    (features, labels), (queries, _) = clusters(80, spread=2.0), clusters(30, seed=1, spread=2.0)
    scores = knn_scores(features, labels, queries, classes=CLASSES, k=k, temperature=temperature)
    expected = naive_knn(features, labels, queries, k=k, temperature=temperature)
    torch.testing.assert_close(scores.double(), expected, rtol=1e-4, atol=1e-6)
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


@pytest.mark.parametrize("temperature", [5e-324, 1e-60, 1e-6, 0.001, 0.07, 100.0, 1e6, 1e300])
def test_the_only_neighbour_has_the_whole_vote_however_far_it_is_and_at_any_temperature(temperature):
    scores = knn_scores(
        torch.tensor([[-1.0, 0.0]]), torch.tensor([2]), torch.tensor([[1.0, 0.0]]), classes=3, k=1, temperature=temperature
    )
    assert scores.tolist() == [[0.0, 0.0, 1.0]]


def test_a_small_temperature_leaves_the_vote_to_the_nearest_and_a_large_one_counts_neighbours():
    (features, labels), (queries, _) = clusters(300, spread=3.0), clusters(200, seed=1, spread=3.0)
    nearest, cold, warm = (
        knn_scores(features, labels, queries, classes=CLASSES, k=k, temperature=temperature)
        for k, temperature in ((1, 0.07), (20, 1e-9), (20, 1e9))
    )
    torch.testing.assert_close(cold, nearest, rtol=0, atol=1e-6)
    counts = 20 * warm
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-4)
    assert torch.equal(counts.round().sum(dim=1), torch.full((200,), 20.0))


def test_scores_do_not_depend_on_how_many_one_hot_labels_are_held_at_a_time():
    """64 classes and 2,000 neighbours are more than a block of 1,024 queries may hold at once."""
    (features, _), (queries, _) = clusters(2000), clusters(300, seed=1)
    labels = torch.arange(2000) % 64
    whole = knn_scores(features, labels, queries, classes=64, k=2000, temperature=0.5)
    some = knn_scores(features, labels, queries[250:], classes=64, k=2000, temperature=0.5)
    torch.testing.assert_close(whole[250:], some)
    torch.testing.assert_close(whole.sum(dim=1), torch.ones(300))


@pytest.mark.parametrize(("k", "temperature"), [(0, 0.07), (20, 0.0), (20, -1.0), (20, math.inf), (20, math.nan)])
def test_impossible_neighbours_and_temperatures_raise(k, temperature):
    features, labels = clusters(8)
    with pytest.raises(InputError, match=f"but got {k} and {temperature}"):
        knn_scores(features, labels, features, classes=CLASSES, k=k, temperature=temperature)
