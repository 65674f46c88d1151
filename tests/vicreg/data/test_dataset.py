"""Data sets: how they are split, what their digest sees, and which settings are refused."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from vicreg.data import dataset as datasets
from vicreg.data.dataset import PARTS, Dataset, Split, channel_statistics, load_dataset, source_fingerprint
from vicreg.data.image_folder import read_images
from vicreg.errors import InputError


def load(**changes) -> Dataset:
    settings = {"dataset": "digits", "validation": 0.1, "split_seed": 0, "test": 0.2, "per_class": None}
    return load_dataset(**({"root": Path("nowhere"), "image_size": None} | settings | changes))


def splits(dataset: Dataset) -> list[Split]:
    return [dataset.train, dataset.validation, dataset.test]


def class_counts(split: Split, classes: int = 10) -> list[int]:
    return torch.bincount(split.labels, minlength=classes).tolist()


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


def test_digits_are_scikit_learns_images_stretched_to_eight_bits():
    dataset = load()
    source = load_digits()
    stretched = np.rint(source.images * 255 / 16).astype(np.uint8)
    expected = {(image.tobytes(), int(label)) for image, label in zip(stretched, source.target, strict=True)}
    found = [
        (image.numpy().tobytes(), int(label))
        for split in splits(dataset)
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    assert len(found) == 1797 and set(found) == expected
    assert dataset.train.images.shape[1:] == (1, 8, 8) and dataset.train.images.max() == 255
    assert dataset.classes == tuple("0123456789") and dataset.note is None


def test_shares_are_stratified_class_by_class():
    dataset = load(test=0.2, validation=0.1)
    for n, train, validation, test in zip(
        np.bincount(load_digits().target), *(class_counts(split) for split in splits(dataset)), strict=True
    ):
        assert test == int(0.2 * n + 0.5) and validation == int(0.1 * (n - test) + 0.5)
        assert train + validation + test == n


def test_splits_are_disjoint_and_keep_the_order_of_the_raw_data():
    source = load_digits()  # all 1,797 images differ, so that an image finds its place
    place = {np.rint(i * 255 / 16).astype(np.uint8).tobytes(): n for n, i in enumerate(source.images)}
    assert len(place) == 1797
    places = [[place[image.numpy().tobytes()] for image in split.images] for split in splits(load())]
    assert all(part == sorted(part) for part in places)
    assert sorted(sum(places, [])) == list(range(1797))


def test_the_same_settings_give_the_same_dataset_and_another_seed_another():
    assert load().digest == load().digest
    assert load(split_seed=1).digest != load().digest
    assert class_counts(load(split_seed=1).train) == class_counts(load().train)


def test_loading_leaves_the_global_random_state_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    load(per_class=5)
    assert torch.equal(torch.get_rng_state(), torch_state) and (np.random.get_state()[1] == numpy_state).all()


def test_another_process_finds_the_same_digest():
    code = (
        "from pathlib import Path; from vicreg.data.dataset import load_dataset; print(load_dataset(dataset='digits', "
        "root=Path('x'), validation=0.1, split_seed=0, test=0.2, per_class=None, image_size=None).digest)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    root = Path(datasets.__file__).parents[1]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, env=environment)
    assert run.stdout.strip() == load().digest, run.stderr


def test_the_digest_of_digits_does_not_drift():
    # From scikit-learn's file, the same wherever it is installed: a change here makes every finished run stale.
    assert load().digest == "sha256:915749b8a9bffd8d55012bf361112d2e7adfe42fb2183af56cfdc55331650232"


def test_per_class_limits_training_images_and_a_fifth_as_many_test_images():
    dataset = load(per_class=20, validation=0.1)
    assert class_counts(dataset.train) == [18] * 10 and class_counts(dataset.validation) == [2] * 10
    assert class_counts(dataset.test) == [4] * 10
    assert class_counts(load(per_class=3).test) == [1] * 10


def test_per_class_above_what_a_class_has_keeps_everything():
    assert load(per_class=10_000).digest == load().digest


def test_a_larger_per_class_keeps_what_a_smaller_one_does():
    def seen(per_class):
        dataset = load(per_class=per_class)
        return {image.numpy().tobytes() for split in splits(dataset)[:2] for image in split.images}

    assert len(seen(10)) == 100 and seen(10) < seen(20)


def test_arrays_are_resized_as_the_same_images_in_files_are(tmp_path):
    resized = load(image_size=5, validation=0.5)
    for number, image in enumerate(load(validation=0.5).train.images[:20, 0]):
        Image.fromarray(image.numpy()).save(tmp_path / f"{number:02}.png")
    from_files = read_images(sorted(tmp_path.iterdir()), image_size=5)
    assert torch.equal(resized.train.images[:20], torch.from_numpy(from_files))


def test_mean_and_std_are_those_of_the_training_pixels_alone():
    dataset = load()
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
        load(**change)


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
    strided = Split(
        images=original.train.images.to(memory_format=torch.channels_last), labels=original.train.labels.clone()
    )
    assert tiny(name="other", note="another", train=strided).digest == original.digest


def test_settings_of_a_dataset_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tiny().mean = (0.0,)


def test_fingerprint_of_digits_needs_no_files_and_that_of_a_missing_copy_is_none(tmp_path):
    assert source_fingerprint(dataset="digits", root=tmp_path / "missing").startswith("sha256:")
    for name in ("cifar10", "cifar100", "fashion-mnist"):
        assert source_fingerprint(dataset=name, root=tmp_path) is None
