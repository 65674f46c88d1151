"""Data sets: what their digest sees, their statistics, and which settings are refused."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.vicreg.data.loading import load, splits
from vicreg.data.dataset import PARTS, Dataset, Split
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError


def tiny(**changes) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    parts = {
        part: Split(
            images=torch.randint(0, 256, (n, 3, 4, 4), generator=generator, dtype=torch.uint8),
            labels=torch.arange(n) % 2,
        )
        for part, n in zip(PARTS, (6, 2, 4), strict=True)
    }
    mean, std = channel_statistics(parts["train"].images)
    fields = {"name": "tiny", "classes": ("a", "b"), "mean": mean, "std": std, "note": None}
    return Dataset(**(fields | parts | changes))


def test_the_digest_of_digits_does_not_drift_from_process_to_process():
    # From scikit-learn's file, the same wherever it is installed: a change here makes every finished run stale.
    assert load("digits").digest == "sha256:915749b8a9bffd8d55012bf361112d2e7adfe42fb2183af56cfdc55331650232"


def test_mean_and_std_are_those_of_the_training_pixels_alone():
    dataset = load("digits")
    pixels = dataset.train.images.double().numpy() / 255
    np.testing.assert_allclose(dataset.mean, [pixels.mean()], rtol=1e-13)
    np.testing.assert_allclose(dataset.std, [pixels.std()], rtol=1e-12)


def test_mean_and_std_of_a_channel_by_hand():
    images = torch.tensor([0, 255, 51, 51], dtype=torch.uint8).reshape(1, 2, 1, 2)
    assert channel_statistics(images) == ((0.5, 0.2), (0.5, 0.0))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"validation": 0}, "prepare.validation"),
        ({"validation": 1.0}, "prepare.validation"),
        ({"validation": float("nan")}, "prepare.validation"),
        ({"validation": "0.1"}, "prepare.validation"),
        ({"test": -0.1}, "prepare.test"),
        ({"test": True}, "prepare.test"),
        ({"split_seed": -1}, "prepare.split_seed"),
        ({"split_seed": None}, "prepare.split_seed"),
        ({"per_class": 1}, "prepare.per_class"),
        ({"per_class": 2.5}, "prepare.per_class"),
        ({"image_size": 0}, "prepare.image_size"),
        ({"dataset": "mnist"}, "prepare.dataset"),
    ],
)
def test_an_impossible_setting_is_named_with_its_value(change, named):
    with pytest.raises(InputError, match=rf"^{named} must be .*, but got .*{next(iter(change.values()))}"):
        load(**{"dataset": "digits"} | change)


def test_digest_sees_one_pixel_one_label_and_one_class_name():
    original = tiny()
    digests = {original.digest, tiny(classes=("a", "c")).digest}
    for part in PARTS:
        split = getattr(original, part)
        images, labels = split.images.clone(), split.labels.clone()
        images[1, 2, 3, 0] ^= 1
        labels[0] = 1 - labels[0]
        digests.add(tiny(**{part: Split(images=images, labels=split.labels)}).digest)
        digests.add(tiny(**{part: Split(images=split.images, labels=labels)}).digest)
    assert len(digests) == 2 + 2 * len(PARTS)


def test_digest_sees_which_split_an_image_is_in_and_how_it_is_shaped():
    original = tiny()
    moved = tiny(
        train=Split(images=original.train.images[:4], labels=original.train.labels[:4]),
        validation=Split(
            images=torch.cat([original.train.images[4:], original.validation.images]),
            labels=torch.cat([original.train.labels[4:], original.validation.labels]),
        ),
    )
    shaped = tiny(
        **{
            part: Split(images=split.images.reshape(-1, 3, 2, 8), labels=split.labels)
            for part, split in zip(PARTS, splits(original), strict=True)
        }
    )
    assert len({original.digest, moved.digest, shaped.digest}) == 3


def test_digest_ignores_what_cannot_influence_a_result():
    original = tiny()
    strided = Split(images=original.train.images.to(memory_format=torch.channels_last), labels=original.train.labels.clone())
    assert tiny(name="other", note="another", train=strided).digest == original.digest


def test_settings_of_a_dataset_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().mean = (0.0,)
