"""Patches of images, and a context that looks up alone."""

import pytest
import torch

from vicreg.errors import InputError
from vicreg.models.patches import RowContext, cut_patches, grid_side
from vicreg.models.resnet import initialise


@pytest.mark.parametrize(
    ("side", "patch", "stride", "grid"), [(32, 16, 8, 3), (32, 8, 4, 7), (32, 8, 8, 4), (8, 4, 2, 3), (8, 8, 3, 1)]
)
def test_patches_cover_an_image_to_its_border(side, patch, stride, grid):
    assert grid_side(side, patch=patch, stride=stride) == grid


@pytest.mark.parametrize(("side", "patch", "stride"), [(30, 16, 8), (32, 16, 7), (8, 16, 8)])
def test_patches_that_leave_a_border_or_do_not_fit_are_refused(side, patch, stride):
    with pytest.raises(InputError, match=f"patches of {patch} pixels with a stride of {stride} do not in one of {side};"):
        cut_patches(torch.zeros(1, 1, side, side), patch=patch, stride=stride)


def test_patches_come_image_by_image_and_row_by_row():
    images = torch.randn(2, 3, 8, 8)
    patches = cut_patches(images, patch=4, stride=2)
    assert patches.shape == (18, 3, 4, 4)
    for n in range(2):
        for row in range(3):
            for column in range(3):
                expected = images[n, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
                assert torch.equal(patches[9 * n + 3 * row + column], expected)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_context_depends_on_its_own_row_and_as_many_above_as_there_are_blocks(blocks):
    context = RowContext(dimension=3, width=5, blocks=blocks)
    initialise(context, torch.Generator().manual_seed(0))
    latents = (torch.rand(1, 3, 5, 5) + 1).requires_grad_()
    for row in range(5):
        (gradient,) = torch.autograd.grad(context(latents)[:, :, row].sum(), latents)
        seen = [bool(gradient[:, :, other].any()) for other in range(5)]
        assert seen == [row - blocks <= other <= row for other in range(5)]


def test_a_context_sees_a_column_to_each_side_with_each_block():
    context = RowContext(dimension=3, width=5, blocks=1)
    initialise(context, torch.Generator().manual_seed(0))
    latents = (torch.rand(1, 3, 5, 5) + 1).requires_grad_()
    (gradient,) = torch.autograd.grad(context(latents)[:, :, :, 2].sum(), latents)
    assert [bool(gradient[..., column].any()) for column in range(5)] == [False, True, True, True, False]
