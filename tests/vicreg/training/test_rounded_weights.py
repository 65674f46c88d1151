"""Weights that are rounded once a step: autocast, which rounds them in each pass, is the reference."""

import copy

import pytest
import torch

from vicreg.training.rounded_weights import RoundedWeights
from vicreg.training.setup import make_optimizer, new_model


def views_of(settings, dataset):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(settings.batch_size, dataset.train.images.shape[1], 32, 32, generator=generator).contiguous(
            memory_format=torch.channels_last
        )
        for _ in range(2)
    ]  # fmt: skip


@pytest.fixture
def settings(tiny_config):
    return tiny_config({"pretrain.precision": "bfloat16", "pretrain.image_size": 32, "pretrain.optimizer": "lars"}).pretrain


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def gradients_by_autocast(model, views):
    with autocast():
        loss = model.loss(views, progress=torch.zeros(()))
    loss.total.backward()
    return loss.total.item(), {name: one.grad for name, one in model.named_parameters()}


def test_loss_and_gradients_are_autocasts_to_rounding(settings, digits):
    model, views = new_model(settings, digits).train(), views_of(settings, digits)
    total, expected = gradients_by_autocast(copy.deepcopy(model), views)
    optimizer = make_optimizer(settings, model)
    rounded = RoundedWeights(model, optimizer)
    with autocast():
        loss = rounded.loss(views, progress=torch.zeros(()))
    loss.total.backward()
    assert loss.total.item() == total
    weights = 0
    for name, parameter in model.named_parameters():
        copied = optimizer.rounded.get(parameter)
        weights += copied is not None
        found = parameter.grad if copied is None else copied.grad
        assert found.dtype == (torch.float32 if copied is None else torch.bfloat16), name
        # A gradient summed over two passes is rounded once more.
        assert (found.float() - expected[name]).abs().max() <= 2**-7 * expected[name].abs().max(), name
    assert weights == sum(one.ndim > 1 for one in model.parameters()) > 20


@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
def test_copies_stay_the_rounded_weights_through_steps(optimizer, settings, digits, tiny_config):
    changes = {"pretrain.precision": "bfloat16", "pretrain.image_size": 32, "pretrain.optimizer": optimizer}
    settings = tiny_config(changes).pretrain
    model, views = new_model(settings, digits).train(), views_of(settings, digits)
    own = make_optimizer(settings, model)
    for group in own.param_groups:
        group["lr"] = torch.tensor(0.1)
    rounded = RoundedWeights(model, own)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    for _ in range(3):
        with autocast():
            loss = rounded.loss(views, progress=torch.zeros(()))
        own.zero_grad(set_to_none=True)
        loss.total.backward()
        rounded.step()
    for name, copied in rounded.copies.items():
        weight = model.get_parameter(name.removeprefix("model."))
        assert weight.dtype == torch.float32 and not torch.equal(weight, before[name.removeprefix("model.")]), name
        assert torch.equal(copied, weight.bfloat16()), name
