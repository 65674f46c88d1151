"""ResNets: torchvision's own network where it is comparable, and what a stem and a width change."""

import math
from collections import Counter

import pytest
import torch
from torch import nn

from vicreg.errors import InputError
from vicreg.models.live_taps import LiveTapConv2d
from vicreg.models.resnet import ResNet, initialise
from vicreg.models.view_batchnorm import ViewBatchNorm2d
from vicreg.torchvision_compat import torchvision

DIMENSIONS = {"resnet18": 512, "resnet34": 512, "resnet50": 2048}


def images(n: int, side: int, *, channels: int = 3) -> torch.Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(side))


def torchvision_twin(name: str) -> nn.Module:
    """torchvision's network without classifier, its BatchNorm statistics moved away from 0 and 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = getattr(torchvision.models, name)(weights=None)
    network.fc = nn.Identity()
    with torch.no_grad():
        network.train()(images(8, 32))
    return network.double()


# ---- against torchvision


@pytest.mark.slow
@pytest.mark.parametrize("name", DIMENSIONS)
def test_at_width_64_and_imagenet_stem_it_is_torchvisions_network(name):
    twin = torchvision_twin(name)
    network = ResNet(architecture=name).double()
    assert list(network.state_dict()) == list(twin.state_dict())
    network.load_state_dict(twin.state_dict())
    for side, training in ((32, True), (64, False)):
        batch = images(4, side).double()
        ours, theirs = network.train(training)(batch), twin.train(training)(batch)
        assert ours.shape == (4, DIMENSIONS[name])
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-9)  # measured 2e-11: BatchNorm of 4 samples


def test_a_torchvision_state_dict_loads_once_its_classifier_is_dropped():
    with torch.device("meta"):
        theirs = torchvision.models.resnet18(weights=None).state_dict()
        ours = ResNet(architecture="resnet18").state_dict()
    assert {key: value.shape for key, value in theirs.items() if not key.startswith("fc.")} == {
        key: value.shape for key, value in ours.items()
    }


# ---- stem, width, channels


@pytest.mark.parametrize(("name", "factor", "width"), [("resnet18", 8, 64), ("resnet34", 8, 6), ("resnet50", 32, 1)])
def test_dimension_is_a_fixed_multiple_of_the_width(name, factor, width):
    with torch.device("meta"):
        network = ResNet(architecture=name, width=width)
        assert network.dimension == factor * width
        assert network(torch.empty(2, 3, 32, 32)).shape == (2, factor * width)


@pytest.mark.parametrize(("stem", "side"), [("cifar", 32), ("imagenet", 8)])
def test_cifar_stem_keeps_the_resolution_and_imagenet_stem_quarters_it(stem, side):
    network = ResNet(architecture="resnet18", stem=stem, width=4)
    before_first_stage = network.maxpool(network.relu(network.bn1(network.conv1(images(2, 32)))))
    assert before_first_stage.shape == (2, 4, side, side)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_the_last_stage_has_an_eighth_of_the_first_stages_resolution(stem):
    network = ResNet(architecture="resnet50", stem=stem, width=2)
    first = network.layer1(network.maxpool(network.conv1(images(2, 64))))
    last = network.layer4(network.layer3(network.layer2(first)))
    assert last.shape[-1] == first.shape[-1] // 8


def test_gray_images_go_in_as_one_channel():
    network = ResNet(architecture="resnet18", width=4, in_channels=1)
    assert network.conv1.in_channels == 1
    assert network(images(2, 32, channels=1)).shape == (2, 32)


def test_representations_are_means_over_positions():
    network = ResNet(architecture="resnet18", stem="cifar", width=2).eval()
    flat = torch.full((1, 3, 16, 16), 0.5)
    kept = {}
    network.layer4.register_forward_hook(lambda module, inputs, output: kept.update(output=output))
    representations = network(flat)
    torch.testing.assert_close(representations, kept["output"].flatten(2).mean(dim=2))


# ---- bad input


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"architecture": "resnet101"}, "backbone must be one of resnet18, resnet34, resnet50, but got 'resnet101'."),
        (
            {"architecture": "resnet18", "stem": "mnist"},
            "stem must be one of imagenet, cifar, cifar-padded, but got 'mnist'.",
        ),
        ({"architecture": "resnet18", "width": 0}, "width must be at least 1 channel, but got 0."),
    ],
)
def test_unknown_names_and_impossible_widths_raise(settings, sentence):
    with pytest.raises(InputError) as raised:
        ResNet(**settings)
    assert str(raised.value) == sentence


# ---- initialisation


def assert_drawn_with(values: torch.Tensor, *, std: float) -> None:
    """Mean 0 and the given standard deviation, each within five standard errors."""
    count = values.numel()
    assert abs(values.mean().item()) < 5 * std / math.sqrt(count)
    assert values.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * count) + 1e-6)


def test_every_layer_is_drawn_by_the_documented_rule():
    network = nn.Sequential(ResNet(architecture="resnet18", stem="cifar", width=32), nn.Linear(256, 128))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 7.0)
    initialise(network, torch.Generator().manual_seed(0))
    kinds = Counter(type(layer) for layer in network.modules())
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1]
            assert_drawn_with(layer.weight, std=math.sqrt(2 / fan_out))
            assert layer.bias is None
        elif isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            assert layer.weight.abs().max() <= bound and layer.bias.abs().max() <= bound
            assert_drawn_with(layer.weight, std=bound / math.sqrt(3))
        elif isinstance(layer, nn.BatchNorm2d):
            for values, constant in (
                (layer.weight, 1), (layer.bias, 0), (layer.running_mean, 0), (layer.running_var, 1),
            ):  # fmt: skip
                assert (values == constant).all()
            assert layer.num_batches_tracked == 0
    assert (kinds[LiveTapConv2d], kinds[nn.Linear], kinds[ViewBatchNorm2d]) == (20, 1, 20)
    assert not kinds[nn.Conv2d] and not kinds[nn.BatchNorm2d]  # torchvision's blocks have ours as well


def test_initialisation_depends_on_the_generators_state_alone():
    networks = [ResNet(architecture="resnet18", width=2) for _ in range(2)]
    for network in networks:
        initialise(network, torch.Generator().manual_seed(5))
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_padded_cifar_stem_sees_an_image_as_the_plain_one_sees_it_with_a_border_of_zeros():
    plain, padded = (ResNet(architecture="resnet18", stem=stem, width=4) for stem in ("cifar", "cifar-padded"))
    initialise(plain, torch.Generator().manual_seed(0))
    padded.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    bordered = torch.nn.functional.pad(images, (1, 1, 1, 1))
    torch.testing.assert_close(padded.eval()(images), plain.eval()(bordered))
