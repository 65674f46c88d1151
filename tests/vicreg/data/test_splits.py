"""Splits are stratified, disjoint, seeded, and keep the order of the raw data."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from tests.vicreg.data.loading import class_counts, load, splits


def test_shares_are_stratified_class_by_class():
    dataset = load("digits", test=0.2, validation=0.1)
    for n, train, validation, test in zip(
        np.bincount(load_digits().target), *(class_counts(split) for split in splits(dataset)), strict=True
    ):
        assert test == int(0.2 * n + 0.5) and validation == int(0.1 * (n - test) + 0.5)
        assert train + validation + test == n


def test_splits_are_disjoint_and_keep_the_order_of_the_raw_data():
    source = load_digits()  # all 1,797 images differ, so that an image finds its place
    place = {np.rint(i * 255 / 16).astype(np.uint8).tobytes(): n for n, i in enumerate(source.images)}
    assert len(place) == 1797
    places = [[place[image.numpy().tobytes()] for image in split.images] for split in splits(load("digits"))]
    assert all(part == sorted(part) for part in places)
    assert sorted(sum(places, [])) == list(range(1797))


def test_the_same_settings_give_the_same_dataset_and_another_seed_another():
    assert load("digits").digest == load("digits").digest
    assert load("digits", split_seed=1).digest != load("digits").digest
    assert class_counts(load("digits", split_seed=1).train) == class_counts(load("digits").train)


def test_loading_leaves_the_global_random_state_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    load("digits", per_class=5)
    assert torch.equal(torch.get_rng_state(), torch_state) and (np.random.get_state()[1] == numpy_state).all()


def test_per_class_limits_training_images_and_a_fifth_as_many_test_images():
    dataset = load("digits", per_class=20, validation=0.1)
    assert class_counts(dataset.train) == [18] * 10 and class_counts(dataset.validation) == [2] * 10
    assert class_counts(dataset.test) == [4] * 10
    assert class_counts(load("digits", per_class=3).test) == [1] * 10


def test_per_class_above_what_a_class_has_keeps_everything():
    assert load("digits", per_class=10_000).digest == load("digits").digest


def test_a_larger_per_class_keeps_what_a_smaller_one_does():
    def seen(per_class):
        dataset = load("digits", per_class=per_class)
        return {image.numpy().tobytes() for split in splits(dataset)[:2] for image in split.images}

    assert len(seen(10)) == 100 and seen(10) < seen(20)
