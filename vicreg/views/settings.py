"""Settings and presets of the two random views of an image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from vicreg.errors import InputError

STRENGTHS = ("brightness", "contrast", "saturation", "hue")  # `ViewParameters.order` numbers them in this order
PROBABILITIES = ("flip", "jitter", "grayscale", "blur", "solarize")
_RANGES = ("crop_scale", "crop_ratio", "blur_sigma")


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """The distribution of one view; the defaults are the paper's symmetric views (arXiv 2105.04906, Appendix C.1).

    Attributes:
        crop_scale: range of the crop's share of the image's area.
        crop_ratio: range of the crop's width / height.
        flip, jitter, grayscale, blur, solarize: probabilities of the operations.
        brightness, contrast, saturation: strengths; factors are uniform in [max(0, 1 - strength), 1 + strength].
        hue: the shift is uniform in [-hue, hue] turns.
        blur_sigma: range of the Gaussian's standard deviation, in pixels of the view.
        solarize_threshold: values of [0, 1] at or above it are inverted.

    Raises:
        InputError: for a value out of bounds.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    grayscale: float = 0.2
    blur: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # the authors' code (sigma = 0.1 + 1.9 u)
    solarize: float = 0.1
    solarize_threshold: float = 0.5  # between levels 127 and 128, where the authors' PIL.ImageOps.solarize divides

    def __post_init__(self) -> None:
        for name in (*PROBABILITIES, "solarize_threshold"):
            _require_number(name, getattr(self, name), lowest=0.0, highest=1.0)
        for name in STRENGTHS:
            _require_number(name, getattr(self, name), lowest=0.0, highest=0.5 if name == "hue" else math.inf)
        for name in _RANGES:
            _require_range(name, getattr(self, name), highest=1.0 if name == "crop_scale" else math.inf)
            object.__setattr__(self, name, tuple(float(bound) for bound in getattr(self, name)))


# What each of the two views changes in the defaults of ViewSettings. "paper" has the symmetric views of arXiv 2105.04906
# and "official" the asymmetric ones of its authors' code. "source" has Ben Salem's: they crop from 0.2 of the area, and
# name the operations but not their probabilities, which are the paper's.
_PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "source": ({"crop_scale": (0.2, 1.0)}, {"crop_scale": (0.2, 1.0)}),
    "paper": ({}, {}),
    "official": ({"blur": 1.0, "solarize": 0.0}, {"blur": 0.1, "solarize": 0.2}),
}


def view_settings(*, preset: str, **overrides: object) -> tuple[ViewSettings, ViewSettings]:
    """Return the settings of both views: those of a preset, with `overrides` of single fields.

    Args:
        preset: "source", "paper" or "official".
        overrides: a scalar is for both views, and a pair of scalars is [view 1, view 2]. For crop_scale, crop_ratio and
            blur_sigma a flat pair is one range for both views, and a pair of pairs is one range each. None keeps the
            preset's value.

    Raises:
        InputError: for an unknown preset or field, and for a value out of bounds.
    """
    if preset not in _PRESETS:
        raise InputError(f"augmentation preset must be one of {', '.join(_PRESETS)}, but got {preset!r}.")
    known = [field.name for field in fields(ViewSettings)]
    views = [dict(view) for view in _PRESETS[preset]]
    for name, value in overrides.items():
        if name not in known:
            raise InputError(f"augmentation has no field {name!r}; its fields are {', '.join(known)}.")
        for view, chosen in zip(views, _for_each_view(name, value)):
            if chosen is not None:
                view[name] = chosen
    return ViewSettings(**views[0]), ViewSettings(**views[1])


def _for_each_view(name: str, value: object) -> tuple[object, object]:
    """Return what an override says of view 1 and of view 2."""
    if not isinstance(value, (list, tuple)):
        return value, value
    if name in _RANGES and not any(isinstance(item, (list, tuple)) or item is None for item in value):
        return value, value
    if len(value) != 2:
        raise InputError(f"{name} must be one value or a pair, [view 1, view 2], but got {value!r}.")
    return value[0], value[1]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require_number(name: str, value: float, *, lowest: float, highest: float) -> None:
    if not _is_number(value) or not lowest <= value <= highest:
        bounds = f"at least {lowest:g}" if highest == math.inf else f"between {lowest:g} and {highest:g}"
        raise InputError(f"{name} must be a number {bounds}, but got {value!r}.")


def _require_range(name: str, value: Sequence[float], *, highest: float) -> None:
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_number(bound) for bound in value)
    if not pair or not 0 < value[0] <= value[1] <= highest:
        limit = "" if highest == math.inf else f" <= {highest:g}"
        raise InputError(f"{name} must be a range [low, high] with 0 < low <= high{limit}, but got {value!r}.")
