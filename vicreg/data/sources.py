"""Read a data set by its name, before it is split."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vicreg.data.cifar_and_fashion_mnist import PUBLISHED, read_published
from vicreg.data.image_files import fit, read_images
from vicreg.data.image_folder import find_images, format_of
from vicreg.errors import InputError

DATASETS = ("digits", *PUBLISHED, "imagefolder")
FOLDER_NOTE = "images decoded from files under train/ and test/; not the canonical bytes of any published set"

_log = logging.getLogger(__name__)


class RawImages(NamedTuple):
    """A data set before it is split; its images are read only for the indexes that are asked for."""

    classes: tuple[str, ...]
    labels: np.ndarray  # int64 (N,), training images first
    train_size: int  # N if the data set has no test set
    read: Callable[[np.ndarray], np.ndarray]  # indexes (n,) -> uint8 (n, C, H, W)
    note: str | None = None
    files: str | None = None  # format of the image files, `JPEG` say; None where there are none


def read_source(dataset: str, root: Path, image_size: int | None) -> RawImages:
    """Return the data set below `root`, whose images `fit` brings to `image_size` pixels if that is given.

    Raises:
        InputError: for data that are missing or damaged.
    """
    if dataset == "imagefolder":
        folder = find_images(root)
        for remark in folder.remarks:
            _log.warning("%s", remark)
        return RawImages(
            classes=folder.classes,
            labels=folder.labels,
            train_size=folder.train_size,
            read=lambda indexes: read_images([folder.paths[index] for index in indexes], image_size=image_size),
            note=FOLDER_NOTE,
            files=format_of(folder.paths),
        )
    if dataset == "digits":
        images, labels = read_digits()
        classes, train_size = tuple(str(digit) for digit in range(10)), len(labels)
    else:
        images, labels, classes, train_size = read_published(dataset, root)
    return RawImages(
        classes=classes,
        labels=labels,
        train_size=train_size,
        read=lambda indexes: _resize_all(images[indexes], image_size),
    )


def require_known_dataset(dataset: str) -> None:
    """Raise `InputError` for a name that is not in `DATASETS`."""
    if dataset not in DATASETS:
        raise InputError(f"prepare.dataset must be one of {', '.join(DATASETS)}, but got {dataset!r}.")


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's handwritten digits, uint8 `(1797, 1, 8, 8)` with 0..16 scaled to 0..255, and labels."""
    from sklearn.datasets import load_digits  # takes a second to import, and most commands read no digits

    digits = load_digits()
    images = (digits.images.astype(np.int64) * 255 + 8) // 16  # + 8 rounds to the nearest
    return images.astype(np.uint8)[:, None], digits.target.astype(np.int64)


def _resize_all(images: np.ndarray, size: int | None) -> np.ndarray:
    """Return uint8 images (n, C, H, W) brought to `size` by `fit`, channel by channel."""
    if size is None or images.shape[2:] == (size, size):
        return np.ascontiguousarray(images)
    resized = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for target, image in zip(resized, images, strict=True):
        for channel in range(len(image)):
            target[channel] = np.asarray(fit(Image.fromarray(np.ascontiguousarray(image[channel])), size))
    return resized
