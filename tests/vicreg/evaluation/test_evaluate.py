"""Probes and collapse are measured, and nothing measured on test decides anything."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch

from vicreg.data.dataset import Dataset, Split
from vicreg.errors import InputError
from vicreg.evaluation import evaluate as evaluation
from vicreg.evaluation.evaluate import best_on_validation, chance_accuracy, evaluate
from vicreg.evaluation.held_out_views import encode_held_out_views, encode_surrogate_classes, measure_collapse
from vicreg.evaluation.linear_probe import LinearClassifier
from vicreg.evaluation.settings import PROBES, EvaluateSettings
from vicreg.metrics.accuracy import accuracy
from vicreg.metrics.collapse import collapse_metrics
from vicreg.metrics.features import encode
from vicreg.metrics.knn import knn_scores
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.training.loop import pretrain
from vicreg.training.setup import new_model
from vicreg.views.settings import ViewSettings

CPU = torch.device("cpu")
LIDAR_VIEWS = 4


@pytest.fixture(scope="module")
def config(tiny_config):
    return tiny_config({"pretrain.epochs": 2})


@pytest.fixture(scope="module", autouse=True)
def few_views() -> Iterator[None]:
    """LiDAR of fewer views of an image, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vicreg.evaluation.held_out_views.LIDAR_VIEWS", LIDAR_VIEWS)
        yield


@pytest.fixture(scope="module")
def model(config, digits, shallow, tmp_path_factory) -> JointEmbedding:
    folder = tmp_path_factory.mktemp("run")
    return pretrain(config.pretrain, digits, device=CPU, folder=folder, identity="run").model


@pytest.fixture(scope="module")
def measure(config, model, digits) -> Callable[..., dict]:
    """`measure(dataset=..., probes=...)`: the tiny run's model, measured."""

    def run(
        dataset: Dataset = digits, *, network: JointEmbedding = model, probes=("knn", "linear_cached"), target_std=1.0
    ) -> dict:
        return evaluate(
            network, dataset, control=new_model(config.pretrain, dataset), settings=config.evaluate, probes=probes,
            views=config.pretrain.views, target_std=target_std, size=8, seed=0, device=CPU,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def measured(measure) -> Callable[..., dict]:
    """`measured(probes=...)`: what `measure` returns, once for all tests, which do not change it."""
    made: dict[tuple[str, ...], dict] = {}

    def read(probes=("knn", "linear_cached")) -> dict:
        if probes not in made:
            made[probes] = measure(probes=probes)
        return made[probes]

    return read


def without_test(results: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in results.items() if key != "test"}


# ---- test decides nothing


class Watched(NamedTuple):
    """What is measured of the data set and then of the same with wrong labels of test, and the calls that both make of some
    functions, by name: arguments, named arguments, result."""

    before: dict
    after: dict
    calls: dict[str, list[tuple]]


@pytest.fixture(scope="module")
def watched(measure, digits) -> Watched:
    names = ("choose_linear_cached", "diagnose_collapse")
    calls: dict[str, list[tuple]] = {name: [] for name in names}

    def watch(name: str) -> Callable:
        original = getattr(evaluation, name)

        def called(*arguments, **named):
            calls[name].append((arguments, named, original(*arguments, **named)))
            return calls[name][-1][-1]

        return called

    wrong = Split(images=digits.test.images, labels=(digits.test.labels + 1) % 10)
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(evaluation, name, watch(name))
        before, after = measure(probes=PROBES), measure(dataclasses.replace(digits, test=wrong), probes=PROBES)
    return Watched(before, after, calls)


def test_wrong_test_labels_change_the_test_results_alone(watched):
    before, after = watched.before, watched.after
    assert without_test(before) == without_test(after) and before["test"].keys() == after["test"].keys()
    assert all(before["test"][probe] != after["test"][probe] for probe in before["test"])


def test_the_weight_decay_is_chosen_on_validation(watched, digits):
    calls = watched.calls["choose_linear_cached"]
    for (train, validation), _, _ in calls:
        assert torch.equal(train[1], digits.train.labels) and torch.equal(validation[1], digits.validation.labels)
        assert torch.equal(validation[0], calls[0][0][1][0])
    (first, first_decay), (second, second_decay) = (result for _, _, result in calls)
    assert first_decay == second_decay and torch.equal(first.weight, second.weight)


def test_the_diagnosis_is_from_validation(watched):
    (_, first, _), (_, second, _) = watched.calls["diagnose_collapse"]
    assert first == second
    results = watched.before
    assert first["knn_accuracy"] == results["validation"]["knn_5"]["top1"] != results["test"]["knn_5"]["top1"]


def test_other_test_images_change_the_test_results_alone(measure, measured, digits):
    other = Split(images=255 - digits.test.images, labels=digits.test.labels)
    before, after = measured(), measure(dataclasses.replace(digits, test=other))
    assert without_test(before) == without_test(after) and before["test"] != after["test"]


def test_wrong_validation_labels_do_change_what_is_measured_on_validation(measure, measured, digits):
    wrong = Split(images=digits.validation.images, labels=(digits.validation.labels + 1) % 10)
    before, after = measured(), measure(dataclasses.replace(digits, validation=wrong))
    assert before["validation"] != after["validation"]
    assert before["test"]["knn_5"] == after["test"]["knn_5"] and before["collapse"] == after["collapse"]


# ---- what is there


def test_every_probe_is_reported_under_its_own_name(measured, watched):
    for results, names in (
        (measured(), {"knn_5", "knn_20", "linear_cached"}),
        (measured(("linear",)), {"linear"}),
        (watched.before, {"knn_5", "knn_20", "linear", "linear_cached"}),
    ):
        assert results["validation"].keys() == results["test"].keys() == names


def test_classes_and_confusion_are_reported_on_test_alone(measured, digits):
    results = measured()
    for name, of_test in results["test"].items():
        chosen = {"weight_decay"} if name == "linear_cached" else set()
        assert results["validation"][name].keys() == {"top1", "top5", *chosen}
        assert of_test.keys() == {"top1", "top5", "per_class", "confusion", "correct"}
        assert len(of_test["per_class"]) == 10
        confusion = torch.tensor(of_test["confusion"])
        assert torch.equal(confusion.sum(dim=1), torch.bincount(digits.test.labels, minlength=10))
    assert {"name", "reason", "deciding"} <= results["verdict"].keys() and results["collapse"].keys() == {
        "representations", "embeddings",
    }  # fmt: skip
    json.dumps(results, allow_nan=False)


def test_the_linear_protocol_is_reported_epoch_by_epoch_for_the_rate_that_validation_chose(measured, config):
    results = measured(("linear",))
    for split in ("validation", "test"):
        curve = results[split]["linear"]["curve"]
        assert len(curve) == config.evaluate.linear.epochs and curve[-1] == results[split]["linear"]["top1"]


def test_knn_is_measured_on_representations_against_train(measured, model, digits, config):
    train, validation = (
        encode(model, split.images, size=8, mean=digits.mean, std=digits.std, batch_size=64).representations
        for split in (digits.train, digits.validation)
    )
    scores = knn_scores(
        train, digits.train.labels, validation, classes=10, k=20, temperature=config.evaluate.knn_temperature
    )
    expected = accuracy(scores, digits.validation.labels)
    assert measured()["validation"]["knn_20"] == {"top1": expected.top1, "top5": expected.top5}


def test_measuring_twice_gives_the_same_and_touches_neither_model_nor_global_generator(measure, watched, model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    assert measure(probes=PROBES) == watched.before
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_an_unknown_probe_is_refused(measure):
    with pytest.raises(InputError) as raised:
        measure(probes=("knn", "svm"))
    assert str(raised.value) == "probes must be among knn, linear, linear_cached, but got svm."


# ---- collapse and its diagnosis


def test_a_constant_network_is_a_complete_collapse_with_chance_accuracy(measure, config, digits):
    constant = new_model(config.pretrain, digits)
    for parameter in constant.backbone.parameters():
        torch.nn.init.zeros_(parameter)
    results = measure(network=constant)
    assert results["verdict"]["name"] == "complete"
    assert results["test"]["knn_5"]["top1"] == results["test"]["linear_cached"]["top1"] == 0.1


def test_the_diagnosis_does_not_depend_on_the_probes_that_are_measured(measured, watched):
    assert measured()["verdict"] == measured(("linear",))["verdict"] == watched.before["verdict"]


def test_collapse_is_measured_on_plain_validation_images(measured, model, digits):
    encoded = encode(model, digits.validation.images, size=8, mean=digits.mean, std=digits.std, batch_size=64)
    for space, found in measured()["collapse"].items():
        expected = collapse_metrics(getattr(encoded, space))
        assert {name: found[name] for name in expected} == expected
        assert found["alignment"] > 0


def test_views_that_do_not_differ_are_aligned(model, digits, config):
    still = ViewSettings(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, jitter=0, grayscale=0, blur=0, solarize=0)
    given = {"settings": config.evaluate, "views": (still, still), "size": 8, "device": CPU}
    pair = encode_held_out_views(model, digits, **given)
    collapse = measure_collapse(model, digits, pair, **given)
    assert collapse["embeddings"]["alignment"] == pytest.approx(0, abs=1e-10)


def test_the_views_that_collapse_is_measured_on_do_not_depend_on_how_many_images_are_encoded_at_a_time(
    model, digits, config
):
    given = {"views": config.pretrain.views, "size": 8, "device": CPU}
    whole, parts = (
        encode_held_out_views(model, digits, settings=dataclasses.replace(config.evaluate, batch_size=n), **given)
        for n in (512, 7)
    )
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one.embeddings, other.embeddings, rtol=1e-4, atol=1e-4)


def test_surrogate_classes_are_views_of_one_image_and_the_same_every_time(model, digits, config, monkeypatch):
    monkeypatch.setattr("vicreg.evaluation.held_out_views.LIDAR_IMAGES", 7)
    given = {"settings": config.evaluate, "views": config.pretrain.views, "size": 8, "device": CPU}
    classes = encode_surrogate_classes(model, digits, **given).embeddings
    assert classes.shape == (7, LIDAR_VIEWS, 16)
    assert torch.equal(classes, encode_surrogate_classes(model, digits, **given).embeddings)
    assert len(torch.unique(classes[0], dim=0)) > 1  # views differ
    still = ViewSettings(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, jitter=0, grayscale=0, blur=0, solarize=0)
    same = encode_surrogate_classes(model, digits, **{**given, "views": (still, still)}).embeddings
    assert torch.allclose(same, same[:, :1].expand_as(same), atol=1e-6)
    assert not torch.allclose(same[0], same[1], atol=1e-3)


def test_every_network_has_its_lidar_and_its_spectrum_measured(measured, digits):
    for space, found in measured()["collapse"].items():
        assert 1 <= found["lidar"] <= len(digits.validation.images) - 1, space
        assert found["nesum"] <= found["participation_ratio"] <= found["effective_rank"]


def test_chance_is_the_share_of_the_most_frequent_validation_class(digits):
    split = Split(images=torch.zeros(5, 1, 2, 2, dtype=torch.uint8), labels=torch.tensor([3, 3, 1, 0, 3]))
    assert chance_accuracy(digits) == pytest.approx(0.1)
    assert chance_accuracy(dataclasses.replace(digits, validation=split)) == pytest.approx(0.6)


# ---- few images, few classes


def keep(split: Split, indexes) -> Split:
    return Split(images=split.images[indexes], labels=split.labels[indexes])


@pytest.mark.parametrize("images", [0, 1])
def test_too_few_held_out_images_are_refused_before_anything_is_measured(measure, digits, images, monkeypatch):
    monkeypatch.setattr(evaluation, "represent", lambda *_, **__: pytest.fail("something was encoded"))
    few = dataclasses.replace(digits, validation=keep(digits.validation, slice(images)))
    with pytest.raises(InputError) as raised:
        measure(few)
    assert str(raised.value) == (
        f"collapse is measured on at least 2 held-out images, but digits has {images}; raise prepare.validation or add "
        "images."
    )


def test_pretraining_refuses_too_few_held_out_images_before_its_first_step(config, digits, tmp_path):
    few = dataclasses.replace(digits, validation=keep(digits.validation, slice(1)))
    with pytest.raises(InputError, match="at least 2 held-out images, but digits has 1"):
        pretrain(config.pretrain, few, device=CPU, folder=tmp_path, identity="run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("images", [2, 5])
def test_a_handful_of_held_out_images_is_measured_and_called_undetermined(measure, digits, images):
    few = dataclasses.replace(digits, validation=keep(digits.validation, slice(images)))
    verdict = measure(few, target_std=None)["verdict"]
    assert verdict["name"] == "undetermined"
    assert verdict["reason"].startswith(f"{images} held-out images are too few to tell: ")


def test_images_of_one_class_are_measured_and_labelled_by_geometry_alone(measure, digits):
    splits = {part: getattr(digits, part) for part in ("train", "validation", "test")}
    alone = {part: Split(images=one.images, labels=torch.zeros_like(one.labels)) for part, one in splits.items()}
    results = measure(dataclasses.replace(digits, classes=("digit",), **alone), probes=PROBES, target_std=None)
    assert {name: of_test["top1"] for name, of_test in results["test"].items()} == dict.fromkeys(results["test"], 1.0)
    assert results["verdict"]["name"] != "undetermined" and "k-NN" not in results["verdict"]["reason"]


def test_classes_that_validation_lacks_and_a_class_of_one_image_are_measured(measure, digits):
    present = digits.validation.labels < 4
    single = torch.cat([torch.nonzero(digits.train.labels != 9)[:, 0], torch.nonzero(digits.train.labels == 9)[:1, 0]])
    results = measure(
        dataclasses.replace(
            digits, validation=keep(digits.validation, present), train=keep(digits.train, single.sort().values)
        ),
        probes=PROBES,
    )
    json.dumps(results, allow_nan=False)
    assert results["test"]["linear_cached"]["top1"] > 0.2


def test_a_linear_layer_that_diverged_is_never_chosen_and_all_diverged_are_refused(digits):
    def layer(value):
        return LinearClassifier(
            weight=torch.full((10, 3), value), bias=torch.zeros(10), shift=torch.zeros(3), scale=torch.ones(())
        )

    features, labels = torch.ones(4, 3), torch.zeros(4, dtype=torch.int64)
    assert best_on_validation({1.0: layer(0.1), 100.0: layer(math.nan)}, features, labels) == 1.0
    with pytest.raises(InputError) as raised:
        best_on_validation({1.0: layer(math.inf), 100.0: layer(math.nan)}, features, labels)
    assert str(raised.value) == (
        "the linear evaluation diverged at every rate of evaluate.linear.lr, [1.0, 100.0]; list a lower one."
    )


# ---- settings


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch_size": 0}, "evaluate.batch_size must be at least 1, but got 0."),
        ({"knn": ()}, "evaluate.knn must list different neighbour counts of at least 1, but got []."),
        ({"knn": (20, 0)}, "evaluate.knn must list different neighbour counts of at least 1, but got [20, 0]."),
        ({"knn": (20, 20)}, "evaluate.knn must list different neighbour counts of at least 1, but got [20, 20]."),
        *(
            (
                {"knn_temperature": temperature},
                f"evaluate.knn_temperature must be from 0.001 to 100, but got {temperature:g}; 0.07 is usual. Below, the "
                "nearest neighbour alone decides (evaluate.knn [1]); above, all votes are equal.",
            )
            for temperature in (-1.0, 0.0, 1e-300, 1e-6, 1e6, float("inf"), float("nan"))
        ),
        (
            {"linear_cached_weight_decay": (0.1, 0.0)},
            "evaluate.linear_cached.weight_decay must list different numbers from 1e-09 to 100, but got [0.1, 0.0].",
        ),
        (
            {"linear_cached_weight_decay": (float("nan"),)},
            "evaluate.linear_cached.weight_decay must list different numbers from 1e-09 to 100, but got [nan].",
        ),
        *(
            (
                {"linear_cached_weight_decay": strengths},
                f"evaluate.linear_cached.weight_decay must list different numbers from 1e-09 to 100, but got "
                f"{list(strengths)}.",
            )
            for strengths in ((0.1, 0.1), (1e-300,), (1e300,))
        ),
        (
            {"linear_cached_weight_decay": ()},
            "evaluate.linear_cached.weight_decay must list different numbers from 1e-09 to 100, but got [].",
        ),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(config, change, sentence):
    settings: EvaluateSettings = config.evaluate
    with pytest.raises(InputError) as raised:
        dataclasses.replace(settings, **change)
    assert str(raised.value) == sentence
