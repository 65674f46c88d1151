"""Two views in one pass: normalised separately they equal two passes, normalised together they do not."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.vicreg.operations import Operations
from vicreg.models.joint_embedding import VIEW_PASSES, JointEmbedding, build_model
from vicreg.models.view_batchnorm import ViewBatchNorm1d, ViewBatchNorm2d, counted_at_once, normalised_per_view


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def views(n: int = 12) -> tuple[Tensor, Tensor]:
    """Two views whose statistics differ plainly, so that it shows which of them BatchNorm used."""
    return noise(n, 3, 16, 16), 3 * noise(n, 3, 16, 16, seed=1) + 1


both_stems = pytest.mark.parametrize("model", ["cifar", "imagenet"], indirect=True)


@pytest.fixture
def model(request) -> JointEmbedding:
    """The whole model, float64, its BatchNorm scales, shifts and statistics moved away from 1 and 0."""
    model = build_model(
        architecture="resnet18", stem=getattr(request, "param", "imagenet"), width=4, in_channels=3, expander=(16, 24, 8),
        batchnorm=True, generator=torch.Generator().manual_seed(0),
    ).double()  # fmt: skip
    for seed, layer in enumerate(norms(model)):
        for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
            tensor.data += 0.1 * noise(*tensor.shape, seed=seed).clamp(-1, 1)
    return model


def norms(module: nn.Module) -> list[ViewBatchNorm1d | ViewBatchNorm2d]:
    return [layer for layer in module.modules() if isinstance(layer, (ViewBatchNorm1d, ViewBatchNorm2d))]


def plainly(module: nn.Module) -> nn.Module:
    """A copy whose BatchNorms are torch's own."""
    module = copy.deepcopy(module)
    for layer in norms(module):
        layer.__class__ = nn.BatchNorm1d if isinstance(layer, nn.BatchNorm1d) else nn.BatchNorm2d
    return module


def trained(model: JointEmbedding, *, passes: str) -> dict[str, Tensor]:
    """All that one forward and backward pass makes of a copy of `model`: embeddings, gradients, buffers."""
    model = copy.deepcopy(model).train()
    pair = [view.requires_grad_() for view in views()]
    z, z_prime = model.embed_views(*pair, passes=passes)
    torch.autograd.backward((z, z_prime), (noise(*z.shape, seed=2), noise(*z.shape, seed=3)))
    return {
        "z": z.detach(), "z_prime": z_prime.detach(), "view": pair[0].grad, "view_prime": pair[1].grad,
        **{name: parameter.grad for name, parameter in model.named_parameters()},
        **dict(model.named_buffers()),
    }  # fmt: skip


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Within 1e-12 of the largest number of each tensor; measured 4e-15."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        # A bias before BatchNorm has a gradient of 0 but for rounding, hence the 1.
        assert (ours[name] - expected).abs().max() <= 1e-12 * max(1.0, expected.abs().max().item()), name


# ---- the counters of batches


@pytest.mark.parametrize(("passes", "count"), [("separate", 2), ("together", 2), ("joint", 1)])
def test_all_counters_are_raised_in_one_operation(model, passes, count):
    with Operations() as seen:
        model.train().embed_views(*(view.double() for view in views()), passes=passes)
    assert [int(layer.num_batches_tracked) for layer in norms(model)] == [count] * len(norms(model))
    residuals = 8 * (2 if passes == "separate" else 1)
    assert seen.count("_foreach_add_") == 1 and seen.count("add_") == residuals


def test_outside_of_a_batch_of_views_every_layer_counts_its_own_passes(model):
    model.train()(views()[0])
    assert [int(layer.num_batches_tracked) for layer in norms(model)] == [1] * len(norms(model))
    model.eval()(views()[0])
    model.eval().embed_views(*views(), passes="separate")
    assert [int(layer.num_batches_tracked) for layer in norms(model)] == [1] * len(norms(model))


def test_layers_that_saw_different_numbers_of_batches_count_them_even_when_a_pass_fails(model):
    model.train()
    with pytest.raises(RuntimeError), counted_at_once(model):
        model(views()[0])
        model.expander(torch.ones(2, 7).double())
    model.backbone(views()[0])
    assert [int(layer.num_batches_tracked) for layer in norms(model.backbone)] == [2] * len(norms(model.backbone))
    assert [int(layer.num_batches_tracked) for layer in norms(model.expander)] == [1] * len(norms(model.expander))


# ---- the model's passes


@both_stems
def test_together_is_a_pass_a_view_in_embeddings_gradients_and_running_statistics(model):
    assert_same(trained(model, passes="together"), trained(model, passes="separate"))


def test_separate_is_two_calls_of_a_model_with_torchs_own_batchnorm(model):
    plain, (view, view_prime) = plainly(model), views()
    assert not norms(plain)
    z, z_prime = model.embed_views(view, view_prime, passes="separate")
    assert torch.equal(z, plain(view)[1]) and torch.equal(z_prime, plain(view_prime)[1])
    ours, theirs = dict(model.named_buffers()), dict(plain.named_buffers())
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@both_stems
def test_joint_is_torchs_batchnorm_of_both_views_as_one_batch(model):
    plain, (view, view_prime) = plainly(model), views()
    _, z = plain(torch.cat((view, view_prime)))
    z.backward(torch.cat((noise(*z[:12].shape, seed=2), noise(*z[:12].shape, seed=3))))
    theirs = {
        "z": z[:12].detach(), "z_prime": z[12:].detach(),
        **{name: parameter.grad for name, parameter in plain.named_parameters()},
        **dict(plain.named_buffers()),
    }  # fmt: skip
    ours = trained(model, passes="joint")
    assert_same({name: ours[name] for name in theirs}, theirs)


def test_joint_is_another_experiment(model):
    joint, separate = trained(model, passes="joint"), trained(model, passes="separate")
    for name in ("z", "z_prime"):
        assert (joint[name] - separate[name]).abs().max() > 0.1 * separate[name].abs().max(), name


def test_together_the_first_view_does_not_depend_on_the_second_and_jointly_it_does(model):
    view, view_prime = views()
    for passes in VIEW_PASSES:
        z, _ = copy.deepcopy(model).embed_views(view, view_prime, passes=passes)
        other, _ = copy.deepcopy(model).embed_views(view, 2 * view_prime - 1, passes=passes)
        same = (z - other).abs().max() < 1e-11
        assert same == (passes != "joint"), passes


@pytest.mark.parametrize("passes", VIEW_PASSES)
def test_in_eval_mode_all_passes_use_the_running_statistics_and_leave_them(model, passes):
    model.eval()
    before = {name: value.clone() for name, value in model.named_buffers()}
    view, view_prime = views()
    z, z_prime = model.embed_views(view, view_prime, passes=passes)
    torch.testing.assert_close((z, z_prime), (model(view)[1], model(view_prime)[1]), rtol=0, atol=1e-11)
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())


# ---- one layer


LAYERS = {"1d": (ViewBatchNorm1d, nn.BatchNorm1d, (7,)), "2d": (ViewBatchNorm2d, nn.BatchNorm2d, (7, 3, 5))}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_layer_normalises_each_of_its_views_as_torchs_batchnorm_does_one_after_the_other(kind, count):
    ours, theirs, shape = LAYERS[kind]
    layer, plain = ours(7).double(), theirs(7).double()
    parts = [(1 + part) * noise(6, *shape, seed=part) + part for part in range(count)]
    with normalised_per_view(layer, views=count):
        output = layer(torch.cat(parts))
    assert torch.equal(output, torch.cat([plain(part) for part in parts]))
    assert torch.equal(layer.running_mean, plain.running_mean) and torch.equal(layer.running_var, plain.running_var)
    assert layer.num_batches_tracked == count
    for part in output.split(6):  # mean 0 and variance 1, each view by itself
        axes = [axis for axis in range(part.ndim) if axis != 1]
        torch.testing.assert_close(part.mean(dim=axes), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-13)
        torch.testing.assert_close(part.var(dim=axes, unbiased=False), torch.ones(7, dtype=torch.float64), rtol=0, atol=1e-4)


def test_the_memory_format_is_kept():
    layer = ViewBatchNorm2d(4).double()
    images = noise(6, 4, 3, 3).to(memory_format=torch.channels_last)
    with normalised_per_view(layer, views=2):
        assert layer(images).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_in_eval_mode_takes_no_notice_of_views(kind):
    ours, _, shape = LAYERS[kind]
    layer = ours(7).double()
    layer(noise(6, *shape))
    batch, layer = noise(5, *shape), layer.eval()  # five: no two views of one size
    alone = layer(batch)
    with normalised_per_view(layer, views=2):
        assert torch.equal(layer(batch), alone)


# ---- how long it holds


def test_views_are_told_apart_within_the_context_alone(model):
    assert [layer.views for layer in norms(model)] == [1] * (20 + 2)
    with normalised_per_view(model, views=2):
        assert {layer.views for layer in norms(model)} == {2}
    assert {layer.views for layer in norms(model)} == {1}


def test_after_an_exception_a_batch_is_one_view_again(model):
    with pytest.raises(RuntimeError, match="out of memory"), normalised_per_view(model, views=2):
        raise RuntimeError("out of memory")
    assert {layer.views for layer in norms(model)} == {1}


def test_a_forward_pass_that_fails_leaves_a_batch_one_view(model, monkeypatch):
    def fail(images):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model.expander, "forward", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.embed_views(*views(), passes="together")
    assert {layer.views for layer in norms(model)} == {1}


def test_a_pass_of_another_name_is_refused(model):
    with pytest.raises(AssertionError, match="apart"):
        model.embed_views(*views(), passes="apart")


def test_the_state_of_a_model_is_that_of_one_with_torchs_batchnorm(model):
    assert list(model.state_dict()) == list(plainly(model).state_dict())
