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
from vicreg.views.settings import STRENGTHS, ViewParameters, ViewSettings, draw_parameters

_GRAY = (0.2989, 0.587, 0.114)  # torchvision's rgb_to_grayscale (ITU-R 601-2); they sum to 0.9999, and so does its gray
_BLUR_REACH = 3.0  # the kernel holds ceil(3 sigma) pixels each way: 99.7 % of the Gaussian's mass, then normalised
_CROP_CHUNK = 2**18  # numbers cropped at a time on a CPU: 1 MiB, 1.08 times as fast as half of it; more gains nothing


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
    x = _crop(images, p, size)
    for slot in p.order.unbind(1):
        for code, adjust in enumerate(_ADJUSTMENTS if coloured else _ADJUSTMENTS[:2]):
            apply_to_subset(p.jitter & (slot == code), x, adjust, getattr(p, STRENGTHS[code]))
    if coloured:
        apply_to_subset(p.grayscale, x, _to_gray)
    apply_to_subset(p.blur, x, _blur, p.blur_sigma)
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
    planes = list(_crop(images, p, size, static=True).unbind(2))  # C of (n, size, size)
    of_hue = (p.order == STRENGTHS.index("hue")).to(torch.uint8).argmax(dim=1)  # (n,), the slot
    before = [(slot, p.jitter & (slot < of_hue)) for slot in (0, 1, 2)]
    behind = [(slot, p.jitter & (slot > of_hue)) for slot in (1, 2, 3)]
    for slot, drawn in before:
        planes = _blend(planes, p, drawn, p.order[:, slot])
    if coloured:
        planes = _turn_hue(*planes, torch.where(p.jitter, p.hue, 0.0)[:, None, None])
    for slot, drawn in behind:
        planes = _blend(planes, p, drawn, p.order[:, slot])
    if coloured:
        gray = _gray_of(planes)
        planes = [torch.where(p.grayscale[:, None, None], gray, plane) for plane in planes]
    x = torch.stack(planes, dim=2)
    x = _blur(x, torch.where(p.blur, p.blur_sigma, 1e-3))  # of so small a sigma the matrix is exactly the identity
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


def plain_view(
    images: Tensor, *, size: int, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor
) -> Tensor:
    """The images unaugmented: resized (bilinear, antialiased) where their size differs, and normalised on [0, 1].

    uint8 (n, C, H, W) to float32 (n, C, size, size). Raises InputError.
    """
    _require_images(images)
    x = images.to(torch.float32).div_(255.0)
    if images.shape[2:] != (size, size):
        x = functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return _normalise(x, mean, std)


def _crop(images: Tensor, p: ViewParameters, size: int, *, static: bool = False) -> Tensor:
    """Crop, resize, flip and scale to [0, 1]: V X H^T for each sample and channel, returned as (n, size, C, size)."""
    n, channels, height, width = images.shape
    top, rows, left, columns, flip = (one.to(images.device) for one in (p.top, p.height, p.left, p.width, p.flip))
    horizontal = _resize_matrix(left, columns, side=width, size=size, reverse=flip).mT
    if static and height <= size:
        cropped = _rows_between(images, top, rows, size).reshape(n, size * channels, width)
        return torch.bmm(cropped, horizontal).view(n, size, channels, size)
    vertical = _resize_matrix(top, rows, side=height, size=size).mul_(1 / 255)
    cropped = torch.empty((n, size, channels, size), device=images.device)
    pixels = channels * max(height, size) * max(width, size)
    whole = images.is_cuda or torch.compiler.is_compiling()
    chunk = n if whole else max(1, _CROP_CHUNK // pixels)
    for part in (slice(first, first + chunk) for first in range(0, n, chunk)):
        rows = images[part].transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format)  # (m, H, C, W)
        rows = vertical[part] @ rows.view(-1, height, channels * width)
        rows = rows.view(-1, size * channels, width)
        torch.bmm(rows, horizontal[part], out=cropped[part].view(-1, size * channels, size))
    return cropped


def _rows_between(images: Tensor, top: Tensor, rows: Tensor, size: int) -> Tensor:
    """The rows (n, size, C, W) of crops of at most `size` rows, on [0, 1]: each lies between two rows of the image, where
    products with `_resize_matrix` would take all. Compiled with what comes before, an eighth of the views' time less."""
    centre = (torch.arange(size, device=images.device) + 0.5) * (rows.to(torch.float32)[:, None] / size) - 0.5
    last = rows[:, None] - 1
    centre = torch.minimum(centre.clamp(min=0.0), last)  # the filter is cut at the crop's border and normalised there
    above = centre.long()
    share = (centre - above)[:, :, None, None] * (1 / 255)
    sample = torch.arange(len(images), device=images.device)[:, None]
    x = images.transpose(1, 2)  # (n, H, C, W)
    upper = x[sample, top[:, None] + above].to(torch.float32)
    lower = x[sample, top[:, None] + torch.minimum(above + 1, last)].to(torch.float32)
    return upper * (1 / 255) + (lower - upper) * share


def _resize_matrix(
    start: Tensor, length: Tensor, *, side: int, size: int, reverse: Tensor | None = None
) -> Tensor:
    """The (n, size, side) weights that resize pixels [start, start + length) of `side` to `size`, reversed if asked.

    The triangle filter of PIL's and torch's antialiased bilinear resize: it widens with the scale when it shrinks, and
    its weights are cut at the crop's border and normalised.
    """
    scale = length.to(torch.float32)[:, None] / size
    output = torch.arange(size, device=start.device).expand(len(start), size)
    if reverse is not None:
        output = torch.where(reverse[:, None], size - 1 - output, output)
    centre = (output + 0.5) * scale  # (n, size), from the crop's border
    pixel = torch.arange(side, device=start.device) - start[:, None]  # (n, side)
    inside = (pixel >= 0) & (pixel < length[:, None])
    reach = scale.clamp(min=1.0)
    weights = ((pixel + 0.5) / reach)[:, None, :] - (centre / reach)[:, :, None]
    weights = weights.abs_().neg_().add_(1.0).clamp_(min=0.0).mul_(inside[:, None, :])
    return weights.div_(weights.sum(dim=2, keepdim=True))


def apply_to_subset(mask: Tensor, x: Tensor, operation: Callable[..., Tensor], *arguments: Tensor) -> None:
    """Apply `operation`, which may overwrite what it is given, to the samples of `x` that `mask` names, in place."""
    rows = mask.nonzero()[:, 0]
    if len(rows):
        of_rows = [argument[rows].to(x.device) for argument in arguments]  # before `rows` moves to the device of `x`
        rows = rows.to(x.device)
        x.index_copy_(0, rows, operation(x.index_select(0, rows), *of_rows))


def _blend(planes: list[Tensor], p: ViewParameters, drawn: Tensor, codes: Tensor) -> list[Tensor]:
    """Brightness, contrast or saturation, as each sample's code says, of those that `drawn` names."""
    brightness, contrast, saturation = (
        torch.where(drawn & (codes == code), getattr(p, name), 1.0)[:, None, None] for code, name in enumerate(STRENGTHS[:3])
    )
    gray = _gray_of(planes)
    factor, offset = brightness * contrast, (1.0 - contrast) * gray.mean(dim=(1, 2), keepdim=True)
    if len(planes) == 3:
        factor, offset = factor * saturation, offset + (1.0 - saturation) * gray
    return [(factor * plane + offset).clamp(0.0, 1.0) for plane in planes]


def _adjust_brightness(x: Tensor, factor: Tensor) -> Tensor:
    return x.mul_(factor[:, None, None, None]).clamp_(0.0, 1.0)


def _adjust_contrast(x: Tensor, factor: Tensor) -> Tensor:
    """f x + (1 - f) m, with m the mean of the sample's gray image: the gray of its mean colour."""
    n, height, channels, width = x.shape
    colour = x.view(n, height, channels * width).sum(dim=1).view(n, channels, width).sum(dim=2) / (height * width)
    gray = sum(weight * colour[:, c] for c, weight in enumerate(_GRAY)) if channels == 3 else colour[:, 0]
    factor, offset = factor[:, None, None, None], ((1.0 - factor) * gray)[:, None, None, None]
    return x.mul_(factor).add_(offset).clamp_(0.0, 1.0)


def _adjust_saturation(x: Tensor, factor: Tensor) -> Tensor:
    gray = _gray(x).mul_((1.0 - factor)[:, None, None])
    return x.mul_(factor[:, None, None, None]).add_(gray[:, :, None]).clamp_(0.0, 1.0)


def _adjust_hue(x: Tensor, shift: Tensor) -> Tensor:
    return torch.stack(_turn_hue(*x.unbind(2), shift[:, None, None]), dim=2)


def _turn_hue(red: Tensor, green: Tensor, blue: Tensor, shift: Tensor) -> list[Tensor]:
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


_ADJUSTMENTS = (_adjust_brightness, _adjust_contrast, _adjust_saturation, _adjust_hue)


def _gray_of(planes: list[Tensor]) -> Tensor:
    """The luma of three planes; of one plane, itself."""
    return planes[0] if len(planes) == 1 else sum(weight * plane for weight, plane in zip(_GRAY, planes, strict=True))


def _gray(x: Tensor) -> Tensor:
    """The luma (n, H, W) of (n, H, 3, W)."""
    return (x[:, :, 0] * _GRAY[0]).add_(x[:, :, 1], alpha=_GRAY[1]).add_(x[:, :, 2], alpha=_GRAY[2])


def _to_gray(x: Tensor) -> Tensor:
    return _gray(x)[:, :, None].expand_as(x)


def _blur(x: Tensor, sigma: Tensor) -> Tensor:
    return _separable(x, _blur_matrix(sigma, x.shape[1]))


def _separable(x: Tensor, kernel: Tensor) -> Tensor:
    """K X K^T of each sample and channel: square images (n, S, C, S), kernels (n, S, S)."""
    n, size, channels, _ = x.shape
    rows = kernel @ x.view(n, size, channels * size)
    return (rows.view(n, size * channels, size) @ kernel.mT).view_as(x)


def _blur_matrix(sigma: Tensor, size: int) -> Tensor:
    """The (n, size, size) matrices of a Gaussian blur with reflected borders, of radius min(ceil(3 sigma), size - 1).

    K[i, j] is the sum of the kernel at the distances from i at which j is seen; taken as a product, which is cubic in size:
    at 32 pixels twice as fast as picking entries by an index, at 224 five times as slow. Reflection that does not repeat the
    border pixel reaches size - 1 far at most, as torch's does, so the radius ends there.
    """
    distance = torch.arange(size, device=sigma.device)
    radius = torch.ceil(_BLUR_REACH * sigma).clamp(max=size - 1)[:, None]
    kernel = torch.exp(-0.5 * (distance / sigma[:, None]).square()) * (distance <= radius)  # (n, size)
    kernel /= 2 * kernel.sum(dim=1, keepdim=True) - 1  # both sides, the middle once; the middle is exp(0)
    find = _seen_at.__wrapped__ if torch.compiler.is_compiling() else _seen_at  # a compiler cannot look into a cache
    return (kernel @ find(size, sigma.device)).view(-1, size, size)  # exact: a sum of at most three entries


@functools.lru_cache(maxsize=4)
def _seen_at(size: int, device: torch.device) -> Tensor:
    """(size, size * size): how often pixel i sees pixel j at distance d, at [d, i * size + j]: directly, |i - j|; in the
    mirror before the first pixel, i + j; and in the one behind the last, 2 (size - 1) - i - j."""
    pixel = torch.arange(size, device=device)
    distance, i, j = pixel[:, None, None], pixel[:, None], pixel
    direct = (i - j).abs() == distance
    before = (i + j == distance) & (j >= 1)
    behind = (2 * (size - 1) - i - j == distance) & (j <= size - 2)
    return (direct.float() + before.float() + behind.float()).view(size, size * size)


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
