"""Change the colours of a batch: brightness, contrast, saturation, hue, grayscale."""

import torch
from torch import Tensor

from vicreg.views.parameters import ViewParameters
from vicreg.views.settings import STRENGTHS

_LUMA = (0.2989, 0.587, 0.114)  # torchvision's rgb_to_grayscale (ITU-R 601-2); they sum to 0.9999, and so does its gray


def _adjust_brightness(x: Tensor, factor: Tensor) -> Tensor:
    return x.mul_(factor[:, None, None, None]).clamp_(0.0, 1.0)


def _adjust_contrast(x: Tensor, factor: Tensor) -> Tensor:
    """f x + (1 - f) m, with m the mean of the sample's gray image: the gray of its mean colour."""
    n, height, channels, width = x.shape
    colour = x.view(n, height, channels * width).sum(dim=1).view(n, channels, width).sum(dim=2) / (height * width)
    gray = sum(weight * colour[:, c] for c, weight in enumerate(_LUMA)) if channels == 3 else colour[:, 0]
    factor, offset = factor[:, None, None, None], ((1.0 - factor) * gray)[:, None, None, None]
    return x.mul_(factor).add_(offset).clamp_(0.0, 1.0)


def _adjust_saturation(x: Tensor, factor: Tensor) -> Tensor:
    gray = luma(x).mul_((1.0 - factor)[:, None, None])
    return x.mul_(factor[:, None, None, None]).add_(gray[:, :, None]).clamp_(0.0, 1.0)


def _adjust_hue(x: Tensor, shift: Tensor) -> Tensor:
    return torch.stack(turn_hue(*x.unbind(2), shift[:, None, None]), dim=2)


def turn_hue(red: Tensor, green: Tensor, blue: Tensor, shift: Tensor) -> list[Tensor]:
    """Turn the hue by `shift` turns in HSV, in closed form.

    With t the new hue in sixths of a turn and c = max - min, neither of which needs a division by max:
    red = min + c clamp(|t - 3| - 1, 0, 1),
    green = min + c clamp(2 - |t - 2|, 0, 1),
    blue = min + c clamp(2 - |t - 4|, 0, 1).
    """
    largest = torch.maximum(torch.maximum(red, green), blue)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    chroma = largest - smallest
    numerator = torch.where(
        largest == red,
        green - blue,
        torch.where(largest == green, (blue - red).add_(chroma, alpha=2), (red - green).add_(chroma, alpha=4)),
    )
    # Where the chroma is 0 so is the numerator, and any hue gives the same gray.
    t = numerator.div_(chroma.clamp(min=1e-30)).add_(6.0 * shift)
    t.sub_(torch.floor(t * (1 / 6)), alpha=6)  # remainder(t, 6), which is several times slower
    above, below = smallest.add(chroma, alpha=2), smallest.sub_(chroma)
    red = torch.addcmul(below, chroma, (t - 3).abs_().clamp_(1, 2))
    green = torch.addcmul(above, chroma, (t - 2).abs_().clamp_(1, 2), value=-1)
    blue = torch.addcmul(above, chroma, t.sub_(4).abs_().clamp_(1, 2), value=-1)
    return [red, green, blue]


ADJUSTMENTS = (_adjust_brightness, _adjust_contrast, _adjust_saturation, _adjust_hue)


def blend(planes: list[Tensor], p: ViewParameters, drawn: Tensor, codes: Tensor) -> list[Tensor]:
    """Brightness, contrast or saturation, as each sample's code says, of those that `drawn` names."""
    brightness, contrast, saturation = (
        torch.where(drawn & (codes == code), getattr(p, name), 1.0)[:, None, None] for code, name in enumerate(STRENGTHS[:3])
    )
    gray = luma_of_planes(planes)
    factor, offset = brightness * contrast, (1.0 - contrast) * gray.mean(dim=(1, 2), keepdim=True)
    if len(planes) == 3:
        factor, offset = factor * saturation, offset + (1.0 - saturation) * gray
    return [(factor * plane + offset).clamp(0.0, 1.0) for plane in planes]


def to_grayscale(x: Tensor) -> Tensor:
    return luma(x)[:, :, None].expand_as(x)


def luma(x: Tensor) -> Tensor:
    """The luma (n, H, W) of (n, H, 3, W)."""
    return (x[:, :, 0] * _LUMA[0]).add_(x[:, :, 1], alpha=_LUMA[1]).add_(x[:, :, 2], alpha=_LUMA[2])


def luma_of_planes(planes: list[Tensor]) -> Tensor:
    """The luma of three planes; of one plane, itself."""
    return planes[0] if len(planes) == 1 else sum(weight * plane for weight, plane in zip(_LUMA, planes, strict=True))
