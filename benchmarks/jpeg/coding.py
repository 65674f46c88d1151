"""Codes images by JPEG at the quality that gives a wanted PSNR, its grid where it was or shifted."""

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vicreg.errors import InputError
from vicreg.metrics.features import evenly_spread

# Chroma at half the resolution each way, as libjpeg has it by default and the JPEG copy of CIFAR-10 too.
_SUBSAMPLING = "4:2:0"
_LOWEST, _HIGHEST = 1, 100  # qualities of libjpeg
_SEARCHED = 2000  # images that a quality is searched on; at 3 x 32 x 32 their mean PSNR is within 0.1 dB of all


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """Images (N, C, H, W) uint8 after coding and decoding, and how they were coded.

    `quality` is libjpeg's, None where files were coded by others. `shift` is the number of pixels, right and down, by which
    images were moved over the grid of blocks. `psnr` holds one figure an image (N,), in dB.
    """

    images: Tensor
    quality: int | None
    shift: int
    psnr: Tensor

    def to_dict(self) -> dict[str, Any]:
        """Return how images were coded, with mean, first percentile and smallest of their PSNR."""
        about = {key: value for key, value in asdict(self).items() if key in ("quality", "shift")}
        figures = {"mean": self.psnr.mean(), "first_percentile": self.psnr.quantile(0.01), "least": self.psnr.min()}
        return {**about, "psnr": {name: round(float(value), 3) for name, value in figures.items()}}


def code_images(images: Tensor, *, quality: int, shift: int = 0) -> Tensor:
    """Return images (N, C, H, W) uint8 coded and decoded by Pillow's JPEG, chroma subsampled where they have three channels.

    With a `shift`, edges are repeated by so many pixels on each side, and cut off after decoding. So the grid of 8 x 8
    blocks lies elsewhere than that of an earlier coding, at whose places a second one would change next to nothing. A shift
    around the edges would bring a seam into blocks, which no first coding has.

    Raises:
        InputError: for images that have neither one channel nor three.
    """
    if images.shape[1] not in (1, 3):
        raise InputError(f"images to code must have 1 channel or 3, but have {images.shape[1]}.")
    pad = ((0, 0), (shift, shift), (shift, shift), (0, 0))
    padded = np.pad(images.permute(0, 2, 3, 1).numpy(), pad, mode="edge")
    coded = np.stack([_coded(one, quality) for one in padded])
    height, width = images.shape[2:]
    inside = coded[:, shift : shift + height, shift : shift + width]
    return torch.from_numpy(np.ascontiguousarray(inside.transpose(0, 3, 1, 2)))


def _coded(image: np.ndarray, quality: int) -> np.ndarray:
    """Return one image (H, W, C) coded and decoded."""
    file = io.BytesIO()
    if image.shape[2] == 1:
        Image.fromarray(np.ascontiguousarray(image[:, :, 0])).save(file, "JPEG", quality=quality)
    else:
        Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality, subsampling=_SUBSAMPLING)
    file.seek(0)
    with Image.open(file) as decoded:
        return np.asarray(decoded).reshape(image.shape)


def psnr(images: Tensor, coded: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each image (N,), dB: 10 log10(255^2 / mean squared error).

    Both are uint8 (N, C, H, W). An image without an error has an infinite one.
    """
    error = (images.double() - coded.double()).square().flatten(1).mean(dim=1)
    return 10 * torch.log10(255**2 / error)


def nearest_quality(measure: Callable[[int], float], *, target: float) -> int:
    """Return the quality from 1 to 100 at which `measure`, a mean PSNR in dB that rises with it, is nearest to a target.

    Raises:
        InputError: where the target is not between what the lowest and the highest quality give.
    """
    low, high = _LOWEST, _HIGHEST
    if not measure(low) <= target <= measure(high):
        raise InputError(
            f"the PSNR must lie between {measure(low):.1f} and {measure(high):.1f} dB, which JPEG reaches on these images, "
            f"but got {target:g}."
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if measure(middle) <= target else (low, middle)
    return min((low, high), key=lambda quality: abs(measure(quality) - target))


def code_at(images: Tensor, *, target: float, shift: int = 0) -> Coded:
    """Return images (N, C, H, W) uint8 coded at the quality whose mean PSNR over images is nearest to `target` dB.

    The quality is searched on 2,000 evenly spread images at most; `Coded.psnr` is of all.
    """
    some = images[evenly_spread(len(images), _SEARCHED)]
    found: dict[int, float] = {}

    def mean_psnr(quality: int) -> float:
        if quality not in found:
            found[quality] = float(psnr(some, code_images(some, quality=quality, shift=shift)).mean())
        return found[quality]

    quality = nearest_quality(mean_psnr, target=target)
    coded = code_images(images, quality=quality, shift=shift)
    return Coded(images=coded, quality=quality, shift=shift, psnr=psnr(images, coded))
