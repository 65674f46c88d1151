"""ResNet-18, 34 and 50: torchvision's, with a choice of stem and width."""

from typing import Any

import torch
from torch import Tensor, nn

from vicreg.errors import InputError
from vicreg.models.live_taps import LiveTapConv2d
from vicreg.models.view_batchnorm import ViewBatchNorm2d, activated
from vicreg.torchvision_compat import torchvision


class BasicBlock(torchvision.models.resnet.BasicBlock):  # type: ignore[misc]  # torchvision does not type it
    """torchvision's block of two convolutions, with BatchNorm, the sum and ReLU in one operation where that can be."""

    def forward(self, x: Tensor) -> Tensor:
        out = activated(self.bn1, self.conv1(x))
        identity = x if self.downsample is None else self.downsample(x)
        return activated(self.bn2, self.conv2(out), identity)


class Bottleneck(torchvision.models.resnet.Bottleneck):  # type: ignore[misc]  # torchvision does not type it
    """torchvision's block of three convolutions, with BatchNorm, the sum and ReLU in one operation where that can be."""

    def forward(self, x: Tensor) -> Tensor:
        out = activated(self.bn1, self.conv1(x))
        out = activated(self.bn2, self.conv2(out))
        identity = x if self.downsample is None else self.downsample(x)
        return activated(self.bn3, self.conv3(out), identity)


# Name -> block, whose class torchvision does not type, and number of blocks in each stage (arXiv 1512.03385, Table 1).
ARCHITECTURES: dict[str, tuple[type[Any], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}
STEMS = ("imagenet", "cifar", "cifar-padded")


def feature_dimension(architecture: str, *, width: int) -> int:
    """Return the dimension of the representations: 8 x `width`, or 32 x `width` for ResNet-50."""
    return 8 * width * ARCHITECTURES[architecture][0].expansion


class ResNet(nn.Module):
    """A torchvision ResNet without its classifier: images (N, C, H, W) -> representations (N, `dimension`).

    `dimension` is 8 x width, or 32 x width for ResNet-50. Parameters have torchvision's names: at width 64 and with the
    `imagenet` stem, torchvision's state dicts without `fc.*` load unchanged.

    Args:
        architecture: `resnet18`, `resnet34` or `resnet50`.
        stem: `imagenet`, `cifar` or `cifar-padded`. `imagenet` is a 7x7 convolution of stride 2, then max-pooling of
            stride 2. `cifar` is a 3x3 convolution of stride 1 without max-pooling (arXiv 2002.05709, Appendix B.9).
            `cifar-padded` pads that convolution by 2 instead of 1, as solo-learn does; maps are two pixels larger.
        width: channels of the first stage; 64 is torchvision's network.
        in_channels: channels of an image.

    Raises:
        InputError: for an unknown architecture or stem, and a width below 1.
    """

    def __init__(self, *, architecture: str, stem: str = "imagenet", width: int = 64, in_channels: int = 3) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise InputError(f"backbone must be one of {', '.join(ARCHITECTURES)}, but got {architecture!r}.")
        if stem not in STEMS:
            raise InputError(f"stem must be one of {', '.join(STEMS)}, but got {stem!r}.")
        if width < 1:
            raise InputError(f"width must be at least 1 channel, but got {width}.")
        block, depths = ARCHITECTURES[architecture]
        if stem == "imagenet":
            self.conv1 = LiveTapConv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False)
            self.maxpool: nn.Module = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        else:
            padding = 2 if stem == "cifar-padded" else 1
            self.conv1 = LiveTapConv2d(in_channels, width, kernel_size=3, stride=1, padding=padding, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = ViewBatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        channels = width
        for stage, depth in enumerate(depths):
            planes = width * 2**stage
            layers = _stage(block, channels, planes, depth, stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", layers)
            channels = planes * block.expansion
        self.dimension = channels

    def forward(self, images: Tensor) -> Tensor:
        """Return the representations (N, dimension) of images (N, C, H, W)."""
        # ReLU after pooling instead of before has the same values and gradients, on a quarter of the numbers.
        x = self.relu(self.maxpool(self.bn1(self.conv1(images))))  # (N, width, H', W')
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # type: ignore[operator]  # (N, dimension, h, w)
        return x.mean(dim=(2, 3))  # (N, dimension)


def _stage(block: type[Any], channels: int, planes: int, depth: int, *, stride: int) -> nn.Sequential:
    """Return `depth` blocks from `channels` channels to `planes` times the block's expansion."""
    downsample = None
    if stride != 1 or channels != planes * block.expansion:
        downsample = nn.Sequential(
            nn.Conv2d(channels, planes * block.expansion, kernel_size=1, stride=stride, bias=False),
            ViewBatchNorm2d(planes * block.expansion),
        )
    blocks = [block(channels, planes, stride, downsample, norm_layer=ViewBatchNorm2d)]
    blocks += [block(planes * block.expansion, planes, norm_layer=ViewBatchNorm2d) for _ in range(depth - 1)]
    stage = nn.Sequential(*blocks)
    for layer in stage.modules():
        if type(layer) is nn.Conv2d:  # torchvision's blocks build their own
            layer.__class__ = LiveTapConv2d
    return stage


def initialise(module: nn.Module, generator: torch.Generator, *, zero_init_residual: bool = False) -> None:
    """Draw all parameters of a module from `generator`, by torchvision's rule for convolutions and torch's for others.

    Convolutions are normal with variance 2 / fan_out (arXiv 1502.01852). Linear layers are uniform within
    1 / sqrt(fan_in), torch's default. BatchNorm has scale 1, shift 0, running mean 0 and running variance 1. Layers come
    in the order of `modules()`, so the state of the generator decides the weights.

    Args:
        zero_init_residual: set the scale of the last BatchNorm in each residual branch to 0, so that every block starts
            as the identity (arXiv 1706.02677, Section 5.1).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_parameters()
    if zero_init_residual:
        for block in module.modules():
            if isinstance(block, (BasicBlock, Bottleneck)):
                nn.init.zeros_((block.bn3 if isinstance(block, Bottleneck) else block.bn2).weight)
