"""Which taps of a kernel are live, and how many parameters never have a gradient."""

import copy

import pytest
import torch
from torch import nn

from tests.vicreg.models.small_networks import gradients, noise, plainly, resnet
from vicreg.models.live_taps import Live, live_taps, parameters_without_gradient
from vicreg.models.resnet import ResNet


def brute_force(*, side: int, kernel: int, stride: int, padding: int) -> list[list[tuple[int, int]]]:
    """For every output the (pixel, tap) pairs it reads, by walking along the padded axis."""
    padded = [None] * padding + list(range(side)) + [None] * padding
    return [
        [(padded[start + tap], tap) for tap in range(kernel) if padded[start + tap] is not None]
        for start in range(0, len(padded) - kernel + 1, stride)
    ]


@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
def test_live_taps_are_those_a_walk_along_the_axis_meets(kernel, stride, padding):
    for side in range(max(1, kernel - 2 * padding), 12):
        found = live_taps(side=side, kernel=kernel, stride=stride, padding=padding)
        pairs = [
            list(zip(range(one.pixels.start, one.pixels.stop), range(one.taps.start, one.taps.stop), strict=True))
            for one in found
        ]
        assert pairs == brute_force(side=side, kernel=kernel, stride=stride, padding=padding)


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ({"side": 1, "kernel": 3, "stride": 1, "padding": 1}, [((0, 1), (1, 2))]),
        ({"side": 2, "kernel": 3, "stride": 1, "padding": 1}, [((0, 2), (1, 3)), ((0, 2), (0, 2))]),
        ({"side": 2, "kernel": 3, "stride": 2, "padding": 1}, [((0, 2), (1, 3))]),
        ({"side": 2, "kernel": 1, "stride": 2, "padding": 0}, [((0, 1), (0, 1))]),
        ({"side": 4, "kernel": 3, "stride": 2, "padding": 1}, [((0, 2), (1, 3)), ((1, 4), (0, 3))]),
        ({"side": 1, "kernel": 7, "stride": 2, "padding": 3}, [((0, 1), (3, 4))]),
    ],
)
def test_live_taps_worked_by_hand(axis, expected):
    assert live_taps(**axis) == tuple(Live(pixels=slice(*pixels), taps=slice(*taps)) for pixels, taps in expected)


def test_an_output_that_reads_padding_alone_has_no_taps():
    found = live_taps(side=1, kernel=3, stride=1, padding=3)
    assert [one.taps.stop - one.taps.start for one in found] == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("side", "stride", "dead"),
    [((1, 1), 1, 8), ((2, 2), 1, 0), ((2, 2), 2, 5), ((1, 2), 1, 6), ((1, 2), 2, 7), ((4, 4), 2, 0), ((3, 3), 1, 0)],
)
def test_parameters_without_gradient_of_one_convolution_worked_by_hand(side, stride, dead):
    layer = nn.Conv2d(5, 6, 3, stride=stride, padding=1)
    assert parameters_without_gradient(layer, torch.zeros(1, 5, *side)) == (5 * 6 * dead, 5 * 6 * 9 + 6)


def test_a_third_of_a_resnet_18_at_32_pixels_is_all_that_ever_gets_a_gradient():
    with torch.device("meta"):
        network, images = ResNet(architecture="resnet18"), torch.empty(1, 3, 32, 32)
        dead, count = parameters_without_gradient(network, images)
    # The last stage goes from 2 x 2 to 1 x 1: its first convolution has 5 dead taps of 9, the other three have 8.
    assert dead == 5 * 256 * 512 + 3 * 8 * 512 * 512 == 6_946_816
    assert count == 11_176_512
    assert round(100 * dead / count, 2) == 62.16


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 64), ("cifar", 32)])
def test_larger_maps_leave_no_parameter_without_a_gradient(stem, side):
    with torch.device("meta"):
        network, images = ResNet(architecture="resnet18", stem=stem), torch.empty(1, 3, side, side)
        assert parameters_without_gradient(network, images)[0] == 0


@pytest.mark.parametrize(
    ("name", "stem", "side"),
    [("resnet18", "imagenet", 32), ("resnet18", "imagenet", 16), ("resnet50", "imagenet", 32), ("resnet18", "cifar", 8)],
)
def test_taps_counted_dead_are_those_whose_gradient_is_exactly_0_in_a_real_network(name, stem, side):
    network = resnet(name, stem=stem, width=4)
    images = noise(16, 3, side, side)
    dead, count = parameters_without_gradient(network, images)
    plain = plainly(network)
    gradients(plain, images)
    found = 0
    for layer in plain.modules():
        if isinstance(layer, nn.Conv2d):
            silent = (layer.weight.grad == 0).all(dim=0).all(dim=0)  # (k, k): no weight of the tap has a gradient
            found += int(silent.sum()) * layer.in_channels * layer.out_channels
    assert 0 < dead == found
    assert count == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_mode_statistics_and_hooks_as_they_were(training):
    network = resnet(width=2).train(training)
    before = copy.deepcopy(network.state_dict())
    parameters_without_gradient(network, noise(2, 3, 32, 32))
    assert network.training == training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in network.modules())
