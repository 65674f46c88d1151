"""Each kind of collapse is named, and the first test that fails decides."""

from collections import Counter

import pytest
import torch

from tests.vicreg.features import equicorrelated, gaussian, orthonormal
from vicreg.evaluation.collapse_criteria import Untrained
from vicreg.evaluation.collapse_diagnosis import ONE_CLASS, diagnose_collapse
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
        images=len(embeddings),
        dimensions=(embeddings.shape[1], representations.shape[1]),
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


def test_healthy_geometry_with_chance_accuracy_is_chance_level_and_without_a_probe_healthy():
    assert judge(HEALTHY, knn_accuracy=0.15).name == "chance-level"
    assert judge(HEALTHY, knn_accuracy=0.15, chance=0.01).name == "healthy"
    assert judge(HEALTHY, knn_accuracy=0.09, chance=0.01).name == "healthy"  # nine times a guess among a hundred classes
    assert judge(HEALTHY, knn_accuracy=None).name == "healthy"
    assert judge(HEALTHY, chance=None).name == "healthy"


def test_metrics_without_a_rank_are_judged_by_the_others():
    for features, type_ in ((torch.ones(150, 64).double(), "complete"), (HEALTHY, "healthy")):
        judged = diagnose_collapse(
            embeddings=collapse_trace(features, rank=False), representations=collapse_trace(HEALTHY, rank=False),
            knn_accuracy=0.9, chance=0.1, images=150, dimensions=(64, 64),
        )  # fmt: skip
        assert judged.name == type_ and "RankMe" not in judged.reason


def test_embeddings_in_which_two_views_of_an_image_are_strangers_are_view_dependent_however_good_the_probe():
    def named(noise):
        views = [HEALTHY + noise * gaussian(150, 64, seed=seed) for seed in (1, 2)]
        metrics = collapse_metrics(HEALTHY, views=(views[0], views[1]))
        trace = collapse_trace(HEALTHY)
        return diagnose_collapse(
            embeddings=metrics, representations=trace, knn_accuracy=0.99, chance=0.1, images=150, dimensions=(64, 64),
            untrained=Untrained(view_discrepancy=0.9),
        )  # fmt: skip

    assert named(10.0).name == "view-dependent"
    expected = "The embeddings' view discrepancy is 0.976, above the untrained network's 0.9."
    assert named(10.0).reason == expected
    assert named(1.0).name == "healthy"  # half of the variance is the image's, so the discrepancy is a half
    assert "The closest is the embeddings' view discrepancy at 0.487; above the untrained network's 0.9" in named(1.0).reason


def test_complete_collapse_is_judged_in_units_of_gamma():
    small = collapse_metrics(0.05 * HEALTHY)
    judged = dict(embeddings=small, representations=small, knn_accuracy=None, chance=None, images=150, dimensions=(64, 64))
    assert diagnose_collapse(**judged).name == "complete"
    assert diagnose_collapse(**judged, target_std=0.05).name == "healthy"


def test_representations_may_see_the_view_as_long_as_the_embeddings_do_not():
    strangers = collapse_metrics(HEALTHY, views=(HEALTHY, gaussian(150, 64, seed=3)))
    alike = collapse_metrics(HEALTHY, views=(HEALTHY, HEALTHY))
    given = {
        "knn_accuracy": 0.9, "chance": 0.1, "untrained": Untrained(view_discrepancy=0.9), "images": 150,
        "dimensions": (64, 64),
    }  # fmt: skip
    assert diagnose_collapse(embeddings=alike, representations=strangers, **given).name == "healthy"
    assert diagnose_collapse(embeddings=strangers, representations=alike, **given).name == "view-dependent"


def test_the_first_collapse_in_order_is_the_one_named():
    redundant = equicorrelated(150, 100, 0.9)
    assert judge(redundant, RANK_ONE, knn_accuracy=0.1).name == "informational"
    assert judge(HEALTHY, RANK_ONE, knn_accuracy=0.1).name == "dimensional"
    redundant[:, :60] = 0
    assert judge(redundant, knn_accuracy=0.1).reason.startswith("The embeddings' share of dead dimensions")
    assert judge(1e-3 * redundant, knn_accuracy=0.1).name == "complete"


def test_the_reason_gives_the_value_and_the_threshold():
    constant = judge(torch.full((150, 64), 0.7))
    assert constant.reason == "The embeddings' mean std is 0, below 0.1: 0 % of the method's target."
    assert constant.deciding == ("the embeddings' mean std", 0, "below", 0.1, "")
    assert judge(partly_dead(0.6)).reason == "The embeddings' share of dead dimensions is 0.6, above 0.5."
    assert judge(RANK_ONE).reason == "The embeddings' root-mean-square correlation is 1, above 0.505."
    assert judge(HEALTHY, RANK_ONE).reason == "The representations' RankMe is 1, below 4."
    assert judge(HEALTHY, knn_accuracy=0.15).reason == (
        "The k-NN accuracy is 0.15, below 0.19; always answering the largest class has 0.1."
    )
    assert judge(0.104 * HEALTHY / HEALTHY.std(dim=0)).reason == (
        "No measure is beyond its threshold. The closest is the embeddings' mean std at 0.104; below 0.1 it would name a "
        "collapse."
    )


# ---- few held-out images


def names_of_isotropic(images, d, *, draws):
    """How often each name is given to isotropic features."""
    return Counter(
        judge(gaussian(images, d, seed=seed), gaussian(images, 32, seed=9000 + seed), knn_accuracy=None).name
        for seed in range(draws)
    )


@pytest.mark.parametrize(("images", "d"), [(2, 64), (5, 64), (7, 1), (8, 1), (8, 4), (8, 64), (20, 4)])
def test_isotropic_features_of_few_images_are_not_called_a_collapse(images, d):
    names = names_of_isotropic(images, d, draws=200)
    expected = "healthy" if images >= 8 and d * (images - 1) >= 8 else "undetermined"
    assert names[expected] >= 198  # a false label in at most 1 of 100


@pytest.mark.exhaustive
@pytest.mark.parametrize("images", [2, 3, 6, 8, 9, 10, 12, 16, 32])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 8, 200])
def test_false_labels_of_isotropic_features_are_rare_at_every_number_of_images_and_dimensions(images, d):
    names = names_of_isotropic(images, d, draws=500)
    assert names["healthy"] + names["undetermined"] >= 495
    assert not (names["healthy"] and names["undetermined"])


@pytest.mark.parametrize("images", [2, 3, 5, 8, 12, 40])
def test_a_true_collapse_is_named_at_every_number_of_images_that_can_tell(images):
    constant = judge(torch.full((images, 64), 0.7), gaussian(images, 64), knn_accuracy=None)
    assert constant.name == ("complete" if images >= 8 else "undetermined")
    dead = gaussian(images, 64)
    dead[:, :40] = 0.3
    unused = judge(dead, gaussian(images, 64), knn_accuracy=None)
    assert unused.name == ("dimensional" if images >= 8 else "undetermined")
    copies = judge(gaussian(images, 1) @ gaussian(1, 64, seed=5), gaussian(images, 64), knn_accuracy=None)
    assert copies.name == ("informational" if images >= 8 else "undetermined")
    flat = judge(gaussian(images, 64), gaussian(images, 1) @ gaussian(1, 64, seed=5), knn_accuracy=None)
    assert flat.name == ("dimensional" if images >= 8 else "undetermined")


def test_too_few_images_are_said_with_their_number_the_number_wanted_and_the_remedy():
    few = judge(gaussian(5, 64), gaussian(5, 64), knn_accuracy=None)
    assert few.reason == (
        "5 held-out images are too few to tell: the embeddings' mean std takes at least 8. Raise prepare.validation or add "
        "images."
    )
    assert few.borderline is few.deciding is None


def test_an_accuracy_that_a_guess_often_has_is_undetermined_until_there_are_enough_images():
    few = judge(gaussian(10, 64), gaussian(10, 64), knn_accuracy=0.2, chance=0.1)
    assert few.name == "undetermined" and few.reason.startswith(
        "10 held-out images are too few to tell: the k-NN accuracy takes at least 80."
    )
    assert judge(gaussian(80, 64), gaussian(80, 64), knn_accuracy=0.2, chance=0.1).name == "healthy"


# ---- accuracy that can say nothing, and bounds that can be met


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5, 0.92])
def test_a_perfect_vote_is_never_at_chance_level_and_the_vote_for_the_largest_class_always_is(chance):
    assert judge(gaussian(500, 64), knn_accuracy=1.0, chance=chance).name == "healthy"
    assert judge(gaussian(500, 64), knn_accuracy=chance, chance=chance).name == "chance-level"


def test_a_perfect_vote_on_classes_of_8_and_92_percent_is_healthy_on_few_images_too():
    features = gaussian(25, 64)
    trace = collapse_trace(features)
    given = {"embeddings": trace, "representations": trace, "images": 25, "dimensions": (64, 64), "chance": 0.92}
    assert diagnose_collapse(**given, knn_accuracy=1.0, class_counts=[23, 2]).name == "healthy"
    assert diagnose_collapse(**given, knn_accuracy=1.0, class_counts=None).name == "undetermined"
    assert diagnose_collapse(**given, knn_accuracy=0.92, class_counts=[23, 2]).name != "healthy"


def test_with_one_class_accuracy_says_nothing_and_geometry_still_names_a_collapse():
    healthy = judge(HEALTHY, knn_accuracy=1.0, chance=1.0)
    assert healthy.name == "healthy" and healthy.reason.endswith(ONE_CLASS) and "k-NN" not in healthy.reason
    assert judge(RANK_ONE, knn_accuracy=1.0, chance=1.0).name == "informational"
    strangers = collapse_metrics(HEALTHY, views=(HEALTHY, gaussian(150, 64, seed=3)))
    named = diagnose_collapse(
        embeddings=strangers, representations=strangers, knn_accuracy=1.0, chance=1.0, images=150, dimensions=(64, 64),
        untrained=Untrained(view_discrepancy=0.5, knn_accuracy=1.0),
    )  # fmt: skip
    assert named.name == "view-dependent" and "k-NN" not in named.reason


# ---- a label does not contradict the number beside it


def judge_views(*, knn_accuracy, before):
    strangers = collapse_metrics(HEALTHY, views=(HEALTHY, gaussian(150, 64, seed=3)))  # a view discrepancy of about 1
    return diagnose_collapse(
        embeddings=strangers, representations=strangers, knn_accuracy=knn_accuracy, chance=0.1, images=150,
        dimensions=(64, 64), untrained=Untrained(view_discrepancy=0.8, knn_accuracy=before),
    )  # fmt: skip


def test_a_vote_better_than_the_untrained_networks_is_not_view_dependent_whatever_the_views():
    better, worse = judge_views(knn_accuracy=0.9, before=0.86), judge_views(knn_accuracy=0.84, before=0.86)
    assert (better.name, worse.name) == ("healthy", "view-dependent")
    assert worse.reason.endswith("above the untrained network's 0.8; the k-NN accuracy, 0.84, is not above its 0.86.")
    assert better.reason.startswith("No collapse is named. The embeddings' view discrepancy is 0.995, above the untrained ")
    assert better.reason.endswith("network's 0.8; the k-NN accuracy, 0.9, is above its 0.86.")


# ---- borderline


def spread_of(std):
    """Isotropic embeddings whose mean std is exactly `std`."""
    return std * HEALTHY / HEALTHY.std(dim=0)


@pytest.mark.parametrize(
    ("std", "name", "other"),
    [
        (0.0899, "complete", None),
        (0.0901, "complete", "healthy"),
        (0.0986, "complete", "healthy"),
        (0.1099, "healthy", "complete"),
        (0.1101, "healthy", None),
    ],
)
def test_a_measure_within_a_tenth_of_its_threshold_is_borderline_on_either_side(std, name, other):
    named = judge(spread_of(std))
    assert named.name == name and (named.borderline is None) == (other is None)
    if other is not None:
        assert named.borderline == (
            f"The embeddings' mean std, {std:.3g}, is within 10 % of the threshold 0.1; beyond it the type would be {other}."
        )


def test_a_measure_near_its_threshold_is_not_borderline_where_the_name_would_stay():
    alike = spread_of(0.0986) + 100  # of this std, and also nearly one point by the normalised std
    assert judge(alike).name == "complete" and judge(alike).borderline is None
    redundant = spread_of(0.0986) @ (0.01 * torch.eye(64, dtype=torch.float64) + 0.99 / 64)  # informational, if not complete
    redundant = 0.0986 * redundant / redundant.std(dim=0)
    assert judge(redundant).borderline.endswith("the type would be informational.")


def test_a_lead_over_the_untrained_networks_vote_that_is_small_is_borderline():
    clear, close = judge_views(knn_accuracy=0.99, before=0.86), judge_views(knn_accuracy=0.87, before=0.86)
    assert clear.name == close.name == "healthy" and clear.borderline is None
    assert close.borderline == (
        "The k-NN accuracy, 0.87, is within 10 % of the untrained network's 0.86; beyond it the type would be "
        "view-dependent."
    )


# ---- methods whose loss fixes no scale


def on_sphere(features):
    return features / features.norm(dim=1, keepdim=True)


def judge_free(embeddings, *, target_std=None):
    """The diagnosis by geometry alone of a method that drives no dimension to a std of its own."""
    measured = collapse_metrics(embeddings)
    return diagnose_collapse(
        embeddings=measured, representations=measured, knn_accuracy=None, chance=None, images=len(embeddings),
        dimensions=(embeddings.shape[1],) * 2, target_std=target_std,
    ).name  # fmt: skip


@pytest.mark.parametrize("d", [64, 128, 512, 2048])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_healthy_embeddings_on_a_sphere_are_healthy_without_a_target_at_any_width_and_scale(d, scale):
    assert judge_free(scale * on_sphere(gaussian(150, d))) == "healthy"


def test_with_a_target_of_one_the_same_sphere_is_a_complete_collapse():
    assert judge_free(on_sphere(gaussian(150, 128)), target_std=1.0) == "complete"  # its std is 0.088


def test_many_dimensions_of_a_sphere_are_not_dead_though_their_std_is_below_the_dead_one():
    wide = on_sphere(gaussian(60, 20_000))
    assert collapse_metrics(wide)["dead_share"] > 0.99 and judge_free(wide) == "healthy"


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("d", [64, 512])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("complete", lambda d: torch.full((150, d), 0.7, dtype=torch.float64)),
        ("complete", lambda d: gaussian(150, d) + 100),
        ("complete", lambda d: 1e-3 * gaussian(150, d) + 1),
        ("informational", lambda d: gaussian(150, 1) @ gaussian(1, d, seed=5)),
        ("informational", lambda d: gaussian(150, 3) @ gaussian(3, d, seed=5)),
        ("informational", lambda d: gaussian(150, 2).repeat(1, d // 2)),  # each dimension has d / 2 - 1 copies
        ("dimensional", lambda d: torch.cat([gaussian(150, d // 4), torch.zeros(150, d - d // 4)], dim=1)),
    ],
)
def test_collapses_made_on_purpose_are_named_without_a_threshold_on_std(name, make, d, normalised):
    features = make(d)
    assert judge_free(on_sphere(features) if normalised else features) == name
    assert judge_free(1e-6 * features) == name
