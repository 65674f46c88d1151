"""torchvision's operations on the parameters of a view, and images to compare them on."""

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from vicreg.views.parameters import ViewParameters, draw_parameters
from vicreg.views.pipeline import apply_view
from vicreg.views.settings import ViewSettings

BOUND = 1e-5  # on [0, 1], a four-hundredth of one of 255 levels; measured 2e-6
RAW = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
STRONG = ViewSettings(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, grayscale=0.3, solarize=0.5)
NOTHING = ViewSettings(crop_scale=(1.0, 1.0), flip=0.0, jitter=0.0, grayscale=0.0, blur=0.0, solarize=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(n: int = 24, channels: int = 3, height: int = 32, width: int = 32) -> Tensor:
    return torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator(1))


def photographs(n: int = 24, side: int = 32) -> Tensor:
    """Smooth colours with grays, blacks, whites and saturated primaries among them, where hue is delicate."""
    smooth = torch.nn.functional.interpolate(torch.randn(n, 3, 4, 4, generator=generator(2)), size=side, mode="bicubic")
    images = (smooth * 90 + 128).clamp(0, 255).round().to(torch.uint8)
    images[:, :, 0] = torch.arange(side, dtype=torch.uint8) * (255 // side)
    corners = torch.tensor([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)], dtype=torch.uint8)
    images[:, :, 1, :8] = corners.T
    return images


def parameters(n: int, settings: ViewSettings, height: int = 32, width: int = 32, **changes: object) -> ViewParameters:
    drawn = draw_parameters(n, height=height, width=width, settings=settings, generator=generator())
    return drawn._replace(
        **{name: torch.full_like(getattr(drawn, name), value) for name, value in changes.items() if name != "order"},
        **{name: torch.tensor(value).expand(n, 4) for name, value in changes.items() if name == "order"},
    )


def reference_view(image: Tensor, p: ViewParameters, i: int, size: int, threshold: float = 0.5) -> Tensor:
    """torchvision's functions, one after the other, on one image (C, H, W) of [0, 1] with the i-th parameters."""
    box = [int(p.top[i]), int(p.left[i]), int(p.height[i]), int(p.width[i])]
    x = reference.resized_crop(image, *box, [size, size], antialias=True)
    x = reference.hflip(x) if p.flip[i] else x
    adjustments = (
        lambda x: reference.adjust_brightness(x, float(p.brightness[i])),
        lambda x: reference.adjust_contrast(x, float(p.contrast[i])),
        lambda x: reference.adjust_saturation(x, float(p.saturation[i])),
        lambda x: reference.adjust_hue(x, float(p.hue[i])),
    )
    for code in p.order[i].tolist() if p.jitter[i] else ():
        x = adjustments[code](x)
    x = reference.rgb_to_grayscale(x, num_output_channels=len(x)) if p.grayscale[i] else x
    if p.blur[i]:
        radius = min(math.ceil(3 * p.blur_sigma[i]), size - 1)
        x = reference.gaussian_blur(x, [2 * radius + 1] * 2, [float(p.blur_sigma[i])] * 2)
    return reference.solarize(x, threshold) if p.solarize[i] else x


def assert_as_torchvision(images: Tensor, p: ViewParameters, size: int, threshold: float = 0.5) -> None:
    channels = images.shape[1]
    view = apply_view(images, p, size=size, mean=(0,) * channels, std=(1,) * channels, solarize_threshold=threshold)
    expected = torch.stack([reference_view(x / 255, p, i, size, threshold) for i, x in enumerate(images)])
    assert view.dtype == torch.float32 and view.is_contiguous(memory_format=torch.channels_last)
    assert (view - expected).abs().max() < BOUND
