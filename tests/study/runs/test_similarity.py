"""How alike runs are: from their weights, once a pair, and kept where weights are deleted."""

import dataclasses

import pytest
import torch

from study.runs import similarity
from study.runs.run import make_run
from study.runs.similarity import similarities
from study.runs.store import Store
from vicreg.metrics.cka import linear_cka
from vicreg.metrics.features import encode
from vicreg.training.checkpoint import save_weights
from vicreg.training.setup import new_model

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def run_at(tiny_config, digits, store):
    """Return a run of these settings, whose network has its initial weights in the store."""

    def make(**settings):
        config = tiny_config({f"pretrain.{key}": value for key, value in settings.items()})
        run = make_run(config, data=digits.digest, device=CPU, probes=("knn",))
        save_weights(store.weights_path(run.digest), new_model(config.pretrain, digits))
        return run

    return make


def measured(runs, store, digits):
    return similarities(runs, store=store, dataset=digits, device=CPU)


def forbidden(*_, **__):
    raise AssertionError("a network was loaded")


def test_a_pair_is_the_cka_of_representations_of_the_test_images(run_at, store, digits):
    runs = [run_at(seed=0), run_at(seed=1), run_at(seed=2, width=8)]
    found = measured(runs, store, digits)
    features = [
        encode(
            new_model(run.config.pretrain, digits),
            digits.test.images,
            size=8,
            mean=digits.mean,
            std=digits.std,
            batch_size=16,
        ).representations
        for run in runs
    ]
    for one in range(3):
        for other in range(3):
            assert found[one][other] == pytest.approx(linear_cka(features[one], features[other]), abs=1e-4)
    assert found[0][0] == 1 and found[0][1] < 0.9999 and found[0][1] == found[1][0]


def test_a_pair_is_computed_once_and_is_known_without_weights(run_at, store, digits, monkeypatch):
    runs = [run_at(seed=0), run_at(seed=1)]
    first = measured(runs, store, digits)
    monkeypatch.setattr(similarity, "trained_model", forbidden)
    assert measured(runs[::-1], store, digits) == [row[::-1] for row in first[::-1]]
    for run in runs:
        store.weights_path(run.digest).unlink()
    assert measured(runs, store, digits) == first


def test_a_run_without_weights_is_left_out_and_found_when_it_has_some(run_at, store, digits):
    runs = [run_at(seed=0), run_at(seed=1)]
    path = store.weights_path(runs[1].digest)
    weights = path.read_bytes()
    path.write_bytes(weights[: len(weights) // 2])  # torn
    assert measured(runs, store, digits) == [[1.0, None], [None, None]]
    path.write_bytes(weights)
    assert all(value is not None for row in measured(runs, store, digits) for value in row)


def test_other_images_are_other_pairs(run_at, store, digits):
    runs = [run_at(seed=0), run_at(seed=1)]
    first = measured(runs, store, digits)
    fewer = dataclasses.replace(digits.test, images=digits.test.images[:20], labels=digits.test.labels[:20])
    assert measured(runs, store, dataclasses.replace(digits, test=fewer)) != first
    assert len(list((store.root / "similarity").glob("*.json"))) == 2


def test_too_few_images_tell_nothing(run_at, store, digits):
    few = dataclasses.replace(digits.test, images=digits.test.images[:3], labels=digits.test.labels[:3])
    assert measured([run_at(seed=0)], store, dataclasses.replace(digits, test=few)) == [[None]]
