"""Load a data set: splits of labelled images and a digest."""

import functools
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vicreg.data.duplicates import find_duplicates
from vicreg.data.sources import read_source, require_known_dataset
from vicreg.data.splits import draw_per_class, draw_share
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError
from vicreg.files import user_path

PARTS = ("train", "validation", "test")

# One random stream for each purpose: changing one share leaves the other choices as they are.
_TEST_STREAM, _KEEP_STREAM, _KEEP_TEST_STREAM, _VALIDATION_STREAM = range(4)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Images, uint8 `(N, C, H, W)`, and their labels, int64 `(N,)`."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8 and self.images.ndim == 4, (self.images.dtype, self.images.shape)
        assert self.labels.dtype == torch.int64 and self.labels.shape == self.images.shape[:1], self.labels.shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Three disjoint splits of one shape.

    `mean` and `std` are one number a channel, of the train split, with pixels on the scale [0, 1]. `note` says what a
    reader of results must know about the data, or is None. `files` is the format of the image files that it was decoded
    from, `JPEG` say; None where there were none.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str | None
    files: str | None = None

    @functools.cached_property
    def digest(self) -> str:
        """`sha256:...` of all that can change a result: class names, mean, std, and shapes, pixels and labels of splits."""
        splits = {part: getattr(self, part) for part in PARTS}
        shapes = {part: list(split.images.shape) for part, split in splits.items()}
        normalised = [value.hex() for value in (*self.mean, *self.std)]
        about = {"classes": list(self.classes), "normalised_by": normalised, "shapes": shapes}
        header = json.dumps(about, sort_keys=True).encode("ascii")
        digest = hashlib.sha256(len(header).to_bytes(8, "big") + header)  # the length separates header and pixels
        for split in splits.values():
            digest.update(split.images.contiguous().numpy())
            digest.update(split.labels.numpy().astype("<i8"))  # little-endian on every machine
        return f"sha256:{digest.hexdigest()}"


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
    """Read a data set from below `root` and split it. Splits keep the order of the raw data.

    Args:
        dataset: one of `DATASETS`.
        validation: stratified share of the training images that is held out.
        split_seed: of all random choices.
        test: stratified share that is taken first from a data set without a test set.
        per_class: keep at most so many training images of a class, and a fifth as many test images, at least 1. A
            larger number keeps all images that a smaller one does. None keeps all.
        image_size: resize the shorter side to so many pixels (bilinear, antialiased) and crop the centre; None does not.

    Raises:
        InputError: for impossible values, and for data that are missing, damaged or too few.
    """
    check_settings(dataset, validation, split_seed, test, per_class, image_size)
    root = user_path(root, of="data.root")
    raw = read_source(dataset, root, image_size)
    train, test_indexes = np.split(np.arange(len(raw.labels)), [raw.train_size])
    if len(test_indexes) == 0:
        test_indexes, train = draw_share(raw, train, share=test, seed=[split_seed, _TEST_STREAM], part="test")
    if per_class is not None:
        train, _ = draw_per_class(raw, train, lambda _, n: min(n, per_class), [split_seed, _KEEP_STREAM])
        fifth = max(1, per_class // 5)
        test_indexes, _ = draw_per_class(raw, test_indexes, lambda _, n: min(n, fifth), [split_seed, _KEEP_TEST_STREAM])
    held_out, train = draw_share(raw, train, share=validation, seed=[split_seed, _VALIDATION_STREAM], part="validation")
    _require_held_out(len(held_out), of=len(held_out) + len(train), share=validation, root=root)
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
    note = _note_duplicates(splits, raw.note, root) if dataset == "imagefolder" else raw.note
    return Dataset(name=dataset, classes=raw.classes, mean=mean, std=std, note=note, files=raw.files, **splits)


def _note_duplicates(splits: Mapping[str, Split], note: str | None, root: Path) -> str | None:
    """Warn of images that are in several splits or classes, and return the note with what a reader must know of them."""
    images, labels = ({part: getattr(split, name) for part, split in splits.items()} for name in ("images", "labels"))
    found = find_duplicates(images, labels, root=root)
    for remark in found.remarks:
        _log.warning("%s", remark)
    return "; ".join(part for part in (note, found.note) if part) or None


def _require_held_out(count: int, *, of: int, share: float, root: Path) -> None:
    """Raise `InputError` for too few held-out images for any measurement of collapse."""
    if count < 2:
        remedy = f"set it to {2 / of:.2g} or more, or add images" if of > 2 else "add images"
        raise InputError(
            f"prepare.validation must hold out at least 2 images, on which collapse is measured (8 to tell each of its "
            f"kinds), but {share} of the {of} training images under {root} are {count}; {remedy}."
        )


def check_settings(
    dataset: str, validation: float, split_seed: int, test: float, per_class: int | None, image_size: int | None
) -> None:
    """Raise `InputError` for values that `load_dataset` cannot take; they are the section `prepare` of `params.yaml`."""
    require_known_dataset(dataset)
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
