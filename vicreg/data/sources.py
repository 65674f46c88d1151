"""Read a data set by its name, as one pool of images before they are split."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from vicreg.data.cifar_and_fashion_mnist import PUBLISHED, read_published
from vicreg.data.image_folder import find_images, fit, read_images
from vicreg.errors import InputError

DATASETS = ("digits", *PUBLISHED, "imagefolder")
FOLDER_NOTE = "images decoded from files under train/ and test/; not the canonical bytes of any published set"


class RawImages(NamedTuple):
    """A data set before it is split: one pool of images, training images first, read only where an index asks."""

    classes: tuple[str, ...]
    labels: np.ndarray  # int64 (N,), of the whole pool
    train_size: int  # all of them where the data set has no test set of its own
    read: Callable[[np.ndarray], np.ndarray]  # indexes (n,) -> uint8 (n, C, H, W)
    note: str | None = None


def read_source(dataset: str, root: Path, image_size: int | None) -> RawImages:
    if dataset == "imagefolder":
        folder = find_images(root)
        return RawImages(
            classes=folder.classes,
            labels=folder.labels,
            train_size=folder.train_size,
            read=lambda indexes: read_images([folder.paths[index] for index in indexes], image_size=image_size),
            note=FOLDER_NOTE,
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
    if dataset not in DATASETS:
        raise InputError(f"prepare.dataset must be one of {', '.join(DATASETS)}, but got {dataset!r}.")


def read_digits() -> tuple[np.ndarray, np.ndarray]:
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
