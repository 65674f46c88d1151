"""The blur equals torchvision's, at the borders too."""

import pytest

import vicreg.torchvision_compat  # noqa: F401  (before torchvision)
from tests.vicreg.views.reference import (
    NOTHING,
    assert_as_torchvision,
    noise,
    parameters,
)


@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_blur_reflects_at_the_borders_of_images_smaller_than_its_kernel(side: int) -> None:
    p = parameters(24, NOTHING, side, side, blur=True)
    assert 3 * p.blur_sigma.max() > min(side - 1, 5)
    assert_as_torchvision(noise(24, 3, side, side), p, side)
