"""Parameters have the distributions that their settings say, and crops have torchvision's."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from tests.vicreg.views.reference import (
    NOTHING,
    STRONG,
    generator,
)
from vicreg.torchvision_compat import torchvision
from vicreg.views.parameters import draw_parameters
from vicreg.views.settings import ViewSettings


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
        torch.searchsorted(values.sort().values, places, right=True).double() / len(values) for values in (sample, other)
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
    expected = torchvision.transforms.RandomResizedCrop.get_params(torch.empty(3, height, width), [1.0, 1.0], list(ratio))
    for i in range(5):
        assert (p.top[i], p.left[i], p.height[i], p.width[i]) == expected


def test_parameters_of_two_generators_are_those_of_each_one_after_the_other() -> None:
    both = draw_parameters(7, height=32, width=32, settings=STRONG, generator=[generator(1), generator(2)])
    apart = [draw_parameters(7, height=32, width=32, settings=STRONG, generator=generator(seed)) for seed in (1, 2)]
    for name, drawn in both._asdict().items():
        assert torch.equal(drawn, torch.cat([getattr(one, name) for one in apart])), name
