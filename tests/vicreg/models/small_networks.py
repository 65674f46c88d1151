"""Small networks in float64 and their gradients, for the tests of convolutions."""

import copy

import torch
from torch import Tensor, nn

from vicreg.models.live_taps import LiveTapConv2d
from vicreg.models.resnet import ResNet, initialise


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(layer: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Outputs, the gradient of the images, and those of the parameters, for one and the same gradient of the outputs."""
    leaf = images.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    output = layer(leaf)
    output.backward(noise(*output.shape, seed=1).to(output.device))
    return output.detach(), leaf.grad, [parameter.grad for parameter in layer.parameters()]


def plainly(network: nn.Module) -> nn.Module:
    """A copy whose convolutions are torch's own."""
    network = copy.deepcopy(network)
    for layer in network.modules():
        if isinstance(layer, LiveTapConv2d):
            layer.__class__ = nn.Conv2d
    return network


def resnet(name: str = "resnet18", **named) -> ResNet:
    network = ResNet(architecture=name, **named).double()
    initialise(network, torch.Generator().manual_seed(0))
    return network
