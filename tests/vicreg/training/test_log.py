"""The log of a run: its terms, its speed, its learning rates and its accuracy."""

import json

import pytest

from tests.vicreg.training.runs import same_weights, timeless
from vicreg.methods.vicreg import VICReg
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.features import encode
from vicreg.metrics.knn import knn_scores
from vicreg.training import loop
from vicreg.training.setup import view_size
from vicreg.training.step import step_metric_names

pytestmark = pytest.mark.usefixtures("shallow")


def test_a_logged_accuracy_changes_nothing_but_the_log(settings, train, digits):
    plain, probed = train(settings(epochs=3)), train(settings(epochs=3, probe_every=2))
    assert same_weights(plain, probed)
    assert [record.pop("knn") is not None for record in probed.history] == [False, True, True]  # and the last epoch's
    assert timeless(plain.history) == timeless(probed.history)


def test_the_logged_accuracy_is_that_of_a_knn_of_the_training_images_on_validation(settings, train, digits):
    given = settings(epochs=1, warmup_epochs=0, probe_every=1)
    trained = train(given)
    features = {
        part: encode(
            trained.model, getattr(digits, part).images, size=view_size(given, digits.train.images),
            mean=digits.mean, std=digits.std, batch_size=64,
        ).representations
        for part in ("train", "validation")
    }  # fmt: skip
    scores = knn_scores(features["train"], digits.train.labels, features["validation"], classes=10, k=20, temperature=0.07)
    assert trained.history[-1]["knn"] == accuracy(scores, digits.validation.labels).top1


def test_the_log_holds_every_term_weighted_and_unweighted_and_both_spaces_geometry(settings, train):
    history = train(settings(lambda_=20, mu=10, nu=3, epochs=3)).history
    assert [record["epoch"] for record in history] == [1, 2, 3]
    for record in history:
        assert {
            *step_metric_names(VICReg),
            "learning_rate",
            "images_per_second",
            "representations",
            "embeddings",
        } < record.keys()
        weights = {"invariance": 20, "variance": 10, "covariance": 3}
        for term, weight in weights.items():
            assert record[f"weighted_{term}"] == weight * record[term]
        assert record["total"] == pytest.approx(sum(record[f"weighted_{term}"] for term in weights), rel=1e-5)
        assert record["gradient_norm"] > 0 and record["images_per_second"] > 0
        assert 0 <= record["embedding_std_min"] <= record["embedding_std_mean"]
        assert 0 <= record["embedding_share_below_gamma"] <= 1
        assert record["representations"].keys() == record["embeddings"].keys() > {"std_mean", "rankme"}
    assert json.loads(json.dumps(history)) == history


def test_speed_counts_the_images_that_were_seen(settings, train, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    for drop_last, seen in ((True, 128), (False, 160)):
        history = train(settings(epochs=2, batch_size=64, drop_last=drop_last)).history
        assert [record["images_per_second"] for record in history] == [seen, seen]


@pytest.mark.parametrize(("lr_batch_size", "peak"), [(None, 0.4 * 32 / 256), (256, 0.4)])
def test_the_learning_rate_follows_the_batch_size_unless_told_otherwise(settings, train, lr_batch_size, peak):
    given = settings(epochs=2, base_lr=0.4, lr_batch_size=lr_batch_size, warmup_epochs=1, end_lr=0.002)
    history = train(given).history
    # Five steps an epoch: the last step of the warm-up is 4 / 5 of the way up, the last step of all has end_lr.
    assert history[0]["learning_rate"] == pytest.approx(0.8 * peak)
    assert history[1]["learning_rate"] == pytest.approx(0.002)
