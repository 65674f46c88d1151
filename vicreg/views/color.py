"""Change colours: brightness, contrast, saturation, hue and grayscale.

Images are float32 on [0, 1], (n, H, C, W) with the channels between the axes, or planes: C tensors (n, H, W). Factors and
shifts are (n,), one a sample. Each operation equals torchvision's of the same name to float32 rounding.
"""

import torch
from torch import Tensor

from vicreg.views.parameters import ViewParameters
from vicreg.views.settings import STRENGTHS

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's rgb_to_grayscale (ITU-R 601-2), which also sum to 0.9999


def _adjust_brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Return f x, clamped to [0, 1]."""
    return x.mul_(factor[:, None, None, None]).clamp_(0.0, 1.0)


def _adjust_contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Return f x + (1 - f) m, with m the mean of the sample's gray image, which is the gray of its mean colour."""
    n, height, channels, width = x.shape
    colour = x.view(n, height, channels * width).sum(dim=1).view(n, channels, width).sum(dim=2) / (height * width)
    gray = sum(weight * colour[:, c] for c, weight in enumerate(_LUMA)) if channels == 3 else colour[:, 0]
    factor, offset = factor[:, None, None, None], ((1.0 - factor) * gray)[:, None, None, None]
    return x.mul_(factor).add_(offset).clamp_(0.0, 1.0)


def _adjust_saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Return f x + (1 - f) gray(x)."""
    gray = luma(x).mul_((1.0 - factor)[:, None, None])
    return x.mul_(factor[:, None, None, None]).add_(gray[:, :, None]).clamp_(0.0, 1.0)


def _adjust_hue(x: Tensor, shift: Tensor) -> Tensor:
    """Return `x` (n, H, 3, W) with its hue turned by `shift` turns."""
    return torch.stack(turn_hue(*x.unbind(2), shift[:, None, None]), dim=2)  # type: ignore[call-arg]  # three planes


def turn_hue(red: Tensor, green: Tensor, blue: Tensor, shift: Tensor) -> list[Tensor]:
    """Turn the hue of three planes (n, H, W) by `shift` (n, 1, 1) turns in HSV, in closed form.

    With t the new hue in sixths of a turn and c = max - min:

        red = min + c clamp(|t - 3| - 1, 0, 1)
        green = min + c clamp(2 - |t - 2|, 0, 1)
        blue = min + c clamp(2 - |t - 4|, 0, 1)
    """
    largest = torch.maximum(torch.maximum(red, green), blue)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    chroma = largest - smallest
    numerator = torch.where(
        largest == red,
        green - blue,
        torch.where(largest == green, (blue - red).add_(chroma, alpha=2), (red - green).add_(chroma, alpha=4)),
    )
    # Where the chroma is 0 the numerator is 0 too, and any hue gives the same gray.
    t = numerator.div_(chroma.clamp(min=1e-30)).add_(6.0 * shift)
    t.sub_(torch.floor(t * (1 / 6)), alpha=6)  # remainder(t, 6), which is several times slower
    above, below = smallest.add(chroma, alpha=2), smallest.sub_(chroma)
    red = torch.addcmul(below, chroma, (t - 3).abs_().clamp_(1, 2))
    green = torch.addcmul(above, chroma, (t - 2).abs_().clamp_(1, 2), value=-1)
    blue = torch.addcmul(above, chroma, t.sub_(4).abs_().clamp_(1, 2), value=-1)
    return [red, green, blue]


# The jitter's operations in the order of STRENGTHS. Each may overwrite the images that it is given.
ADJUSTMENTS = (_adjust_brightness, _adjust_contrast, _adjust_saturation, _adjust_hue)


def blend(planes: list[Tensor], p: ViewParameters, drawn: Tensor, codes: Tensor) -> list[Tensor]:
    """Change brightness, contrast or saturation of the samples that `drawn` (n,) names, as `codes` (n,) say.

    All three are one map, a x + b gray(x) + c with three numbers a sample, clamped to [0, 1].
    """
    brightness, contrast, saturation = (
        torch.where(drawn & (codes == code), getattr(p, name), 1.0)[:, None, None] for code, name in enumerate(STRENGTHS[:3])
    )
    gray = luma_of_planes(planes)
    factor, offset = brightness * contrast, (1.0 - contrast) * gray.mean(dim=(1, 2), keepdim=True)
    if len(planes) == 3:
        factor, offset = factor * saturation, offset + (1.0 - saturation) * gray
    return [(factor * plane + offset).clamp(0.0, 1.0) for plane in planes]


def to_grayscale(x: Tensor) -> Tensor:
    """Return `x` (n, H, 3, W) with each channel replaced by the luma."""
    return luma(x)[:, :, None].expand_as(x)


def luma(x: Tensor) -> Tensor:
    """Return the luma (n, H, W) of images (n, H, 3, W)."""
    return (x[:, :, 0] * _LUMA[0]).add_(x[:, :, 1], alpha=_LUMA[1]).add_(x[:, :, 2], alpha=_LUMA[2])


def luma_of_planes(planes: list[Tensor]) -> Tensor:
    """Return the luma of three planes, or the only plane itself."""
    return planes[0] if len(planes) == 1 else sum(weight * plane for weight, plane in zip(_LUMA, planes, strict=True))  # type: ignore[return-value]
