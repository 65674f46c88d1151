"""Backbone and expander put together, and weights drawn from one generator alone."""

import math

import pytest
import torch
from torch import nn

from vicreg.errors import InputError
from vicreg.models.heads import build_expander, narrowed
from vicreg.models.joint_embedding import JointEmbedding, build_model
from vicreg.models.resnet import ResNet


def build(*, seed: int = 0, **changes) -> JointEmbedding:
    settings = {
        "architecture": "resnet18", "stem": "cifar", "width": 4, "in_channels": 3,
        "expander": (16, 24, 8), "batchnorm": True,
    }  # fmt: skip
    return build_model(**(settings | changes), generator=torch.Generator().manual_seed(seed))


def kinds(expander: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in expander]


# ---- the expander


def test_three_layers_are_linear_batchnorm_relu_twice_then_linear():
    expander = build_expander(32, [16, 24, 8])
    assert kinds(expander) == ["Linear", "ViewBatchNorm1d", "ReLU", "Linear", "ViewBatchNorm1d", "ReLU", "Linear"]
    shapes = [(layer.in_features, layer.out_features) for layer in expander if isinstance(layer, nn.Linear)]
    assert shapes == [(32, 16), (16, 24), (24, 8)]
    assert [layer.num_features for layer in expander if isinstance(layer, nn.BatchNorm1d)] == [16, 24]


def test_only_the_last_linear_layer_has_no_bias():
    biases = [layer.bias is not None for layer in build_expander(32, [16, 24, 8]) if isinstance(layer, nn.Linear)]
    assert biases == [True, True, False]


def test_without_batchnorm_linear_and_relu_alternate():
    assert kinds(build_expander(32, [16, 24, 8], batchnorm=False)) == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]


def test_one_size_is_a_linear_expander():
    expander = build_expander(32, [8])
    assert kinds(expander) == ["Linear"]
    x, y = torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(0)).unbind()
    torch.testing.assert_close(expander(2 * x - y), 2 * expander(x) - expander(y))


def test_an_expander_is_narrowed_by_a_linear_layer_without_bias_or_left_as_it_is():
    expander = build_expander(32, [16, 24])
    assert narrowed(expander, 24, to=None) == 24 and len(expander) == 4
    assert narrowed(expander, 24, to=8) == 8 and expander[-1].bias is None
    assert expander(torch.randn(5, 32)).shape == (5, 8)


def test_no_sizes_are_no_expander():
    expander = build_expander(32, [])
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    assert kinds(expander) == [] and torch.equal(expander(x), x)


def test_a_size_below_one_is_refused():
    with pytest.raises(InputError) as raised:
        build_expander(32, [16, 0])
    assert str(raised.value) == "expander sizes must be at least 1, but got [16, 0]."


# ---- the model


@pytest.mark.parametrize(("expander", "dimension"), [((16, 24, 8), 8), ((8,), 8), ((), 32)])
def test_images_become_representations_and_embeddings(expander, dimension):
    model = build(expander=expander)
    representations, embeddings = model(torch.rand(3, 3, 8, 8))
    assert representations.shape == (3, 32)
    assert embeddings.shape == (3, dimension) and model.embedding_dimension == dimension


def test_embeddings_are_the_expanders_view_of_the_representations():
    model = build().eval()
    representations, embeddings = model(torch.rand(3, 3, 8, 8))
    assert torch.equal(embeddings, model.expander(representations))


def test_without_an_expander_embeddings_are_the_representations():
    representations, embeddings = build(expander=())(torch.rand(3, 3, 8, 8))
    assert torch.equal(representations, embeddings)


def test_a_model_needs_no_more_than_a_backbone_and_sizes():
    model = JointEmbedding(backbone=ResNet(architecture="resnet18", width=2), expander=[4])
    assert model(torch.rand(2, 3, 32, 32))[1].shape == (2, 4)


# ---- weights


def test_building_draws_nothing_from_the_global_generator():
    before = torch.get_rng_state()
    build()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_seed_changes_no_weight():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = build().state_dict()
        torch.manual_seed(2)
        second = build().state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_generator_state_gives_other_weights():
    first, second = (build(seed=seed).state_dict() for seed in (0, 1))
    drawn = [key for key, value in first.items() if value.ndim > 1]
    assert drawn and not any(torch.equal(first[key], second[key]) for key in drawn)


def test_every_tensor_is_initialised_on_the_cpu():
    # Built on the meta device first: a tensor that no rule covers would hold whatever was in memory.
    model = build(expander=(256, 256, 256), width=16)
    for name, tensor in model.state_dict().items():
        assert tensor.device.type == "cpu" and tensor.isfinite().all(), name
    norms = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert len(norms) == 20 + 2
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.bias == 0).all() and norm.num_batches_tracked == 0
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()
    for layer in model.expander:
        if isinstance(layer, nn.Linear):
            bound = layer.in_features**-0.5
            assert layer.weight.abs().max() <= bound
            # 256 x 128 uniform numbers at the least: their std is known to half a percent
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
            if layer.bias is not None:
                assert 0.8 * bound < layer.bias.abs().max() <= bound


def test_the_backbones_weights_do_not_depend_on_the_expander():
    with_expander, without = build().state_dict(), build(expander=()).state_dict()
    assert all(torch.equal(with_expander[key], value) for key, value in without.items())
