"""Convolutions of live taps alone: outputs and gradients are torch's to rounding, by fewer products."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from tests.vicreg.models.small_networks import gradients, noise, plainly, resnet
from tests.vicreg.training.steps import on_gpu
from vicreg.models import live_taps as module
from vicreg.models.live_taps import LiveTapConv2d, convolves_plainly, shared_live_taps
from vicreg.torchvision_compat import torchvision

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
ROUNDING = {"rtol": 0.0, "atol": 1e-13}  # of float64; measured 1e-15 to 1e-14 on numbers of about 1


def both(*arguments, **named) -> tuple[LiveTapConv2d, nn.Conv2d]:
    """A live-tap convolution and torch's with the same weights, float64."""
    live = LiveTapConv2d(*arguments, bias=False, **named).double()
    live.weight.data.copy_(noise(*live.weight.shape, seed=2))
    plain = nn.Conv2d(*arguments, bias=False, **named).double()
    plain.load_state_dict(live.state_dict())
    return live, plain


@pytest.fixture
def products(monkeypatch) -> list[tuple[int, ...]]:
    """The shapes of the weights whose live taps have been taken since."""
    taken: list[tuple[int, ...]] = []
    original = module.live_matrix

    def watched(weight, *rest):
        taken.append(tuple(weight.shape))
        return original(weight, *rest)

    monkeypatch.setattr(module, "live_matrix", watched)
    return taken


def test_dead_taps_stay_on_a_gpu_alone():
    assert convolves_plainly(torch.device("cuda")) and convolves_plainly(torch.device("cuda", 1))
    assert not any(convolves_plainly(torch.device(kind)) for kind in ("cpu", "meta", "mps"))


@on_gpu
@pytest.mark.parametrize(("side", "dense"), [(1, True), (2, True), (4, False), (8, False)])
def test_a_gpu_reads_live_taps_alone_too(products, side, dense):
    live, plain = (layer.cuda() for layer in both(64, 64, 3, padding=1))
    images = noise(4, 64, side, side).cuda()
    torch.testing.assert_close(gradients(live, images), gradients(plain, images), **ROUNDING)
    assert bool(products) == dense


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [(1, 1), (2, 2), (1, 2), (2, 1), (3, 3), (4, 4), (4, 2)])
def test_outputs_and_gradients_are_torchs_to_rounding(side, stride, kernel, memory_format):
    live, plain = both(5, 6, kernel, stride=stride, padding=kernel // 2)
    for layer in (live, plain):
        layer.to(memory_format=FORMATS[memory_format])
    images = noise(4, 5, *side).to(memory_format=FORMATS[memory_format])
    ours, theirs = gradients(live, images), gradients(plain, images)
    assert ours[0].shape == theirs[0].shape and ours[0].abs().max() > 0.1
    torch.testing.assert_close(ours, theirs, **ROUNDING)
    assert torch.equal(ours[2][0] == 0, theirs[2][0] == 0)  # what is exactly 0 in one is exactly 0 in the other


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "dense"),
    [
        ((1, 1), 3, 1, True), ((2, 2), 3, 1, True), ((1, 2), 3, 1, True), ((2, 2), 3, 2, True), ((1, 1), 1, 1, True),
        ((2, 2), 1, 2, True), ((4, 4), 7, 2, True),
        ((2, 2), 1, 1, False), ((3, 3), 3, 1, False), ((4, 4), 3, 1, False), ((6, 4), 3, 2, False), ((4, 2), 3, 1, False),
        ((8, 8), 7, 2, False),
    ],
)  # fmt: skip
def test_the_product_is_taken_where_all_outputs_read_the_same_pixels_and_nowhere_else(products, side, kernel, stride, dense):
    live, plain = both(5, 6, kernel, stride=stride, padding=kernel // 2)
    ours, theirs = gradients(live, noise(4, 5, *side)), gradients(plain, noise(4, 5, *side))
    assert bool(products) == dense
    if not dense:  # the very same convolution
        assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1]) and torch.equal(ours[2][0], theirs[2][0])


@pytest.mark.parametrize("channels", [4, 6, 8, 12])
def test_a_strided_convolution_of_single_pixels_is_torchs_whatever_the_number_of_channels(channels):
    live, plain = both(channels, 5, 1, stride=2)
    images = noise(3, channels, 7, 8).to(memory_format=torch.channels_last)
    ours, theirs = gradients(live, images), gradients(plain, images)
    torch.testing.assert_close(ours, theirs, **ROUNDING)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


def test_the_gradient_of_few_channels_stays_within_its_buffer():
    """Where it does not (oneDNN's AVX2 kernels), the allocator's checks end the process: hence one of its own."""
    code = (
        "import torch; from vicreg.models.live_taps import LiveTapConv2d; torch.set_num_threads(1); kept = []\n"
        "for _ in range(30):\n"
        "    layer = LiveTapConv2d(4, 8, 1, stride=2, bias=False).to(memory_format=torch.channels_last)\n"
        "    images = torch.randn(32, 4, 8, 8).to(memory_format=torch.channels_last)\n"
        "    layer(images.requires_grad_()).square().sum().backward(); kept.append((torch.randn(17), layer.weight.grad))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MALLOC_CHECK_": "3"}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-300:]


@pytest.mark.parametrize(
    ("side", "alive"),
    [((1, 1), [(1, 1)]), ((1, 2), [(1, 0), (1, 1), (1, 2)]), ((2, 1), [(0, 1), (1, 1), (2, 1)])],
)
def test_dead_taps_have_a_gradient_of_exactly_0_and_live_ones_have_not(side, alive):
    live, _ = both(5, 6, 3, padding=1)
    _, _, (weight,) = gradients(live, noise(4, 5, *side))
    for tap in [(row, column) for row in range(3) for column in range(3)]:
        at_tap = weight[:, :, tap[0], tap[1]]
        assert (at_tap != 0).all() if tap in alive else (at_tap == 0).all(), tap


def test_the_weights_of_dead_taps_change_no_output():
    live, _ = both(5, 6, 3, padding=1)
    before = live(noise(4, 5, 1, 1))
    with torch.no_grad():
        middle = live.weight[:, :, 1, 1].clone()
        live.weight.fill_(1e9)
        live.weight[:, :, 1, 1] = middle
    assert torch.equal(live(noise(4, 5, 1, 1)), before)


@pytest.mark.parametrize(
    "options",
    [{"groups": 2}, {"dilation": 2, "padding": 2}, {"bias": True}, {"padding_mode": "circular"}],
    ids=lambda options: next(iter(options)),
)
def test_groups_dilation_a_bias_and_other_borders_are_torchs_own(products, options):
    options = {"bias": False, "padding": 1} | options
    live, plain = LiveTapConv2d(4, 6, 3, **options).double(), nn.Conv2d(4, 6, 3, **options).double()
    plain.load_state_dict(live.state_dict())
    images = noise(4, 4, 1, 1)
    assert torch.equal(live(images), plain(images)) and not products


def test_under_autocast_a_product_has_the_type_that_a_convolution_has():
    live, plain = (layer.float() for layer in both(5, 6, 3, padding=1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = live(noise(4, 5, 1, 1).float()), plain(noise(4, 5, 1, 1).float())
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2**-7, atol=2**-7)  # bfloat16 keeps 8 bits


def assert_same_network(ours: tuple, theirs: tuple) -> None:
    """Outputs and gradients within 1e-12 of their tensor's largest number; BatchNorm over 16 samples of 1 x 1 maps
    amplifies float64's rounding; measured 1e-14."""
    for one, other in zip((*ours[:2], *ours[2]), (*theirs[:2], *theirs[2]), strict=True):
        assert (one - other).abs().max() < 1e-12 * other.abs().max()


@pytest.mark.parametrize(("name", "side"), [("resnet18", 32), ("resnet18", 16), ("resnet34", 32)])
def test_a_network_is_the_same_with_plain_convolutions_gradients_included(products, name, side):
    network = resnet(name, width=16)
    images = noise(16, 3, side, side)
    ours, theirs = gradients(network, images), gradients(plainly(network), images)
    assert len(products) >= 8
    assert_same_network(ours, theirs)
    assert all(gradient.abs().max() > 1e-3 for gradient in ours[2])


def test_a_network_is_torchvisions_gradients_included():
    with torch.device("meta"):
        theirs = torchvision.models.resnet18(weights=None, num_classes=1)
    theirs = theirs.to_empty(device="cpu").double()
    theirs.fc = nn.Identity()
    ours = resnet(width=64)
    theirs.load_state_dict(ours.state_dict())
    images = noise(16, 3, 32, 32)
    assert_same_network(gradients(ours, images), gradients(theirs, images))


def test_passes_that_share_their_live_taps_have_the_same_gradients_and_take_the_taps_once(products):
    live, _ = both(5, 6, 3, padding=1)
    images = [noise(4, 5, 2, 2), noise(4, 5, 2, 2).flip(0), noise(4, 5, 1, 1)]

    def passes() -> torch.Tensor:
        live.zero_grad()
        sum((live(image) ** 2).sum() for image in images).backward()
        return live.weight.grad.clone()

    expected = passes()
    products.clear()
    with shared_live_taps(live):
        found = passes()
    assert len(products) == 2  # for 2 x 2 and for 1 x 1
    torch.testing.assert_close(found, expected, **ROUNDING)
    with torch.no_grad():
        live.weight.mul_(2)  # between two steps: the old taps are not served
    assert not torch.allclose(passes(), expected)


def test_passes_of_several_sizes_share_live_taps_size_by_size():
    network = resnet(width=8).eval()  # BatchNorm keeps its statistics, so that passes can be repeated
    batches = [noise(8, 3, side, side, seed=i) for i, side in enumerate((32, 16, 32, 64))]

    def passes() -> tuple[list[Tensor], list[Tensor]]:
        network.zero_grad()
        outputs = [network(batch) for batch in batches]
        torch.autograd.backward(outputs, [noise(*output.shape, seed=3 + i) for i, output in enumerate(outputs)])
        return [output.detach() for output in outputs], [parameter.grad for parameter in network.parameters()]

    expected, theirs = passes()
    with shared_live_taps(network):
        found, ours = passes()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for one, other in zip(ours, theirs, strict=True):  # sums in another order
        assert (one - other).abs().max() <= 1e-12 * other.abs().max()


def test_taps_are_not_shared_after_an_exception(products):
    live, _ = both(5, 6, 3, padding=1)
    with pytest.raises(ZeroDivisionError), shared_live_taps(live):
        for _ in range(2):
            live(noise(4, 5, 1, 1))
        raise ZeroDivisionError
    assert len(products) == 1
    for _ in range(2):
        live(noise(4, 5, 1, 1))
    assert len(products) == 3
