"""Crops, resizes and flips equal torchvision's on the same parameters."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from tests.vicreg.views.reference import (
    BOUND,
    RAW,
    assert_as_torchvision,
    generator,
    noise,
    parameters,
)
from vicreg.views.pipeline import apply_view, crop_and_flip
from vicreg.views.settings import ViewSettings


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 32), (48, 40, 24), (8, 8, 8), (12, 17, 31), (5, 7, 1)])
def test_crop_and_flip_equal_torchvisions(height: int, width: int, size: int) -> None:
    settings = ViewSettings(jitter=0, grayscale=0, blur=0, solarize=0)
    p = parameters(24, settings, height, width)
    assert len(set(p.width.tolist())) > 2 and 0 < p.flip.sum() < 24
    assert_as_torchvision(noise(24, 3, height, width), p, size)


def test_crop_is_within_one_level_of_torchvisions_integer_crop() -> None:
    images, p = noise(), parameters(24, ViewSettings(flip=0, jitter=0, grayscale=0, blur=0, solarize=0))
    levels = (apply_view(images, p, size=32, **RAW) * 255).round()
    boxes = torch.stack([p.top, p.left, p.height, p.width], dim=1).tolist()
    expected = [reference.resized_crop(x, *box, [32, 32], antialias=True) for x, box in zip(images, boxes)]
    assert (levels - torch.stack(expected)).abs().max() <= 1


def test_crop_and_flip_changes_nothing_but_place_and_direction() -> None:
    images = noise()
    draw = {"crop_scale": (1.0, 1.0), "size": 32, "generator": generator(), **RAW}
    assert torch.allclose(crop_and_flip(images, flip=0.0, **draw), images / 255, atol=BOUND)
    assert torch.allclose(crop_and_flip(images, flip=1.0, **draw), images.flip(3) / 255, atol=BOUND)
    constant = torch.full((8, 3, 16, 16), 100, dtype=torch.uint8)
    cropped = crop_and_flip(constant, flip=0.5, **draw | {"crop_scale": (0.2, 0.5)})
    assert torch.allclose(cropped, torch.tensor(100 / 255), atol=BOUND)
