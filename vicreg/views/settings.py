"""What two random views of an image are drawn from: settings and presets."""

import math
from dataclasses import dataclass, fields

from vicreg.errors import InputError

STRENGTHS = ("brightness", "contrast", "saturation", "hue")  # in the order that ViewParameters.order counts them
PROBABILITIES = ("flip", "jitter", "grayscale", "blur", "solarize")
_RANGES = ("crop_scale", "crop_ratio", "blur_sigma")


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """What one view is drawn from; the defaults are the paper's symmetric views (arXiv 2105.04906, Appendix C.1).

    `crop_scale` is the range of the crop's share of the image's area, `crop_ratio` that of width / height. `flip`,
    `jitter`, `grayscale`, `blur` and `solarize` are probabilities. Brightness, contrast and saturation factors are
    uniform in [max(0, 1 - strength), 1 + strength], the hue's shift in [-hue, hue] turns. `blur_sigma` is in pixels of
    the view, and values of [0, 1] at or above `solarize_threshold` are inverted. Raises InputError.
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


# Differences from ViewSettings' defaults, view by view. "paper" and "official" are arXiv 2105.04906's symmetric views
# and the asymmetric ones of its authors' code. "source" is Ben Salem's: it crops from 0.2 of the area and names the
# operations but not their probabilities, which are taken from the paper.
_PRESETS = {
    "source": ({"crop_scale": (0.2, 1.0)}, {"crop_scale": (0.2, 1.0)}),
    "paper": ({}, {}),
    "official": ({"blur": 1.0, "solarize": 0.0}, {"blur": 0.1, "solarize": 0.2}),
}


def view_settings(*, preset: str, **overrides: object) -> tuple[ViewSettings, ViewSettings]:
    """The settings of both views: a preset ("source", "paper" or "official") and what differs from it.

    An override of None leaves the preset's value. A scalar holds for both views and a pair of scalars is
    [view 1, view 2]; for crop_scale, crop_ratio and blur_sigma a flat pair is one range for both views and a pair of
    pairs a range each. Raises InputError for an unknown preset or field, and for a value out of bounds.
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
    """What an override says of each view: a value for both, or a pair with one each."""
    if not isinstance(value, (list, tuple)):
        return value, value
    if name in _RANGES and not any(isinstance(item, (list, tuple)) or item is None for item in value):
        return value, value
    if len(value) != 2:
        raise InputError(f"{name} must be one value or a pair, [view 1, view 2], but got {value!r}.")
    return value[0], value[1]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _require_number(name: str, value: object, *, lowest: float, highest: float) -> None:
    if not _is_number(value) or not lowest <= value <= highest:
        bounds = f"at least {lowest:g}" if highest == math.inf else f"between {lowest:g} and {highest:g}"
        raise InputError(f"{name} must be a number {bounds}, but got {value!r}.")


def _require_range(name: str, value: object, *, highest: float) -> None:
    pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(_is_number(bound) for bound in value)
    if not pair or not 0 < value[0] <= value[1] <= highest:
        limit = "" if highest == math.inf else f" <= {highest:g}"
        raise InputError(f"{name} must be a range [low, high] with 0 < low <= high{limit}, but got {value!r}.")
