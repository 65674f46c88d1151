"""Read images from folders, `train/<class>/*` and `test/<class>/*`."""

import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vicreg.errors import InputError

_READERS = min(8, os.cpu_count() or 1)  # Pillow decodes, and files are read, outside the interpreter lock


class ImageFolder(NamedTuple):
    """Image files: train first, then test, both in the order of class names and file names."""

    classes: tuple[str, ...]
    paths: list[Path]
    labels: np.ndarray  # int64 (N,)
    train_size: int


def find_images(root: Path) -> ImageFolder:
    """Return the image files of all classes below `root`.

    Raises:
        InputError: if train and test do not have the same classes, or a class has no images.
    """
    train, test = found = [class_images(root / part) for part in ("train", "test")]
    for part, classes in zip(("train", "test"), found, strict=True):
        if not classes:
            raise InputError(f"an imagefolder must hold {part}/<class>/<image>, but {root / part} has no class folder.")
    if different := sorted(train.keys() ^ test.keys()):
        here, there = ("train", "test") if different[0] in train else ("test", "train")
        raise InputError(
            f"train and test must have the same class folders, but {different[0]!r} is in {root / here} and not in "
            f"{root / there}; add it there or remove it here."
        )
    for part, classes in zip(("train", "test"), found, strict=True):
        for name, paths in classes.items():
            if not paths:
                raise InputError(
                    f"every class folder must hold images (known by their extensions), but {root / part / name} has "
                    "none; add images or remove the folder from train and test."
                )
            if name.encode(errors="ignore").decode() != name:
                raise InputError(f"the names of class folders must be UTF-8, but one is {name!r}; rename it.")
    return ImageFolder(
        classes=tuple(train),
        paths=[path for classes in found for paths in classes.values() for path in paths],
        labels=np.concatenate([np.repeat(np.arange(len(c)), [len(p) for p in c.values()]) for c in found]),
        train_size=sum(len(paths) for paths in train.values()),
    )


def class_images(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class folder, both sorted by name; hidden entries and other files are left out."""
    if not folder.is_dir():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about optional plugins
        readable = {suffix for suffix, format_ in Image.registered_extensions().items() if format_ in Image.OPEN}
    return {
        place.name: [path for path in _visible(place) if path.suffix.lower() in readable and path.is_file()]
        for place in _visible(folder)
        if place.is_dir()
    }


def _visible(folder: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden, sorted by name."""
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)


def read_images(paths: Sequence[Path], *, image_size: int | None) -> np.ndarray:
    """Return images as uint8 `(N, C, H, W)`, with one channel if all images have one, else with three.

    Args:
        image_size: side in pixels that `fit` brings images to; None keeps their size.

    Raises:
        InputError: for a file that cannot be read, and for sizes that differ.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(_READERS) as pool:
        warnings.simplefilter("ignore")  # Pillow's, about metadata; ignored here because threads share the filters
        images = list(pool.map(lambda path: _read_image(path, image_size), paths))
    height, width = images[0].shape[1:]
    for path, image in zip(paths, images, strict=True):
        if image.shape[1:] != (height, width):
            raise InputError(
                f"images must have one size where prepare.image_size is null, but {paths[0]} is {width} x {height} and "
                f"{path} is {image.shape[2]} x {image.shape[1]} pixels; set prepare.image_size."
            )
    stacked = np.empty((len(images), max(len(image) for image in images), height, width), dtype=np.uint8)
    for target, image in zip(stacked, images, strict=True):
        target[:] = image  # repeats a single channel three times, as Pillow converts L to RGB
    return stacked


def fit(image: Image.Image, size: int | None) -> Image.Image:
    """Resize the shorter side to `size` (bilinear, antialiased) and crop the centre; with None return the image as it is."""
    if size is None or image.size == (size, size):
        return image
    scale = size / min(image.size)
    width, height = (max(size, math.floor(side * scale + 0.5)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


def _read_image(path: Path, image_size: int | None) -> np.ndarray:
    """Return one image as uint8 `(C, H, W)` with C 1 or 3."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip them to 255 without a warning
                raise InputError(f"images must have 8 bits a channel, but {path} has mode {image.mode}; convert it.")
            if image.mode == "P":
                image = image.convert("RGBA")  # type: ignore[assignment]  # P to RGB warns that transparency is lost
            pixels = np.asarray(fit(image if image.mode == "L" else image.convert("RGB"), image_size))
    except InputError:
        raise
    except Exception as error:  # Pillow has an exception of its own for each format
        raise InputError(f"{path} cannot be read as an image ({error}); replace it or remove it.") from error
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
