"""Draw the random parameters of a view, one set for each image."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vicreg.views.settings import PROBABILITIES, STRENGTHS, ViewSettings

_CROP_ATTEMPTS = 10  # torchvision's RandomResizedCrop, before it falls back to the central crop
_DRAWS = 2 * _CROP_ATTEMPTS + 16  # uniform numbers a sample: crop 22, masks 5, jitter 4 and its order 4, sigma 1


class ViewParameters(NamedTuple):
    """The parameters drawn for one view of n images: tensors of shape (n,), and `order` of shape (n, 4).

    `top`, `left`, `height` and `width` are the crop in pixels of the stored image. `flip`, `jitter`, `grayscale`,
    `blur` and `solarize` say which samples get the operation. `order[i, k]` is the k-th adjustment in the jitter of
    sample i: 0 brightness, 1 contrast, 2 saturation, 3 hue.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor
    jitter: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    order: Tensor
    grayscale: Tensor
    blur: Tensor
    blur_sigma: Tensor
    solarize: Tensor

    def to(self, device: torch.device) -> "ViewParameters":
        """Return the same parameters on `device`."""
        return ViewParameters(*(tensor.to(device) for tensor in self))


def draw_parameters(
    n: int, *, height: int, width: int, settings: ViewSettings, generator: torch.Generator | Sequence[torch.Generator]
) -> ViewParameters:
    """Draw one view's parameters for n images of `height` x `width` pixels, on the generator's device.

    Several generators give n parameters each, one generator after the other. The crop is distributed as torchvision's
    RandomResizedCrop: ten attempts, then the central crop. A sample always takes 36 numbers from the generator,
    whatever the settings, so that all arms of a study see the same randomness.
    """
    generators = [generator] if isinstance(generator, torch.Generator) else generator
    uniform = torch.cat([torch.rand((n, _DRAWS), generator=one, device=one.device) for one in generators])
    crop, rest = uniform[:, : 2 * _CROP_ATTEMPTS + 2], uniform[:, 2 * _CROP_ATTEMPTS + 2 :]
    masks = {name: rest[:, column] < getattr(settings, name) for column, name in enumerate(PROBABILITIES)}
    factors = {}
    for column, name in enumerate(STRENGTHS, start=5):
        strength = getattr(settings, name)
        lowest, highest = (-strength, strength) if name == "hue" else (max(0.0, 1.0 - strength), 1.0 + strength)
        factors[name] = _between(rest[:, column], lowest, highest)
    return ViewParameters(
        **_draw_crop(crop, height=height, width=width, settings=settings),
        **masks,
        **factors,
        order=rest[:, 9:13].argsort(dim=1, stable=True),  # ranks of four uniforms: a uniform permutation
        blur_sigma=_between(rest[:, 13], *settings.blur_sigma),
    )


def _draw_crop(uniform: Tensor, *, height: int, width: int, settings: ViewSettings) -> dict[str, Tensor]:
    """Return crops from (n, 22) uniform numbers: area and ratio of each attempt, and a place for the first that fits."""
    area = height * width * _between(uniform[:, :_CROP_ATTEMPTS], *settings.crop_scale)
    low, high = settings.crop_ratio
    ratio = _between(uniform[:, _CROP_ATTEMPTS : 2 * _CROP_ATTEMPTS], math.log(low), math.log(high)).exp()
    widths, heights = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.to(torch.uint8).argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    central_width = min(width, max(1, round(height * high)))  # torchvision's fallback, never below one pixel
    central_height = min(height, max(1, round(width / low)))
    w = widths.gather(1, first)[:, 0].where(found, torch.full_like(first[:, 0], central_width))
    h = heights.gather(1, first)[:, 0].where(found, torch.full_like(first[:, 0], central_height))
    room_down, room_right = height - h, width - w
    top = torch.minimum((uniform[:, -2] * (room_down + 1)).long(), room_down)  # u (k + 1) may round up to k + 1
    left = torch.minimum((uniform[:, -1] * (room_right + 1)).long(), room_right)
    top, left = top.where(found, room_down // 2), left.where(found, room_right // 2)
    return {"top": top, "left": left, "height": h, "width": w}


def _between(uniform: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * uniform
