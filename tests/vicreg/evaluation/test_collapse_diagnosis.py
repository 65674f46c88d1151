"""Each kind of collapse is named, and the first test that fails decides."""

import pytest
import torch

from tests.vicreg.features import equicorrelated, gaussian, orthonormal
from vicreg.evaluation.collapse_diagnosis import diagnose_collapse
from vicreg.metrics.collapse import collapse_metrics, collapse_trace


def partly_dead(share):
    features = gaussian(150, 100)
    features[:, : round(100 * share)] = 0.3
    return features


HEALTHY = gaussian(150, 64)
RANK_ONE = gaussian(150, 1) @ gaussian(1, 64, seed=5)
# All dimensions live and uncorrelated, yet two carry nearly all of the variance.
TWO_DIRECTIONS = orthonormal(150, 64) * torch.tensor([10.0] * 2 + [0.02] * 62)


def judge(embeddings, representations=HEALTHY, *, knn_accuracy=0.9, chance=0.1, measure=collapse_trace):
    return diagnose_collapse(
        embeddings=measure(embeddings),
        representations=measure(representations),
        knn_accuracy=knn_accuracy,
        chance=chance,
    )


@pytest.mark.parametrize(
    ("name", "embeddings", "representations"),
    [
        ("complete", torch.full((150, 64), 0.7), HEALTHY),
        ("complete", 1e-3 * gaussian(150, 64), HEALTHY),  # isotropic, in directions without length
        ("complete", gaussian(150, 64) + 100, HEALTHY),  # of std 1, yet all rows alike
        ("dimensional", partly_dead(0.6), HEALTHY),
        ("dimensional", TWO_DIRECTIONS, HEALTHY),
        ("dimensional", HEALTHY, RANK_ONE),
        ("informational", RANK_ONE, HEALTHY),
        ("informational", equicorrelated(150, 100, 0.6), HEALTHY),
        ("healthy", equicorrelated(150, 100, 0.4), HEALTHY),
        ("healthy", partly_dead(0.4), HEALTHY),
        ("healthy", HEALTHY, HEALTHY),
    ],
)
def test_the_diagnosis_names_each_collapse(name, embeddings, representations):
    assert judge(embeddings, representations).name == name
    assert judge(embeddings, representations, measure=collapse_metrics).name == name


def test_scale_free_metrics_alone_would_call_tiny_noise_healthy():
    tiny = collapse_trace(1e-3 * gaussian(150, 64))
    fair = collapse_trace(gaussian(150, 64))
    for name in ("normalised_std", "rankme", "rms_correlation"):
        assert tiny[name] == pytest.approx(fair[name])


def test_healthy_geometry_with_chance_accuracy_is_uninformative_and_without_a_probe_healthy():
    assert judge(HEALTHY, knn_accuracy=0.15).name == "uninformative"
    assert judge(HEALTHY, knn_accuracy=0.15, chance=0.01).name == "healthy"
    assert judge(HEALTHY, knn_accuracy=None).name == "healthy"
    assert judge(HEALTHY, chance=None).name == "healthy"


def test_metrics_without_a_rank_are_judged_by_the_others():
    for features, type_ in ((torch.ones(150, 64).double(), "complete"), (HEALTHY, "healthy")):
        judged = diagnose_collapse(
            embeddings=collapse_trace(features, rank=False), representations=collapse_trace(HEALTHY, rank=False),
            knn_accuracy=0.9, chance=0.1,
        )  # fmt: skip
        assert judged.name == type_ and "RankMe" not in judged.reason


def test_embeddings_in_which_two_views_of_an_image_are_strangers_are_uninformative_however_good_the_probe():
    def named(noise):
        views = [HEALTHY + noise * gaussian(150, 64, seed=seed) for seed in (1, 2)]
        metrics = collapse_metrics(HEALTHY, views=(views[0], views[1]))
        trace = collapse_trace(HEALTHY)
        untrained = {"view_discrepancy": 0.9}
        return diagnose_collapse(
            embeddings=metrics, representations=trace, knn_accuracy=0.99, chance=0.1, untrained=untrained
        )

    assert named(10.0).name == "uninformative"
    expected = "The embeddings' view discrepancy, next to the untrained network's, is 0.976, above 0.9."
    assert named(10.0).reason == expected
    assert named(1.0).name == "healthy"  # half of the variance is the image's, so the discrepancy is a half
    assert "the embeddings' view discrepancy, next to the untrained network's, 0.487 (not above 0.9)" in named(1.0).reason


def test_complete_collapse_is_judged_in_units_of_gamma():
    small = collapse_metrics(0.05 * HEALTHY)
    judged = dict(embeddings=small, representations=small, knn_accuracy=None, chance=None)
    assert diagnose_collapse(**judged).name == "complete"
    assert diagnose_collapse(**judged, target_std=0.05).name == "healthy"


def test_representations_may_see_the_view_as_long_as_the_embeddings_do_not():
    strangers = collapse_metrics(HEALTHY, views=(HEALTHY, gaussian(150, 64, seed=3)))
    alike = collapse_metrics(HEALTHY, views=(HEALTHY, HEALTHY))
    given = {"knn_accuracy": 0.9, "chance": 0.1, "untrained": {"view_discrepancy": 0.9}}
    assert diagnose_collapse(embeddings=alike, representations=strangers, **given).name == "healthy"
    assert diagnose_collapse(embeddings=strangers, representations=alike, **given).name == "uninformative"


def test_the_first_collapse_in_order_is_the_one_named():
    redundant = equicorrelated(150, 100, 0.9)
    assert judge(redundant, RANK_ONE, knn_accuracy=0.1).name == "informational"
    assert judge(HEALTHY, RANK_ONE, knn_accuracy=0.1).name == "dimensional"
    redundant[:, :60] = 0
    assert judge(redundant, knn_accuracy=0.1).reason.startswith("The embeddings' dead share")
    assert judge(1e-3 * redundant, knn_accuracy=0.1).name == "complete"


def test_the_reason_gives_the_value_and_the_threshold():
    assert judge(torch.full((150, 64), 0.7)).reason == "The embeddings' mean std is 0, below 0.1."
    assert judge(partly_dead(0.6)).reason == "The embeddings' dead share is 0.6, above 0.5."
    assert judge(RANK_ONE).reason == "The embeddings' root-mean-square correlation is 1, above 0.5."
    assert judge(HEALTHY, RANK_ONE).reason == "The representations' RankMe is 1, below 4."
    assert judge(HEALTHY, knn_accuracy=0.15).reason == "The k-NN accuracy is 0.15, below 0.2."
    healthy = judge(HEALTHY).reason
    assert "the k-NN accuracy 0.9 (not below 0.2)" in healthy
    assert "the embeddings' normalised std" in healthy
