"""A small decoder from vectors to images, for methods that reconstruct."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.models.view_batchnorm import ViewBatchNorm2d

# Side of the map that the linear layer makes, pixels, and the number of convolutions that enlarge it: DCGAN's generator has
# a 4 x 4 map and doubles it (arXiv 1511.06434, Figure 1), three times for 32 x 32.
FIRST_SIDE, STAGES = 4, 3


class Decoder(nn.Module):
    """Vectors (N, d) -> images (N, C, H, H): a linear layer to a 4 x 4 map, then three stages that enlarge it.

    A stage is nearest-neighbour upsampling, a 3 x 3 convolution, BatchNorm and ReLU; a last convolution gives the channels.
    Upsampling before a plain convolution has none of the chequered patterns of transposed convolutions (Odena, Dumoulin and
    Olah 2016, Deconvolution and checkerboard artifacts, distill.pub). Parameters do not depend on the images' side.

    Args:
        dimension: d, the width of the vectors.
        channels: C, of the images.
        width: of the last stage's feature maps; the first have four times as many channels.
    """

    def __init__(self, *, dimension: int, channels: int, width: int) -> None:
        super().__init__()
        self.first_channels = 4 * width
        self.linear = nn.Linear(dimension, self.first_channels * FIRST_SIDE**2, bias=False)  # BatchNorm follows
        self.norm = ViewBatchNorm2d(self.first_channels)
        sizes = [4 * width, 4 * width, 2 * width, width]
        self.stages = nn.ModuleList(_stage(sizes[i], sizes[i + 1]) for i in range(STAGES))
        self.output = nn.Conv2d(width, channels, kernel_size=3, padding=1, bias=False)

    def reset_output(self, generator: torch.Generator) -> None:
        """Draw the last convolution's weights anew, from N(0, 1 / fan_in), so that first images have about unit variance.

        The rule for ReLU networks, 2 / fan_out, is for layers that are as wide as the one before. With three output channels
        for 32 the first images would have a variance above 10, and the first error would be of the weights' scale alone.
        """
        nn.init.kaiming_normal_(self.output.weight, mode="fan_in", nonlinearity="linear", generator=generator)

    def forward(self, vectors: Tensor, side: int) -> Tensor:
        """Return images (N, C, side, side) of vectors (N, d).

        Raises:
            InputError: for a side that is not a multiple of 4.
        """
        factors = upsampling_factors(side)
        x = self.linear(vectors).unflatten(1, (self.first_channels, FIRST_SIDE, FIRST_SIDE))
        x = x.contiguous(memory_format=torch.channels_last)
        x = functional.relu(self.norm(x))  # (N, 4 width, 4, 4)
        for factor, stage in zip(factors, self.stages, strict=True):
            x = stage(functional.interpolate(x, scale_factor=float(factor), mode="nearest") if factor > 1 else x)
        return self.output(x)


def _stage(channels: int, wanted: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, wanted, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(convolution, ViewBatchNorm2d(wanted), nn.ReLU(inplace=True))


def decoder_width(backbone_width: int) -> int:
    """Return the decoder's `width` beside a backbone of so many channels in its first stage: half of them.

    At 32 x 32 pixels a decoder then has the operations of a ResNet-34 with the ImageNet stem, counted 98 million each. So an
    autoencoder, which takes one view, costs what a method of two views costs.
    """
    return max(1, backbone_width // 2)


def upsampling_factors(side: int) -> tuple[int, ...]:
    """Return by what factor each of the three stages enlarges a 4 x 4 map so that it is `side` pixels wide at the end.

    They are as equal as the prime factors of side / 4 allow. Larger ones come last, where maps have fewer channels.

    Raises:
        InputError: for a side that is not a multiple of 4.
    """
    if side < FIRST_SIDE or side % FIRST_SIDE:
        raise InputError(
            f"views must be a multiple of {FIRST_SIDE} pixels wide to be reconstructed, but got {side}; set "
            f"pretrain.image_size to {max(FIRST_SIDE, side // FIRST_SIDE * FIRST_SIDE)}."
        )
    factors = [1] * STAGES
    for prime in reversed(_prime_factors(side // FIRST_SIDE)):
        factors[factors.index(min(factors))] *= prime
    return tuple(sorted(factors))


def _prime_factors(number: int) -> list[int]:
    """Return the prime factors of a number of at least 1, ascending."""
    found, divisor = [], 2
    while number > 1:
        if number % divisor:
            divisor += 1
        else:
            found.append(divisor)
            number //= divisor
    return found
