"""Networks and checkpoints as others publish them, small or with random weights."""

import io
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vicreg.errors import InputError
from vicreg.models.pretrained import load_encoder
from vicreg.torchvision_compat import torchvision


class AuthorsBlock(nn.Module):
    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        self.downsample = None
        if channels != 4 * inner:
            self.downsample = nn.Sequential(nn.Conv2d(channels, 4 * inner, 1, stride, bias=False), nn.BatchNorm2d(4 * inner))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))).relu()


class AuthorsResNet50(nn.Module):
    """Zeros of 1 are laid around the image, and the 7x7 convolution pads by 2 more."""

    def __init__(self, widen: float = 1) -> None:
        super().__init__()
        width = channels = round(64 * widen)
        self.padding = nn.ConstantPad2d(1, 0.0)
        self.conv1, self.bn1 = nn.Conv2d(3, channels, 7, 2, padding=2, bias=False), nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for stage, depth in enumerate((3, 4, 6, 3)):
            inner = width * 2**stage
            blocks = [AuthorsBlock(channels, inner, 1 if stage == 0 else 2)]
            blocks += [AuthorsBlock(4 * inner, inner, 1) for _ in range(depth - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            channels = 4 * inner

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(self.padding(images))).relu())
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def at_random(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep the signal's scale, and statistics that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, generator=generator)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.3, 0.9, generator=generator)
                layer.bias.normal_(0, 0.2, generator=generator)
                layer.running_mean.normal_(0, 0.3, generator=generator)
                layer.running_var.uniform_(0.5, 1.5, generator=generator)
                layer.num_batches_tracked.fill_(1234)
    return network.eval()


def torchvision_resnet(name: str, **settings) -> nn.Module:
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None, **settings)
    return at_random(network.to_empty(device="cpu"))


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def head(prefix: str) -> dict[str, Tensor]:
    return under(prefix, nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2)).state_dict())


def children(network: nn.Module) -> dict[str, Tensor]:
    return nn.Sequential(*list(network.children())[:-1]).state_dict()


def shapes_only(network: str, **settings) -> dict[str, Tensor]:
    """A state dict of torchvision's names and shapes whose file is small: every tensor is one zero, expanded."""
    with torch.device("meta"):
        state = getattr(torchvision.models, network)(weights=None, **settings).state_dict()
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}


def saved(path: Path, content) -> str:
    torch.save(content, path)
    return str(path)


def bytes_of(network: dict[str, Tensor]) -> bytes:
    content = io.BytesIO()
    torch.save(network, content)
    return content.getvalue()


def refusal(source: str, **folder) -> str:
    with pytest.raises(InputError) as raised:
        load_encoder(source, **folder)
    assert "\n" not in str(raised.value) and str(raised.value).endswith(".")
    return str(raised.value)
