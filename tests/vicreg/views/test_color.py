"""Changes of colour equal torchvision's on the same parameters."""

import pytest
import torch
from torch import Tensor

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from tests.vicreg.views.reference import (
    NOTHING,
    RAW,
    assert_as_torchvision,
    noise,
    parameters,
    photographs,
)
from vicreg.views.pipeline import apply_view
from vicreg.views.settings import ViewSettings


@pytest.mark.parametrize("images", [noise(), photographs()], ids=["noise", "photographs"])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_adjustment_alone_equals_torchvisions(name: str, images: Tensor) -> None:
    strength = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0} | {name: 0.5 if name == "hue" else 1.0}
    p = parameters(24, ViewSettings(jitter=1, grayscale=0, blur=0, solarize=0, **strength))
    assert_as_torchvision(images, p, 32)


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.0, 1 / 6, 0.5])
def test_hue_is_exact_at_primaries_and_at_the_ends_of_its_range(shift: float) -> None:
    p = parameters(24, NOTHING, jitter=True, brightness=1.0, contrast=1.0, saturation=1.0, hue=shift)
    assert_as_torchvision(photographs(), p, 32)


def test_saturation_hue_and_grayscale_leave_one_channel_alone() -> None:
    images = noise(8, 1)
    p = parameters(8, NOTHING, jitter=True, brightness=1.0, contrast=1.0, saturation=0.3, hue=0.4, grayscale=True)
    assert (apply_view(images, p, size=32, mean=[0], std=[1]) - images / 255).abs().max() < 1e-6


def test_the_jitters_order_matters_and_is_each_samples_own() -> None:
    images = photographs(1).expand(2, -1, -1, -1)
    factors = {"jitter": True, "brightness": 1.7, "contrast": 0.5, "saturation": 1.8, "hue": 0.2}
    forward, backward = ([0, 1, 2, 3], [3, 2, 1, 0])
    p = parameters(2, NOTHING, **factors)._replace(order=torch.tensor([forward, backward]))
    view = apply_view(images, p, size=32, **RAW)
    assert (view[0] - view[1]).abs().max() > 0.1
    for row, order in enumerate((forward, backward)):
        alone = apply_view(images, parameters(2, NOTHING, order=order, **factors), size=32, **RAW)
        assert torch.equal(view[row], alone[row])


def test_solarisation_inverts_at_and_above_its_own_threshold() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    p = parameters(1, NOTHING, 16, 16, solarize=True)
    for threshold in (0.0, 0.3, 1.0):
        view = apply_view(levels, p, size=16, mean=[0], std=[1], solarize_threshold=threshold)
        expected = torch.where(levels >= threshold * 255, 255 - levels.int(), levels)
        assert ((view * 255).round() == expected).all()
