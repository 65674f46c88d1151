"""Image data sets as uint8 tensors with labels, class names, seeded stratified splits and a digest of all of it."""

import functools
import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from vicreg.data.image_folder import class_images, find_images, fit, read_images
from vicreg.data.published import PUBLISHED, published_files, read_published
from vicreg.errors import InputError

DATASETS = ("digits", *PUBLISHED, "imagefolder")
PARTS = ("train", "validation", "test")
FOLDER_NOTE = "images decoded from files under train/ and test/; not the canonical bytes of any published set"

# One random stream a purpose, so that changing one share leaves every other choice as it was.
_TEST_STREAM, _KEEP_STREAM, _KEEP_TEST_STREAM, _VALIDATION_STREAM = range(4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Images uint8 `(N, C, H, W)` in 0..255 and their labels int64 `(N,)`."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8 and self.images.ndim == 4, (self.images.dtype, self.images.shape)
        assert self.labels.dtype == torch.int64 and self.labels.shape == self.images.shape[:1], self.labels.shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Three disjoint splits of one shape; `mean` and `std` are a channel's of the train split, in units of 0..1."""

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str | None

    @functools.cached_property
    def digest(self) -> str:
        """`sha256:...` of all that can influence a result: class names, what images are normalised by, and each split's
        shape, pixels and labels."""
        splits = {part: getattr(self, part) for part in PARTS}
        shapes = {part: list(split.images.shape) for part, split in splits.items()}
        normalised = [value.hex() for value in (*self.mean, *self.std)]
        about = {"classes": list(self.classes), "normalised_by": normalised, "shapes": shapes}
        header = json.dumps(about, sort_keys=True).encode("ascii")
        digest = hashlib.sha256(len(header).to_bytes(8, "big") + header)  # the length keeps header and pixels apart
        for split in splits.values():
            digest.update(split.images.contiguous().numpy())
            digest.update(split.labels.numpy().astype("<i8"))  # little-endian wherever this runs
        return f"sha256:{digest.hexdigest()}"


class _Raw(NamedTuple):
    """A data set before it is split: one pool of images, training images first, read only where an index asks."""

    classes: tuple[str, ...]
    labels: np.ndarray  # int64 (N,), of the whole pool
    train_size: int  # all of them where the data set has no test set of its own
    read: Callable[[np.ndarray], np.ndarray]  # indexes (n,) -> uint8 (n, C, H, W)
    note: str | None = None


def load_dataset(
    *,
    dataset: str,
    root: Path,
    validation: float,
    split_seed: int,
    test: float,
    per_class: int | None,
    image_size: int | None,
) -> Dataset:
    """Read `dataset` from below `root` and split it.

    `validation` is the stratified share of the training images held out; `test` the share taken first where the data
    set has no test set. `per_class` keeps at most that many training images a class, a larger value keeping all that
    a smaller one does, and a fifth as many test images (at least 1). `image_size` (pixels) resizes the shorter side,
    bilinear and antialiased, and crops the centre. Splits keep the order of the raw data.
    Raises `InputError` for impossible values and for data that are missing, damaged or too few.
    """
    _check_settings(dataset, validation, split_seed, test, per_class, image_size)
    raw = _read_raw(dataset, Path(root), image_size)
    train, test_indexes = np.split(np.arange(len(raw.labels)), [raw.train_size])
    if len(test_indexes) == 0:
        test_indexes, train = _take_share(raw, train, share=test, seed=[split_seed, _TEST_STREAM], part="test")
    if per_class is not None:
        train, _ = _take(raw, train, lambda _, n: min(n, per_class), [split_seed, _KEEP_STREAM])
        fifth = max(1, per_class // 5)
        test_indexes, _ = _take(raw, test_indexes, lambda _, n: min(n, fifth), [split_seed, _KEEP_TEST_STREAM])
    held_out, train = _take_share(
        raw, train, share=validation, seed=[split_seed, _VALIDATION_STREAM], part="validation"
    )
    order = [train, held_out, test_indexes]
    images = torch.from_numpy(raw.read(np.concatenate(order))).split([len(indexes) for indexes in order])
    splits = {
        part: Split(images=part_images.clone(), labels=torch.from_numpy(raw.labels[indexes]))
        for part, part_images, indexes in zip(PARTS, images, order, strict=True)
    }
    mean, std = channel_statistics(splits["train"].images)
    if 0.0 in std:
        raise InputError(
            f"the training images must vary in every channel, but in channel {std.index(0.0)} every pixel is the same; "
            f"check the files under {root}."
        )
    return Dataset(name=dataset, classes=raw.classes, mean=mean, std=std, note=raw.note, **splits)


def source_fingerprint(*, dataset: str, root: Path) -> str | None:
    """`sha256:...` of the raw data that `load_dataset` would read: sorted relative paths and their content hashes.

    For `digits` it is of scikit-learn's arrays. None where `root` holds no complete copy.
    """
    _check_name(dataset)
    root = Path(root)
    if dataset == "digits":
        images, labels = _digits()
        return f"sha256:{hashlib.sha256(images.tobytes() + labels.astype('<i8').tobytes()).hexdigest()}"
    if dataset == "imagefolder":
        files = [file for part in ("train", "test") for found in class_images(root / part).values() for file in found]
    else:
        files = [root / name for name in published_files(dataset)]
    if not files or not all(path.is_file() for path in files):
        return None
    listing = hashlib.sha256()
    for name, path in sorted((os.fsencode(path.relative_to(root).as_posix()), path) for path in files):
        with path.open("rb") as file:
            listing.update(name + b"\0" + hashlib.file_digest(file, "sha256").hexdigest().encode() + b"\n")
    return f"sha256:{listing.hexdigest()}"


def _check_name(dataset: str) -> None:
    if dataset not in DATASETS:
        raise InputError(f"prepare.dataset must be one of {', '.join(DATASETS)}, but got {dataset!r}.")


def _check_settings(dataset, validation, split_seed, test, per_class, image_size) -> None:
    _check_name(dataset)
    for name, share in (("validation", validation), ("test", test)):
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
            raise InputError(f"prepare.{name} must be a share between 0 and 1, both excluded, but got {share!r}.")
    for name, value, least, optional in (
        ("split_seed", split_seed, 0, False),
        ("per_class", per_class, 2, True),  # one image to train on and one to validate on
        ("image_size", image_size, 1, True),
    ):
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            alternative = " or null" if optional else ""
            raise InputError(f"prepare.{name} must be an integer of at least {least}{alternative}, but got {value!r}.")


def _take(
    raw: _Raw, indexes: np.ndarray, count: Callable[[str, int], int], seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count(class name, available)` of a class's indexes at random; returns (drawn, rest), each sorted."""
    drawn = []
    for label, name in enumerate(raw.classes):
        members = indexes[raw.labels[indexes] == label]
        # Raw PCG64 words sorted are a permutation that no NumPy version changes; Generator.permutation promises less.
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([*seed, label])))
        keys = generator.bit_generator.random_raw(len(members))
        drawn.append(members[np.argsort(keys, kind="stable")[: count(name, len(members))]])
    chosen = np.sort(np.concatenate(drawn))
    return chosen, np.setdiff1d(indexes, chosen)


def _take_share(
    raw: _Raw, indexes: np.ndarray, *, share: float, seed: list[int], part: str
) -> tuple[np.ndarray, np.ndarray]:
    """Take `share` of each class, rounded, and at least one image, leaving at least one."""

    def count(name: str, available: int) -> int:
        if available < 2:
            raise InputError(
                f"every class must have at least 2 images for train and {part} to get one each, but class {name!r} "
                f"has {available}; add images or remove the class."
            )
        return min(max(1, math.floor(share * available + 0.5)), available - 1)

    return _take(raw, indexes, count, seed)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation a channel of uint8 `(N, C, H, W)`, in units of 0..1.

    From exact integer sums S1 = sum x and S2 = sum x^2 over n pixels: S1 / (255 n) and sqrt(n S2 - S1^2) / (255 n).
    """
    mean, std = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).tolist()
        n, first, second = (sum(count * value**power for value, count in enumerate(counts)) for power in range(3))
        mean.append(first / (255 * n))
        std.append(math.sqrt(n * second - first**2) / (255 * n))
    return tuple(mean), tuple(std)


def _read_raw(dataset: str, root: Path, image_size: int | None) -> _Raw:
    if dataset == "imagefolder":
        folder = find_images(root)
        return _Raw(
            classes=folder.classes,
            labels=folder.labels,
            train_size=folder.train_size,
            read=lambda indexes: read_images([folder.paths[index] for index in indexes], image_size=image_size),
            note=FOLDER_NOTE,
        )
    if dataset == "digits":
        images, labels = _digits()
        classes, train_size = tuple(str(digit) for digit in range(10)), len(labels)
    else:
        images, labels, classes, train_size = read_published(dataset, root)
    return _Raw(
        classes=classes,
        labels=labels,
        train_size=train_size,
        read=lambda indexes: _resize_all(images[indexes], image_size),
    )


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 handwritten digits: uint8 `(1797, 1, 8, 8)`, its 0..16 stretched to 0..255, and labels."""
    digits = load_digits()
    images = (digits.images.astype(np.int64) * 255 + 8) // 16  # + 8: to the nearest
    return images.astype(np.uint8)[:, None], digits.target.astype(np.int64)


def _resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or images.shape[2:] == (size, size):
        return np.ascontiguousarray(images)
    resized = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for target, image in zip(resized, images, strict=True):
        for channel in range(len(image)):
            target[channel] = np.asarray(fit(Image.fromarray(np.ascontiguousarray(image[channel])), size))
    return resized
