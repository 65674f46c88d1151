"""A strided convolution as one product: torch's own is the reference."""

import pytest
import torch
from torch.nn import functional

from vicreg.models import unfolded
from vicreg.models.live_taps import LiveTapConv2d


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def results_of(convolve, images, weight):
    """Return the outputs, and the gradients of images and kernels for fixed gradients of the outputs."""
    images, weight = images.clone().requires_grad_(), weight.clone().requires_grad_()
    outputs = convolve(images, weight)
    outputs.backward(noise(*outputs.shape, seed=9))
    return outputs.detach(), images.grad, weight.grad


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(4, 4), (2, 6), (8, 8)])
def test_outputs_and_gradients_are_torchs(size, memory):
    images, weight = noise(5, 3, *size).contiguous(memory_format=memory), noise(7, 3, 3, 3, seed=1)
    theirs = results_of(lambda x, w: functional.conv2d(x, w, stride=2, padding=1), images, weight)
    for ours, expected in zip(results_of(unfolded.convolve, images, weight), theirs, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_under_autocast_it_is_of_autocasts_type():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = unfolded.convolve(noise(2, 3, 4, 4).float(), noise(7, 3, 3, 3).float())
    assert found.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("size", "stride", "uses"), [((4, 4), 2, True), ((8, 8), 2, False), ((5, 4), 2, False), ((2, 2), 1, False)]
)
def test_a_layer_uses_it_where_two_by_two_outputs_are_left(size, stride, uses):
    layer = LiveTapConv2d(3, 4, 3, stride=stride, padding=1, bias=False)
    assert unfolded.is_faster(layer, noise(2, 3, *size)) == uses
