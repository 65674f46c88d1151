"""Make random views of a batch of images on its device.

Every sample has its own parameters, and every operation equals torchvision's with these parameters to float32 rounding.
The operations follow the order of the VICReg authors: crop and resize, flip, colour jitter (its four adjustments in
random order), grayscale, blur, solarise, normalise. Two of them differ from the authors' code. It resizes with a bicubic
kernel, and this module with torchvision's default, bilinear with antialiasing. PIL's blur is three box filters there, and
a true Gaussian here.

Parameters may be on the host for images on a device: the samples of an operation are then known without waiting for the
device. Inside this package images are (n, height, C, width), so that a matrix product along either axis needs no copy.
Views have channels last in memory, which is the fastest layout for convolutions.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.views.blur import blur
from vicreg.views.color import blend, luma_of_planes, turn_hue
from vicreg.views.crop import crop_and_resize
from vicreg.views.parameters import ViewParameters, draw_parameters
from vicreg.views.plan import ViewPlan, plan_view
from vicreg.views.settings import STRENGTHS, ViewSettings
from vicreg.views.transfer import send


def apply_view(
    images: Tensor,
    parameters: ViewParameters,
    *,
    size: int,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    solarize_threshold: float = 0.5,
    static: bool = False,
) -> Tensor:
    """Return the views that `parameters` describe, normalised float32 (n, C, size, size) with channels last.

    A sample's view does not depend on the other samples. Of one-channel images saturation, hue and grayscale are the
    identity. Products are float32 even under autocast.

    Args:
        images: uint8 (n, C, H, W) with C 1 or 3.
        parameters: of the n samples, on the images' device or on the host.
        mean, std: one number a channel, on the scale [0, 1].
        static: compute every operation for every sample and select, so that no shape depends on a value. This is for
            compilers (`compiled_view`), which also choose the layout in memory.

    Raises:
        InputError: for images or statistics of another type or shape.
    """
    _require_images(images)
    if static:
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            x = _all_operations(images, parameters.to(images.device), size, solarize_threshold)
            return _normalise(x.transpose(1, 2), mean, std)
    plan = plan_view(parameters, channels=images.shape[1], solarize_threshold=solarize_threshold)
    return apply_plan(images, plan, size=size, mean=mean, std=std)


def apply_plan(
    images: Tensor, plan: ViewPlan, *, size: int, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor
) -> Tensor:
    """Return the views that a plan makes of uint8 images, as `apply_view` does. The plan may be on the host."""
    (plan,) = on_device([plan], images.device)
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        x = crop_and_resize(images, plan.parameters, size)
        for subset in plan.subsets:
            subset.apply_to(x)
        return _normalise(x.transpose(1, 2), mean, std)


def on_device(plans: Sequence[ViewPlan], device: torch.device) -> list[ViewPlan]:
    """Return plans with their tensors on `device`, to which they are sent in one copy."""
    sent = iter(send([tensor for plan in plans for tensor in plan.tensors()], device))
    return [plan.holding(sent) for plan in plans]


def _all_operations(images: Tensor, p: ViewParameters, size: int, solarize_threshold: float) -> Tensor:
    """Return the same with every operation for every sample, made the identity where it was not drawn.

    A sample's hue comes in one of the jitter's four slots. All hues are turned at once, with three slots for the other
    adjustments before it and three after it: 1.1 times as fast as turning hues in each slot.
    """
    coloured = images.shape[1] == 3
    planes = list(crop_and_resize(images, p, size, static=True).unbind(2))  # C of (n, size, size)
    of_hue = (p.order == STRENGTHS.index("hue")).to(torch.uint8).argmax(dim=1)  # (n,), the slot
    before = [(slot, p.jitter & (slot < of_hue)) for slot in (0, 1, 2)]
    behind = [(slot, p.jitter & (slot > of_hue)) for slot in (1, 2, 3)]
    for slot, drawn in before:
        planes = blend(planes, p, drawn, p.order[:, slot])
    if coloured:
        planes = turn_hue(*planes, torch.where(p.jitter, p.hue, 0.0)[:, None, None])  # type: ignore[call-arg]  # three planes
    for slot, drawn in behind:
        planes = blend(planes, p, drawn, p.order[:, slot])
    if coloured:
        gray = luma_of_planes(planes)
        planes = [torch.where(p.grayscale[:, None, None], gray, plane) for plane in planes]
    x = torch.stack(planes, dim=2)
    x = blur(x, torch.where(p.blur, p.blur_sigma, 1e-3))  # with a sigma this small the matrix is exactly the identity
    return torch.where(p.solarize[:, None, None, None] & (x >= solarize_threshold), 1.0 - x, x)


@functools.cache
def compiled_view() -> Callable[..., Tensor]:
    """Return `apply_view` with `static`, compiled: a few fused loops in place of about a hundred operations.

    Compiling takes up to half a minute for each number of images. Views are the same to rounding.
    """
    compiled = torch.compile(functools.partial(apply_view, static=True), dynamic=False)
    return lambda *arguments, **named: _channels_last(
        compiled(*arguments, **named)
    )  # not compiled: on a CPU it would be slower


def two_views(
    images: Tensor,
    *,
    settings: tuple[ViewSettings, ViewSettings],
    size: int,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    generator: torch.Generator | Sequence[torch.Generator],
    compiled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return two independent random views of each image, both normalised float32 (n, C, size, size).

    Both views are made in one pass, which saves half of the operations; the parameters of view 1 are drawn first.

    Args:
        images: uint8 (n, C, H, W) with C 1 or 3.
        settings: of view 1 and of view 2.
        mean, std: one number a channel, on the scale [0, 1].
        generator: for both views, or a pair with one for each.
        compiled: whether `compiled_view` makes them.

    Raises:
        InputError: for images or statistics of another type or shape.
    """
    _require_images(images)
    n, channels, height, width = images.shape
    plans = draw_two_views(
        n, channels=channels, height=height, width=width, settings=settings, generator=generator, compiled=compiled
    )
    return make_two_views(images, plans, size=size, mean=mean, std=std)


def draw_two_views(
    n: int,
    *,
    channels: int,
    height: int,
    width: int,
    settings: tuple[ViewSettings, ViewSettings],
    generator: torch.Generator | Sequence[torch.Generator],
    compiled: bool = False,
) -> list[ViewPlan]:
    """Return what `make_two_views` needs for n images: one plan of both views, or one a view where solarisation differs.

    It reads no image and asks no device, so another thread may draw what comes next.
    """
    generators = (generator, generator) if isinstance(generator, torch.Generator) else generator
    first, second = (view.solarize_threshold for view in settings)
    if settings[0] == settings[1]:
        drawn = [draw_parameters(n, height=height, width=width, settings=settings[0], generator=generators)]
    else:
        drawn = [
            draw_parameters(n, height=height, width=width, settings=view, generator=source)
            for view, source in zip(settings, generators, strict=True)
        ]
        if first == second:
            drawn = [ViewParameters(*(torch.cat(pair) for pair in zip(*drawn, strict=True)))]
    return [
        plan_view(parameters, channels=channels, solarize_threshold=threshold, static=compiled)
        for parameters, threshold in zip(drawn, (first, second))
    ]


def make_two_views(
    images: Tensor,
    plans: Sequence[ViewPlan],
    *,
    size: int,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
) -> tuple[Tensor, Tensor]:
    """Return both views of images, as `two_views` does, by the plans that `draw_two_views` returned for them."""
    named: dict[str, Any] = {"size": size, "mean": mean, "std": std}
    views = [
        _apply_compiled(batch, plan, **named) if plan.static else apply_plan(batch, plan, **named)
        for plan in on_device(plans, images.device)
        for batch in [images if len(plans) == 2 else torch.cat((images, images))]
    ]
    return (views[0], views[1]) if len(views) == 2 else (views[0][: len(images)], views[0][len(images) :])


def _apply_compiled(images: Tensor, plan: ViewPlan, **named: Any) -> Tensor:
    return compiled_view()(images, plan.parameters, solarize_threshold=plan.solarize_threshold, **named)


def crop_and_flip(
    images: Tensor,
    *,
    crop_scale: tuple[float, float],
    flip: float,
    size: int,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return randomly cropped and flipped images, normalised float32 (n, C, size, size), for linear evaluation.

    Raises:
        InputError: for images that are not uint8 (n, C, H, W) with C 1 or 3, or a range out of bounds.
    """
    view = ViewSettings(crop_scale=crop_scale, flip=flip, jitter=0.0, grayscale=0.0, blur=0.0, solarize=0.0)
    _require_images(images)
    n, _, height, width = images.shape
    parameters = draw_parameters(n, height=height, width=width, settings=view, generator=generator)
    return apply_view(images, parameters, size=size, mean=mean, std=std)


def plain_view(images: Tensor, *, size: int, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """Return unaugmented images: resized where their size differs, and normalised; float32 (n, C, size, size).

    Resizing is bilinear and antialiased. `mean` and `std` are one number a channel, on the scale [0, 1].

    Raises:
        InputError: for images that are not uint8 (n, C, H, W) with C 1 or 3.
    """
    _require_images(images)
    x = images.to(torch.float32).div_(255.0)
    if images.shape[2:] != (size, size):
        x = functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return _normalise(x, mean, std)


def _normalise(x: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """Return (x - mean) / std of (n, C, H, W) with channels last; when compiled, in the compiler's layout."""
    mean, std = (
        value.to(x).reshape(-1, 1, 1) if isinstance(value, Tensor) else channel_tensor(tuple(value), x.device)
        for value in (mean, std)
    )
    if len(mean) != x.shape[1] or len(std) != x.shape[1]:
        raise InputError(
            f"mean and std must have one number a channel, {x.shape[1]} here, but got {len(mean)} and {len(std)}."
        )
    offset, scale = -mean / std, 1 / std
    if torch.compiler.is_compiling():
        return torch.addcmul(offset, x, scale)
    return _channels_last(x, offset, scale)


@functools.lru_cache(maxsize=8)
def channel_tensor(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return one number a channel as a float32 tensor (C, 1, 1) on a device, to which it is copied once a process."""
    with torch.inference_mode(False):  # the cached tensor must serve training, whatever mode the first caller is in
        return torch.tensor(values, dtype=torch.float32, device=device).reshape(-1, 1, 1)


def _channels_last(x: Tensor, offset: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
    """Return `x` (n, C, H, W) with channels last in memory, or `offset` + `scale` x with both of shape (C, 1, 1)."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if x.device.type != "cpu":
        return out.copy_(x) if offset is None else torch.addcmul(offset, x, scale, out=out)  # type: ignore[arg-type]
    for channel in range(x.shape[1]):  # on a CPU 1.5 to 3 times as fast as all channels at once
        if offset is None:
            out[:, channel].copy_(x[:, channel])
        else:
            torch.add(offset[channel], x[:, channel], alpha=scale[channel].item(), out=out[:, channel])  # type: ignore[index]
    return out


def _require_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        raise InputError(
            "images must be uint8 of shape (n, C, H, W) with C 1 or 3, "
            f"but got {images.dtype} of shape {tuple(images.shape)}."
        )
