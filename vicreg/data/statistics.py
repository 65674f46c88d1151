"""Mean and standard deviation of each channel of images."""

import math

import torch
from torch import Tensor


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and population standard deviation of each channel of uint8 `(N, C, H, W)`, scaled to [0, 1].

    They are S1 / (255 n) and sqrt(n S2 - S1^2) / (255 n), with the exact integers S1 = sum x and S2 = sum x^2 over n pixels.
    """
    mean, std = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).tolist()
        n, first, second = (sum(count * value**power for value, count in enumerate(counts)) for power in range(3))
        mean.append(first / (255 * n))
        std.append(math.sqrt(n * second - first**2) / (255 * n))
    return tuple(mean), tuple(std)
