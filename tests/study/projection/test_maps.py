"""Which images are projected, and what is said of their maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from study.config.load import load_config
from study.projection.baseline import choose_images, describe
from study.projection.maps import confused_pairs, project_features, purity
from study.projection.results import read_projection
from vicreg.data.dataset import Dataset, Split
from vicreg.errors import InputError
from vicreg.files import to_json


@pytest.fixture
def settings():
    """Those of `params.yaml`, for few points and quickly."""
    return replace(load_config().project, perplexity=5, iterations=250)


@pytest.fixture
def hundred():
    """A data set of 100 classes, with images of the classes 0, 7, 14, 21, ... one after the other."""
    labels = torch.arange(1200) * 7 % 100
    split = Split(images=torch.zeros(1200, 1, 2, 2, dtype=torch.uint8), labels=labels)
    names = tuple(f"class {index}" for index in range(100))
    return Dataset(
        name="hundred", classes=names, train=split, validation=split, test=split, mean=(0.0,), std=(1.0,), note=None
    )


def clusters(points=60):
    """Features (N, d) of three classes, each somewhere else, and their classes (N,)."""
    labels = np.arange(points) % 3
    return 5 * np.eye(3, 8)[labels] + np.random.default_rng(0).standard_normal((points, 8)), labels


# ---- images


def test_all_images_are_shown_class_by_class_where_they_are_few(hundred, settings):
    chosen, labels, classes = choose_images(hundred, replace(settings, max_images=5000))
    assert sorted(chosen) == list(range(1200)) and classes == hundred.classes
    assert np.array_equal(labels, hundred.test.labels[chosen]) and np.array_equal(labels, np.sort(labels))


def test_of_many_images_as_many_of_each_class_are_shown(hundred, settings):
    chosen, labels, _ = choose_images(hundred, replace(settings, max_images=300))
    assert len(set(chosen)) == 300 and np.array_equal(labels, hundred.test.labels[chosen])
    assert set(np.bincount(labels)) <= {2, 3, 4}


@pytest.mark.parametrize("count, shown", [
    (10, (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)), (3, (0, 33, 66)), (2, (0, 50)),
])  # fmt: skip
def test_a_subset_of_classes_is_evenly_spaced_and_numbered_anew(hundred, settings, count, shown):
    chosen, labels, classes = choose_images(hundred, replace(settings, classes=count))
    assert classes == tuple(f"class {index}" for index in shown) and len(chosen) == 12 * count
    assert set(labels) == set(range(count)), "labels are of the classes that are shown"
    assert [hundred.classes[index] for index in hundred.test.labels[chosen]] == [classes[label] for label in labels]


def test_as_many_classes_as_there_are_is_all_of_them(hundred, settings):
    everything, all_of_them = (choose_images(hundred, replace(settings, classes=count)) for count in (None, 100))
    assert np.array_equal(everything[0], all_of_them[0]) and everything[2] == all_of_them[2]


def test_more_classes_than_there_are_are_refused(hundred, settings):
    with pytest.raises(InputError) as refused:
        choose_images(hundred, replace(settings, classes=101))
    assert str(refused.value) == ("project.classes must be at most the number of classes of hundred, 100, but got 101; "
                                  "lower it, or set it to null to show all.")  # fmt: skip


# ---- maps


def test_what_is_written_can_be_reported_and_says_how_it_was_made(settings, tmp_path):
    features, labels = clusters()
    content = project_features(features, labels, classes=("a", "b", "c"), settings=settings)
    (tmp_path / "tsne.json").write_bytes(to_json({"digest": "0", "dataset": "made up", **content, "note": None}))
    assert read_projection(tmp_path / "tsne.json").classes == ("a", "b", "c")
    assert content["method"].startswith("t-SNE with the exact gradient") and content["iterations"] == 250
    for n in (2, 3):
        points = np.array(content[f"points_{n}d"])
        assert points.shape == (60, n) and np.array_equal(points, points.round(2))
        assert content["quality"][f"{n}d"]["purity"] > 0.9 and content["quality"][f"{n}d"]["trustworthiness"] > 0.8
    assert content["labels"] == labels.tolist() and "seconds" not in str(content)
    assert content == project_features(features, labels, classes=("a", "b", "c"), settings=settings)


def test_a_map_of_hardly_any_images_has_a_quality(settings):
    features, labels = clusters(points=5)
    content = project_features(features, labels, classes=("a", "b", "c"), settings=replace(settings, perplexity=2))
    assert all(0 <= share <= 1 for kind in ("features", "2d", "3d") for share in content["quality"][kind].values())


def test_features_of_a_network_that_diverged_are_refused_in_one_sentence(settings):
    features, labels = clusters()
    features[[3, 7], 1] = np.nan
    with pytest.raises(InputError, match="must be finite to be mapped, but those of 2 of 60 images are not; take a run"):
        project_features(features, labels, classes=("a", "b", "c"), settings=settings)


# ---- neighbours on a map


def test_purity_is_the_share_of_neighbours_of_the_same_class():
    near = np.array([[1, 2], [0, 2], [3, 0], [2, 1]])
    assert purity(near, np.array([0, 0, 1, 1])) == 0.5
    assert purity(near, np.zeros(4, dtype=int)) == 1


def test_confused_pairs_are_those_whose_points_are_neighbours_the_most_confused_first():
    labels = np.array([0, 0, 1, 1, 2, 2, 3])
    near = np.array([[1, 2], [0, 3], [3, 0], [2, 4], [5, 3], [4, 2], [4, 5]])
    assert confused_pairs(near, labels) == [  # neighbours across, of all of both classes
        {"first": 0, "second": 1, "share": 0.375},  # 3 of 8
        {"first": 1, "second": 2, "share": 0.375},
        {"first": 2, "second": 3, "share": 0.3333},  # 2 of 6
    ]
    assert len(confused_pairs(near, labels, most=1)) == 1
    assert confused_pairs(np.array([[1], [0], [3], [2]]), np.array([0, 0, 1, 1])) == []


def test_of_images_from_files_the_format_is_recorded(hundred):
    assert "files" not in describe(hundred) and describe(replace(hundred, files="JPEG"))["files"] == "JPEG"
