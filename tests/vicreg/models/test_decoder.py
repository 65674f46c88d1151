"""The decoder: from vectors to images of any suitable side."""

import pytest
import torch
from torch import nn

from vicreg.errors import InputError
from vicreg.models.decoder import Decoder, decoder_width, upsampling_factors
from vicreg.models.resnet import initialise


def made(*, dimension: int = 6, channels: int = 3, width: int = 4) -> Decoder:
    generator = torch.Generator().manual_seed(0)
    decoder = Decoder(dimension=dimension, channels=channels, width=width)
    initialise(decoder, generator)
    decoder.reset_output(generator)
    return decoder


@pytest.mark.parametrize(
    ("side", "factors"),
    [(4, (1, 1, 1)), (8, (1, 1, 2)), (12, (1, 1, 3)), (16, (1, 2, 2)), (28, (1, 1, 7)), (32, (2, 2, 2)), (48, (2, 2, 3)),
     (64, (2, 2, 4)), (96, (2, 3, 4)), (224, (2, 4, 7))],
)  # fmt: skip
def test_the_stages_enlarge_a_map_of_four_pixels_to_the_images_side(side, factors):
    assert upsampling_factors(side) == factors


@pytest.mark.parametrize("side", [4, 8, 12, 28, 32])
def test_images_have_the_side_that_is_asked_for_whatever_the_decoder_was_built_for(side):
    decoder, images = made(), torch.zeros(5, 3, side, side)
    assert decoder(torch.randn(5, 6), side).shape == images.shape


@pytest.mark.parametrize(("side", "remedy"), [(30, 28), (6, 4), (2, 4), (0, 4)])
def test_a_side_that_is_no_multiple_of_four_is_refused_with_one_that_is(side, remedy):
    with pytest.raises(InputError) as raised:
        made()(torch.randn(2, 6), side)
    assert str(raised.value) == (
        f"views must be a multiple of 4 pixels wide to be reconstructed, but got {side}; "
        f"set pretrain.image_size to {remedy}."
    )


def test_a_nearest_neighbour_enlarged_map_is_what_a_stage_convolves():
    """With plain numbers in place of BatchNorm and kernels, the image is the 4 x 4 map with each pixel repeated."""
    decoder = made(dimension=16, channels=1, width=1).eval()
    for layer in decoder.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = 0.0
        if isinstance(layer, nn.Conv2d):  # the first channel's middle tap alone
            layer.weight.data.zero_()
            layer.weight.data[0, 0, 1, 1] = 1
    decoder.linear.weight.data.zero_()
    decoder.linear.weight.data[:16] = torch.eye(16)
    vectors = torch.rand(3, 16)
    expected = vectors.view(3, 1, 4, 4).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    torch.testing.assert_close(decoder(vectors, 32), expected)


def test_an_image_depends_on_its_own_vector_alone_in_eval_mode_and_every_weight_has_a_gradient_in_training():
    decoder, vectors = made(), torch.randn(4, 6, requires_grad=True)
    decoder(vectors, 16).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in decoder.parameters())
    (gradient,) = torch.autograd.grad(decoder.eval()(vectors, 16)[1].sum(), vectors)
    assert gradient[1].any() and not gradient[[0, 2, 3]].any()


def test_first_images_are_of_the_order_of_normalised_pixels():
    assert 0.2 < made(dimension=64, width=32)(torch.randn(16, 64), 32).var().item() < 2.0


def test_its_width_is_half_of_the_backbones_and_at_least_one_channel():
    assert [decoder_width(width) for width in (64, 16, 4, 1)] == [32, 8, 2, 1]
