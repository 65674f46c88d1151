"""The images that are compared: lossless ones of CIFAR-10 with the files of a JPEG copy, and parts of that copy."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vicreg.data.dataset import Dataset, Split, channel_statistics
from vicreg.data.image_files import read_images
from vicreg.data.image_folder import find_images
from vicreg.errors import InputError

SIDE = 32
_LEAST_PSNR = 20.0  # dB between an image and its file; the worst of 4,000 had 23.1, the nearest of two others at most 24.0
_EVERY = 10  # of images held out for validation


class CopiedImages(NamedTuple):
    """Part of an image folder: images (N, C, H, W) uint8 and labels (N,), class by class in the order of file names."""

    images: Tensor
    labels: Tensor


class Copy(NamedTuple):
    """Three parts of a JPEG copy that have no image in common, and the names of its classes."""

    classes: tuple[str, ...]
    first: CopiedImages  # of train: those that lossless images are looked for among
    later: CopiedImages  # of train
    test: CopiedImages


def read_copy(root: Path, *, first: int, later: int) -> Copy:
    """Return the first `first` training images of each class of an image folder, the next `later`, and its test images.

    Raises:
        InputError: for a folder that `find_images` refuses, or a class with too few training images.
    """
    folder = find_images(root)
    train = folder.labels[: folder.train_size]
    places = np.concatenate([np.arange(count) for count in np.bincount(train)])  # within the class
    if (fewest := int(np.bincount(train).min())) < first + later:
        raise InputError(
            f"each class of the copy must have at least {first + later} training images, but one has {fewest}; unpack all."
        )

    def part(indexes: np.ndarray) -> CopiedImages:
        images = read_images([folder.paths[index] for index in indexes], image_size=None)
        return CopiedImages(torch.from_numpy(images), torch.from_numpy(folder.labels[indexes]))

    return Copy(
        classes=folder.classes,
        first=part(np.flatnonzero(places < first)),
        later=part(np.flatnonzero((places >= first) & (places < first + later))),
        test=part(np.arange(folder.train_size, len(folder.labels))),
    )


def read_lossless(folder: Path) -> Tensor:
    """Return images (N, 3, 32, 32) uint8 from PNG files of 1,024 pixels by any number, an image a row.

    Raises:
        InputError: for a folder without such files.
    """
    paths = sorted(folder.glob("*.png"))
    rows = []
    for path in paths:
        with Image.open(path) as image:
            rows.append(np.asarray(image.convert("RGB")))
        if rows[-1].shape[1] != SIDE**2:
            raise InputError(f"{path} must be {SIDE**2} pixels wide, an image a row, but is {rows[-1].shape[1]}; remove it.")
    if not rows:
        raise InputError(f"{folder} must hold PNG files of an image a row, but holds none; name another folder.")
    return torch.from_numpy(np.concatenate(rows)).reshape(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2).contiguous()


def find_files_of(lossless: Tensor, copied: CopiedImages) -> CopiedImages:
    """Return for each lossless image (N, C, H, W) uint8 its coded one among `copied`, and the label: the nearest.

    Raises:
        InputError: where an image has no coded one within 20 dB, or two have the same.
    """
    own, others = (images.flatten(1).double() for images in (lossless, copied.images))
    squares = own.square().sum(dim=1)[:, None] + others.square().sum(dim=1) - 2 * own @ others.T  # (N, M)
    least, nearest = squares.min(dim=1)
    worst = float(10 * torch.log10(255**2 * own.shape[1] / least.max()))
    if worst < _LEAST_PSNR or len(nearest.unique()) < len(nearest):
        raise InputError(
            f"each lossless image must have a file of its own in the copy, at {_LEAST_PSNR:g} dB or more, but the worst has "
            f"{worst:.1f} and {len(nearest) - len(nearest.unique())} share one; name another folder."
        )
    return CopiedImages(copied.images[nearest], copied.labels[nearest])


def fold_of(images: CopiedImages, *, fold: int, folds: int, classes: Sequence[str]) -> Dataset:
    """Return a data set whose test split is every `folds`-th image from `fold` on; every tenth other one is validation."""
    places = torch.arange(len(images.labels))
    others = places[places % folds != fold]
    return _dataset(images, others, images_of(images, places % folds == fold), classes)


def whole_of(train: CopiedImages, test: CopiedImages, *, classes: Sequence[str]) -> Dataset:
    """Return a data set with these test images; every tenth training image is validation."""
    return _dataset(train, torch.arange(len(train.labels)), test, classes)


def images_of(images: CopiedImages, where: Tensor) -> CopiedImages:
    """Return the images at indexes, or where a mask is true."""
    return CopiedImages(images.images[where], images.labels[where])


def _dataset(images: CopiedImages, kept: Tensor, test: CopiedImages, classes: Sequence[str]) -> Dataset:
    """Return a data set that trains on the images at `kept`, but for every tenth, which is validation."""
    held_out = torch.arange(len(kept)) % _EVERY == 0
    parts = images_of(images, kept[~held_out]), images_of(images, kept[held_out]), test
    train, validation, tested = (Split(images=one.images, labels=one.labels) for one in parts)
    mean, std = channel_statistics(train.images)
    return Dataset(
        name="imagefolder", classes=tuple(classes), train=train, validation=validation, test=tested, mean=mean, std=std,
        note=None,
    )  # fmt: skip


def with_images(dataset: Dataset, images: Tensor) -> Dataset:
    """Return a data set whose pixels are replaced by `images`: those of train, validation and test, in this order.

    Labels stay; mean and standard deviation are those of the new training images.
    """
    sizes = [len(part.labels) for part in (dataset.train, dataset.validation, dataset.test)]
    train, validation, test = (one.clone() for one in images.split(sizes))
    mean, std = channel_statistics(train)
    return dataclasses.replace(
        dataset,
        mean=mean,
        std=std,
        train=Split(images=train, labels=dataset.train.labels),
        validation=Split(images=validation, labels=dataset.validation.labels),
        test=Split(images=test, labels=dataset.test.labels),
    )


def all_images(dataset: Dataset) -> Tensor:
    """Return the images (N, C, H, W) of train, validation and test, in this order."""
    return torch.cat([part.images for part in (dataset.train, dataset.validation, dataset.test)])
