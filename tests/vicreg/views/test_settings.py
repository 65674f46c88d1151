"""Presets have the published values, and bad settings are refused."""

import math

import pytest

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from vicreg.errors import InputError
from vicreg.views.settings import ViewSettings, view_settings


def test_presets_have_the_published_values() -> None:
    common = {"flip": 0.5, "jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
    common |= {"grayscale": 0.2, "blur_sigma": (0.1, 2.0), "solarize_threshold": 0.5, "crop_ratio": (3 / 4, 4 / 3)}
    published = {
        "paper": [{"crop_scale": (0.08, 1.0), "blur": 0.5, "solarize": 0.1}] * 2,
        "source": [{"crop_scale": (0.2, 1.0), "blur": 0.5, "solarize": 0.1}] * 2,
        "official": [
            {"crop_scale": (0.08, 1.0), "blur": 1.0, "solarize": 0.0},
            {"crop_scale": (0.08, 1.0), "blur": 0.1, "solarize": 0.2},
        ],
    }
    for preset, views in published.items():
        assert view_settings(preset=preset) == tuple(ViewSettings(**common, **view) for view in views)


def test_overrides_hold_for_both_views_or_one_each() -> None:
    first, second = view_settings(
        preset="official",
        blur=None,
        flip=0.0,
        solarize=[0.3, 0.4],
        hue=[None, 0.2],
        crop_scale=[0.3, 0.9],
        blur_sigma=[[0.5, 1.0], [1, 2]],
    )
    assert (first.blur, second.blur) == (1.0, 0.1)
    assert (first.flip, second.flip) == (0.0, 0.0)
    assert (first.solarize, second.solarize) == (0.3, 0.4)
    assert (first.hue, second.hue) == (0.1, 0.2)
    assert first.crop_scale == second.crop_scale == (0.3, 0.9)
    assert (first.blur_sigma, second.blur_sigma) == ((0.5, 1.0), (1.0, 2.0))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"flip": 1.5}, "flip must be a number between 0 and 1, but got 1.5."),
        ({"blur": [0.5, -1]}, "blur must be a number between 0 and 1, but got -1."),
        ({"hue": 0.6}, "hue must be a number between 0 and 0.5, but got 0.6."),
        ({"contrast": -0.1}, "contrast must be a number at least 0, but got -0.1."),
        ({"jitter": "often"}, "jitter must be a number between 0 and 1, but got 'often'."),
        ({"jitter": True}, "jitter must be a number between 0 and 1, but got True."),
        ({"brightness": math.nan}, "brightness must be a number at least 0, but got nan."),
        ({"solarize": [1, 2, 3]}, r"solarize must be one value or a pair, \[view 1, view 2\], but got \[1, 2, 3\]."),
        ({"crop_scale": [0.9, 0.2]}, r"crop_scale must be a range .* 0 < low <= high <= 1, but got \[0.9, 0.2\]."),
        ({"crop_scale": [0.2, 1.2]}, r"crop_scale must be a range .* 0 < low <= high <= 1, but got \[0.2, 1.2\]."),
        ({"crop_scale": 0.2}, r"crop_scale must be a range .* but got 0.2."),
        ({"blur_sigma": [0.0, 2.0]}, r"blur_sigma must be a range .* 0 < low <= high, but got \[0.0, 2.0\]."),
        ({"rotation": 0.5}, "augmentation has no field 'rotation'; its fields are crop_scale, .*"),
        ({"preset": "simclr"}, "augmentation preset must be one of source, paper, official, but got 'simclr'."),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(override: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        view_settings(**{"preset": "paper"} | override)
