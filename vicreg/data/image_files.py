"""Decode image files to arrays of one shape."""

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from vicreg.errors import InputError
from vicreg.file_kinds import describe_file

_READERS = min(8, os.cpu_count() or 1)  # Pillow decodes, and files are read, outside the interpreter lock
_ORIENTATION = 0x0112  # of EXIF: 1 is upright, 2 to 8 are turned or mirrored
_LONG = 64  # where a side is so many times the other, only the centre is resized: 1 x 60,000 pixels at 224 would take 9 GB

# What is turned, or read only in part: key -> how a sentence calls it.
_REMARKS = {
    "turned": "turned upright by their EXIF orientation",
    "frames": "with several pictures, of which the first is read",
    "deep": "with 16 bits a channel, of which the upper 8 are read",
    "transparent": "transparent in places, where the colours below are read",
}

_log = logging.getLogger(__name__)


class _Decoded(NamedTuple):
    pixels: np.ndarray  # uint8 (C, H, W), C 1 or 3
    remarks: tuple[str, ...]  # keys of `_REMARKS`


def read_images(paths: Sequence[Path], *, image_size: int | None) -> np.ndarray:
    """Return images as uint8 `(N, C, H, W)`, with one channel if all images are of 8-bit grey, else with three.

    They are turned upright as their EXIF orientation says. Of several pictures in a file the first is read, of colours of 16
    bits the upper 8, and transparency is dropped; one warning counts such files. Grey of 16 bits is refused.

    Args:
        image_size: side in pixels that `fit` brings images to; None keeps their size.

    Raises:
        InputError: for a file that cannot be read, and for sizes that differ.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(_READERS) as pool:
        warnings.simplefilter("ignore")  # Pillow's, about metadata; ignored here because threads share the filters
        decoded = list(pool.map(lambda path: _read_image(path, image_size), paths))
    images = [image.pixels for image in decoded]
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
    if remark := _count_remarks(zip(paths, (image.remarks for image in decoded), strict=True)):
        _log.warning("of %d images: %s", len(images), remark)
    return stacked


def fit(image: Image.Image, size: int | None) -> Image.Image:
    """Resize the shorter side to `size` (bilinear, antialiased) and crop the centre; with None return the image as it is."""
    if size is None or image.size == (size, size):
        return image
    scale = size / min(image.size)
    width, height = (max(size, math.floor(side * scale + 0.5)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    if max(image.size) > _LONG * min(image.size):
        across, down = image.width / width, image.height / height
        box = (left * across, top * down, (left + size) * across, (top + size) * down)
        return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


def _count_remarks(found: Iterable[tuple[Path, tuple[str, ...]]]) -> str:
    """Return how many files each of `_REMARKS` holds for, each with an example; an empty string where none does."""
    files: dict[str, list[Path]] = {key: [] for key in _REMARKS}
    for path, remarks in found:
        for key in remarks:
            files[key].append(path)
    return ", ".join(f"{_REMARKS[key]} ({len(paths)}, such as {paths[0]})" for key, paths in files.items() if paths)


def _read_image(path: Path, image_size: int | None) -> _Decoded:
    """Return one image, upright."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):  # Pillow would clip them to 255 without a warning
                raise InputError(f"images must have 8 bits a channel, but {path} has mode {image.mode}; convert it.")
            deep = any(";16" in str(part) for part in getattr(image, "tile", ()))
            image.load()  # what is wrong with the pixels is an error, and what is wrong with metadata below is not
            upright = _upright(image)
            colours = upright.convert("RGBA") if upright.mode == "P" else upright  # P to RGB warns of lost transparency
            eight_bits = colours if colours.mode == "L" else colours.convert("RGB")
            pixels = np.asarray(fit(eight_bits, image_size))
            remarks = {
                "turned": upright is not image, "frames": _has_frames(image), "deep": deep,
                "transparent": colours.mode in ("RGBA", "LA") and colours.getchannel("A").getextrema() != (255, 255),
            }  # fmt: skip
    except InputError:
        raise
    except Exception as error:  # Pillow has an exception of its own for each format
        cause = _what_else(path) or " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as an image ({cause}); replace it or remove it.") from error
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return _Decoded(planes, tuple(key for key, holds in remarks.items() if holds))


def _upright(image: Image.Image) -> Image.Image:
    """Return the image turned as its EXIF orientation says, itself where that says nothing or cannot be read."""
    with contextlib.suppress(Exception):  # damaged metadata end in errors of many kinds, and viewers ignore them
        if image.getexif().get(_ORIENTATION) in range(2, 9):
            return ImageOps.exif_transpose(image)
    return image


def _has_frames(image: Image.Image) -> bool:
    with contextlib.suppress(Exception):  # looks for a second picture, which may be damaged where the first is not
        return bool(getattr(image, "is_animated", False))
    return False


def _what_else(path: Path) -> str | None:
    """Return what a file is that is no image, where that shows."""
    with contextlib.suppress(OSError):
        return describe_file(path)
    return None
