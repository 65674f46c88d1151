"""Views' settings and presets, and the distribution of what is drawn from them, against torchvision's crops."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.torchvision_compat import torchvision
from vicreg.views.parameters import draw_parameters
from vicreg.views.settings import ViewSettings, view_settings

STRONG = ViewSettings(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, grayscale=0.3, solarize=0.5)
NOTHING = ViewSettings(crop_scale=(1.0, 1.0), flip=0.0, jitter=0.0, grayscale=0.0, blur=0.0, solarize=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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


def test_the_numbers_drawn_do_not_depend_on_settings() -> None:
    states = []
    for settings in (NOTHING, STRONG, ViewSettings(crop_scale=(1.0, 1.0), crop_ratio=(5.0, 6.0))):
        random = generator()
        draw_parameters(100, height=32, width=20, settings=settings, generator=random)
        states.append(random.get_state())
    assert torch.equal(states[0], states[1]) and torch.equal(states[0], states[2])


def largest_gap(sample: Tensor, other: Tensor) -> float:
    """Kolmogorov-Smirnov: the largest distance between two empirical distribution functions."""
    places = torch.cat((sample, other)).sort().values
    cumulative = [
        torch.searchsorted(values.sort().values, places, right=True).double() / len(values)
        for values in (sample, other)
    ]
    return float((cumulative[0] - cumulative[1]).abs().max())


def test_masks_have_their_probabilities_and_factors_their_ranges() -> None:
    n, settings = 40_000, ViewSettings(flip=0.3)
    p = draw_parameters(n, height=32, width=32, settings=settings, generator=generator())
    for name in ("flip", "jitter", "grayscale", "blur", "solarize"):
        probability = getattr(settings, name)
        tolerance = 4 * math.sqrt(probability * (1 - probability) / n)
        assert abs(getattr(p, name).float().mean() - probability) < tolerance
    ranges = {"brightness": (0.6, 1.4), "contrast": (0.6, 1.4), "saturation": (0.8, 1.2), "hue": (-0.1, 0.1)}
    for name, (low, high) in (ranges | {"blur_sigma": (0.1, 2.0)}).items():
        assert largest_gap((getattr(p, name) - low) / (high - low), torch.linspace(0, 1, n)) < 1.95 / math.sqrt(n)
    assert (draw_parameters(9, height=8, width=8, settings=STRONG, generator=generator()).brightness >= 0.2).all()


def test_draws_of_different_kinds_are_uncorrelated() -> None:
    n = 40_000
    p = draw_parameters(n, height=500, width=500, settings=ViewSettings(), generator=generator())
    columns = torch.stack([column.double() for name, column in p._asdict().items() if name != "order"])
    # Of the room there is, so that a place's mean does not depend on the crop's size.
    places = torch.stack([(p.top + 0.5) / (501.0 - p.height), (p.left + 0.5) / (501.0 - p.width)]).double()
    correlation = torch.corrcoef(torch.cat((places, columns[2:], p.order.T.double()[:3])))
    correlation[2, 3] = correlation[3, 2] = 0  # height and width share the area
    correlation[-3:, -3:] = torch.eye(3)  # one permutation's entries
    assert (correlation - torch.eye(len(correlation))).abs().max() < 4.5 / math.sqrt(n)


def test_every_order_of_the_jitter_is_equally_likely() -> None:
    n = 24_000
    p = draw_parameters(n, height=32, width=32, settings=ViewSettings(), generator=generator())
    counts = {order: 0 for order in permutations(range(4))}
    for order in p.order.tolist():
        counts[tuple(order)] += 1
    chi_squared = sum((count - n / 24) ** 2 / (n / 24) for count in counts.values())
    assert chi_squared < 49.7  # 23 degrees of freedom, p = 0.001


def test_a_crops_area_is_uniform_where_every_attempt_fits() -> None:
    settings = ViewSettings(crop_scale=(0.2, 0.7))
    p = draw_parameters(20_000, height=1000, width=1000, settings=settings, generator=generator())
    area = (p.height * p.width / 1000**2 - 0.2) / 0.5
    assert largest_gap(area, torch.linspace(0, 1, 20_000)) < 1.95 / math.sqrt(20_000)
    ratio = ((p.width / p.height).log() / math.log(4 / 3) + 1) / 2
    assert largest_gap(ratio, torch.linspace(0, 1, 20_000)) < 1.95 / math.sqrt(20_000)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (20, 48)])
def test_crops_are_distributed_as_torchvisions(height: int, width: int) -> None:
    n, settings = 4000, ViewSettings()
    p = draw_parameters(n, height=height, width=width, settings=settings, generator=generator())
    draw = torchvision.transforms.RandomResizedCrop.get_params
    with torch.random.fork_rng():
        torch.manual_seed(0)
        image = torch.empty(3, height, width)
        boxes = torch.tensor([draw(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(n)])
    ours = torch.stack((p.top, p.left, p.height, p.width), dim=1)
    assert (ours[:, :2] >= 0).all() and (ours[:, 2:] > 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= torch.tensor([height, width])).all()
    for column in range(4):
        assert largest_gap(ours[:, column], boxes[:, column]) < 1.95 * math.sqrt(2 / n)


@pytest.mark.parametrize(("height", "width", "ratio"), [(32, 32, (2.0, 3.0)), (32, 32, (0.2, 0.4)), (40, 12, (1, 1))])
def test_crops_that_never_fit_fall_back_to_torchvisions_central_crop(
    height: int, width: int, ratio: tuple[float, float]
) -> None:
    settings = ViewSettings(crop_scale=(1.0, 1.0), crop_ratio=ratio)
    p = draw_parameters(5, height=height, width=width, settings=settings, generator=generator())
    expected = torchvision.transforms.RandomResizedCrop.get_params(
        torch.empty(3, height, width), [1.0, 1.0], list(ratio)
    )
    for i in range(5):
        assert (p.top[i], p.left[i], p.height[i], p.width[i]) == expected


def test_parameters_of_two_generators_are_those_of_each_one_after_the_other() -> None:
    both = draw_parameters(7, height=32, width=32, settings=STRONG, generator=[generator(1), generator(2)])
    apart = [draw_parameters(7, height=32, width=32, settings=STRONG, generator=generator(seed)) for seed in (1, 2)]
    for name, drawn in both._asdict().items():
        assert torch.equal(drawn, torch.cat([getattr(one, name) for one in apart])), name
