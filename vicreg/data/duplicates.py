"""Find images that are the same, pixel for pixel, in several splits or classes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from vicreg.errors import InputError


class Duplicates(NamedTuple):
    """What must be known of images that occur more than once."""

    note: str | None  # what a reader of results must know, or None
    remarks: tuple[str, ...]  # what whoever prepares the data must know, a sentence each


def find_duplicates(images: Mapping[str, Tensor], labels: Mapping[str, Tensor], *, root: Path) -> Duplicates:
    """Return which images of train, validation and test are the same.

    Args:
        images: of each split, uint8 `(N, C, H, W)`.
        labels: of each split, int64 `(N,)`.
        root: where they come from, for the message.

    Raises:
        InputError: where every test image is also one to train on or to validate on.
    """
    digests = {part: [_digest(image) for image in pixels] for part, pixels in images.items()}
    train, validation = set(digests["train"]), set(digests["validation"])
    n, leaked = len(digests["test"]), sum(digest in train or digest in validation for digest in digests["test"])
    if leaked == n:
        raise InputError(
            f"test images must not be training images, but all {n} of {root / 'test'} are also in {root / 'train'}, pixel "
            "for pixel; put other images in one of them."
        )
    remarks = []
    note = f"{leaked} of {n} test images are also training images, pixel for pixel" if leaked else None
    if note:
        remarks.append(f"{note}, so that accuracy on test is too high; remove them from train or test")
    if held_out := sum(digest in train for digest in digests["validation"]):
        total = len(digests["validation"])
        remarks.append(f"{held_out} of {total} validation images are also in train, pixel for pixel; remove them from train")
    if ambiguous := _ambiguous(digests, labels):
        remarks.append(
            f"pictures in more than one class, pixel for pixel: {ambiguous}; remove each from all classes but one"
        )
    return Duplicates(note, tuple(remarks))


def _ambiguous(digests: Mapping[str, list[bytes]], labels: Mapping[str, Tensor]) -> int:
    """Return how many different pictures have several labels."""
    first: dict[bytes, int] = {}
    ambiguous = set()
    for part, found in digests.items():
        for digest, label in zip(found, labels[part].tolist(), strict=True):
            if first.setdefault(digest, label) != label:
                ambiguous.add(digest)
    return len(ambiguous)


def _digest(image: Tensor) -> bytes:
    return hashlib.blake2b(image.contiguous().numpy().data, digest_size=16).digest()
