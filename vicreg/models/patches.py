"""Cut images into overlapping patches, and summarise the rows of patches above."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.errors import InputError


def grid_side(side: int, *, patch: int, stride: int) -> int:
    """Return how many patches of `patch` pixels, `stride` pixels apart, cover an image of `side` pixels in each direction.

    Raises:
        InputError: for patches that leave a border or do not fit.
    """
    rest = side - patch
    if rest < 0 or rest % stride:
        raise InputError(
            f"patches must cover a view to its border, but patches of {patch} pixels with a stride of {stride} do not in "
            f"one of {side}; choose pretrain.patch and pretrain.stride so that the stride divides {side} - patch."
        )
    return rest // stride + 1


def cut_patches(images: Tensor, *, patch: int, stride: int) -> Tensor:
    """Return the patches (N * g * g, C, patch, patch) of images (N, C, H, H), g in each direction, channels last.

    The g * g patches of an image follow each other row by row. Raises InputError as `grid_side` does.
    """
    grid_side(images.shape[-1], patch=patch, stride=stride)
    patches = images.unfold(2, patch, stride).unfold(3, patch, stride)  # (N, C, g, g, patch, patch)
    patches = patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    return patches.contiguous(memory_format=torch.channels_last)


class RowContext(nn.Module):
    """Latents (N, d, g, g) -> contexts (N, d, g, g), where a row of contexts depends on its own row and those above alone.

    Each of the residual blocks is 1 x 1 convolution, ReLU, 1 x 3 convolution along the row, 2 x 1 convolution of the row and
    the one above it, ReLU, 1 x 1 convolution (arXiv 1905.09272, Appendix, pseudo-code `pixelCNN`). A block so reaches one
    row further up, and one column to each side. Here convolutions have no bias.

    Args:
        dimension: d.
        width: channels between a block's convolutions.
        blocks: their number.
    """

    def __init__(self, *, dimension: int, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_RowBlock(dimension, width) for _ in range(blocks))

    def forward(self, latents: Tensor) -> Tensor:
        for block in self.blocks:
            latents = latents + block(latents)
        return functional.relu(latents)


class _RowBlock(nn.Module):
    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(dimension, width, kernel_size=1, bias=False)
        self.along = nn.Conv2d(width, width, kernel_size=(1, 3), padding=(0, 1), bias=False)
        self.down = nn.Conv2d(width, width, kernel_size=(2, 1), bias=False)
        self.widen = nn.Conv2d(width, dimension, kernel_size=1, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.along(functional.relu(self.narrow(latents)))
        x = self.down(functional.pad(x, (0, 0, 1, 0)))  # a row of zeros above, so that row r reads rows r - 1 and r
        return self.widen(functional.relu(x))
