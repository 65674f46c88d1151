"""Two random views of every image of a batch, on the device that holds the batch.

Every sample has parameters of its own, and every operation equals torchvision's on the same parameters to float32
rounding. The order of operations is the VICReg authors': crop and resize, flip, colour jitter (its four adjustments in
a random order per sample), grayscale, blur, solarise, normalise. Two differences from the authors' code: it resizes
with a bicubic kernel (here bilinear with antialiasing, torchvision's default), and PIL's blur there is three box
filters (here a true Gaussian).

Parameters may be drawn on the host for images on a device: which samples an operation is for is then known without
waiting for the device. Images inside this module lie as (n, height, C, width), so that a matrix product along either
axis needs no copy; views lie with channels last, which is how convolutions want them.
"""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.views.blur import blur
from vicreg.views.color import ADJUSTMENTS, blend, luma_of_planes, to_grayscale, turn_hue
from vicreg.views.crop import crop_and_resize
from vicreg.views.parameters import ViewParameters, draw_parameters
from vicreg.views.settings import STRENGTHS, ViewSettings


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
    """The view that `parameters` describe: uint8 (n, C, H, W) with C 1 or 3 to normalised float32 (n, C, size, size).

    `mean` and `std` are one number a channel, on the scale [0, 1]. Of one-channel images saturation, hue and grayscale
    are the identity. Each operation touches only the samples that drew it; `static` computes every operation for every
    sample and selects, with shapes that depend on no value, which is what a compiler wants (`compiled_view`; views then lie
    in memory as the compiler leaves them, else with channels last). A sample's view does not depend on its neighbours.
    Products are float32 even under autocast. Raises InputError.
    """
    _require_images(images)
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
        if static:
            x = _all_operations(images, parameters.to(images.device), size, solarize_threshold)
        else:
            x = _drawn_operations(images, parameters, size, solarize_threshold)
        return _normalise(x.transpose(1, 2), mean, std)


def _drawn_operations(images: Tensor, p: ViewParameters, size: int, solarize_threshold: float) -> Tensor:
    """The view (n, size, C, size) on [0, 1], each operation for those samples that drew it."""
    coloured = images.shape[1] == 3
    x = crop_and_resize(images, p, size)
    for slot in p.order.unbind(1):
        for code, adjust in enumerate(ADJUSTMENTS if coloured else ADJUSTMENTS[:2]):
            apply_to_subset(p.jitter & (slot == code), x, adjust, getattr(p, STRENGTHS[code]))
    if coloured:
        apply_to_subset(p.grayscale, x, to_grayscale)
    apply_to_subset(p.blur, x, blur, p.blur_sigma)
    apply_to_subset(p.solarize, x, lambda chosen: torch.where(chosen >= solarize_threshold, 1.0 - chosen, chosen))
    return x


def _all_operations(images: Tensor, p: ViewParameters, size: int, solarize_threshold: float) -> Tensor:
    """The same with shapes that depend on no value: every operation for every sample, with the parameters that make it
    the identity where it was not drawn.

    Brightness, contrast and saturation are one map, a x + b gray(x) + c on [0, 1] with three numbers a sample. A sample's
    hue is turned in one of four slots, so all samples have theirs turned at once, with room for three such maps before
    it and three behind it: 1.1 times as fast as a hue in each slot.
    """
    coloured = images.shape[1] == 3
    planes = list(crop_and_resize(images, p, size, static=True).unbind(2))  # C of (n, size, size)
    of_hue = (p.order == STRENGTHS.index("hue")).to(torch.uint8).argmax(dim=1)  # (n,), the slot
    before = [(slot, p.jitter & (slot < of_hue)) for slot in (0, 1, 2)]
    behind = [(slot, p.jitter & (slot > of_hue)) for slot in (1, 2, 3)]
    for slot, drawn in before:
        planes = blend(planes, p, drawn, p.order[:, slot])
    if coloured:
        planes = turn_hue(*planes, torch.where(p.jitter, p.hue, 0.0)[:, None, None])
    for slot, drawn in behind:
        planes = blend(planes, p, drawn, p.order[:, slot])
    if coloured:
        gray = luma_of_planes(planes)
        planes = [torch.where(p.grayscale[:, None, None], gray, plane) for plane in planes]
    x = torch.stack(planes, dim=2)
    x = blur(x, torch.where(p.blur, p.blur_sigma, 1e-3))  # of so small a sigma the matrix is exactly the identity
    return torch.where(p.solarize[:, None, None, None] & (x >= solarize_threshold), 1.0 - x, x)


@functools.cache
def compiled_view() -> Callable[..., Tensor]:
    """`apply_view` in its static form, compiled: a few fused loops in place of some hundred operations. It takes up to half
    a minute to compile, for each number of images; views are the same to rounding."""
    compiled = torch.compile(functools.partial(apply_view, static=True), dynamic=False)
    return lambda *arguments, **named: _channels_last(compiled(*arguments, **named))  # on a CPU the slow part to compile


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
    """Two independent random views of uint8 images (n, C, H, W), each normalised float32 (n, C, size, size).

    The first view's parameters are drawn first; a pair of generators is one a view. `compiled` makes them with
    `compiled_view`. Both views are made in one go, which saves half of the operations. Raises InputError.
    """
    _require_images(images)
    n, _, height, width = images.shape
    generators = (generator, generator) if isinstance(generator, torch.Generator) else generator
    apply = compiled_view() if compiled else apply_view
    first, second = (view.solarize_threshold for view in settings)
    if settings[0] == settings[1]:
        both = draw_parameters(n, height=height, width=width, settings=settings[0], generator=generators)
    else:
        drawn = [
            draw_parameters(n, height=height, width=width, settings=view, generator=source)
            for view, source in zip(settings, generators, strict=True)
        ]
        if first != second:
            return tuple(
                apply(images, one, size=size, mean=mean, std=std, solarize_threshold=threshold)
                for one, threshold in zip(drawn, (first, second), strict=True)
            )
        both = ViewParameters(*(torch.cat(pair) for pair in zip(*drawn, strict=True)))
    views = apply(torch.cat((images, images)), both, size=size, mean=mean, std=std, solarize_threshold=first)
    return views[:n], views[n:]


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
    """A random crop and flip alone, what linear evaluation trains on: uint8 (n, C, H, W) to (n, C, size, size)."""
    view = ViewSettings(crop_scale=crop_scale, flip=flip, jitter=0.0, grayscale=0.0, blur=0.0, solarize=0.0)
    _require_images(images)
    n, _, height, width = images.shape
    parameters = draw_parameters(n, height=height, width=width, settings=view, generator=generator)
    return apply_view(images, parameters, size=size, mean=mean, std=std)


def plain_view(images: Tensor, *, size: int, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """The images unaugmented: resized (bilinear, antialiased) where their size differs, and normalised on [0, 1].

    uint8 (n, C, H, W) to float32 (n, C, size, size). Raises InputError.
    """
    _require_images(images)
    x = images.to(torch.float32).div_(255.0)
    if images.shape[2:] != (size, size):
        x = functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return _normalise(x, mean, std)


def apply_to_subset(mask: Tensor, x: Tensor, operation: Callable[..., Tensor], *arguments: Tensor) -> None:
    """Apply `operation`, which may overwrite what it is given, to the samples of `x` that `mask` names, in place."""
    rows = mask.nonzero()[:, 0]
    if len(rows):
        of_rows = [argument[rows].to(x.device) for argument in arguments]  # before `rows` moves to the device of `x`
        rows = rows.to(x.device)
        x.index_copy_(0, rows, operation(x.index_select(0, rows), *of_rows))


def _normalise(x: Tensor, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor) -> Tensor:
    """(x - mean) / std of (n, C, H, W), with channels last; compiled, as it lies."""
    mean, std = (torch.as_tensor(value, dtype=x.dtype, device=x.device).reshape(-1, 1, 1) for value in (mean, std))
    if len(mean) != x.shape[1] or len(std) != x.shape[1]:
        raise InputError(
            f"mean and std must have one number a channel, {x.shape[1]} here, but got {len(mean)} and {len(std)}."
        )
    offset, scale = -mean / std, 1 / std
    if torch.compiler.is_compiling():
        return torch.addcmul(offset, x, scale)
    return _channels_last(x, offset, scale)


def _channels_last(x: Tensor, offset: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
    """(n, C, H, W) with channels last, and where they are given, `offset` + `scale` x of each channel (C, 1, 1)."""
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    if x.device.type != "cpu":
        return out.copy_(x) if offset is None else torch.addcmul(offset, x, scale, out=out)
    for channel in range(x.shape[1]):  # one after the other: 1.5 to 3 times as fast on a CPU as all at once
        if offset is None:
            out[:, channel].copy_(x[:, channel])
        else:
            torch.add(offset[channel], x[:, channel], alpha=scale[channel].item(), out=out[:, channel])
    return out


def _require_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        raise InputError(
            "images must be uint8 of shape (n, C, H, W) with C 1 or 3, "
            f"but got {images.dtype} of shape {tuple(images.shape)}."
        )
