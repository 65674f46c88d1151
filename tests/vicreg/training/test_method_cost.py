"""The operations of a method's whole step, against what the networks' rule and a count by hand say of VICReg's."""

import dataclasses

import pytest
import torch
from torch import nn

from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.vicreg import VICReg
from vicreg.training import method_cost
from vicreg.training.cost import forward_operations, step_operations, training_operations
from vicreg.training.method_cost import run_operations, state_bytes, whole_step_operations
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import new_model


@pytest.fixture(scope="module")
def default(tiny_config, digits) -> tuple[PretrainSettings, int]:
    """The tiny settings, and the operations of their step."""
    settings = tiny_config().pretrain
    return settings, whole_step_operations(settings, digits)


def images_gradient(settings, channels, size):
    """Three by three, stride 1: the products of a gradient by the images, which no step computes."""
    return 2 * 9 * channels * settings.width * size**2


@pytest.mark.parametrize(("batch_size", "width"), [(32, 16), (12, 48)])  # more samples than dimensions, and fewer
def test_vicregs_step_takes_three_forward_passes_a_view_but_the_images_gradient_and_the_products_of_its_loss(
    tiny_config, digits, batch_size, width
):
    settings = tiny_config({"pretrain.batch_size": batch_size, "pretrain.expander": [16, width]}).pretrain
    channels, size = digits.train.images.shape[1], settings.image_size
    smaller, larger = sorted((batch_size, width))
    of_loss = 2 * 2 * (2 * smaller**2 * larger)  # two views; the matrix, and its product with the embeddings
    left_out = 2 * batch_size * images_gradient(settings, channels, size)
    networks = step_operations(settings, digits)
    assert whole_step_operations(settings, digits) == networks - left_out + of_loss
    assert networks == batch_size * 2 * 3 * forward_operations("resnet18", "cifar", 4, (16, width), channels, size)


class Teaching(VICReg):
    """VICReg with a teacher of the expander's sizes, whose output counts for nothing."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.teacher = nn.Linear(self.backbone.dimension, 20).requires_grad_(False)

    def loss(self, views, *, progress):
        found = super().loss(views, progress=progress)
        with torch.no_grad():
            taught = self.teacher(self(views[0])[0])
        return found._replace(total=found.total + 0 * taught.float().mean())


def test_a_teachers_forward_pass_counts_and_has_no_backward_pass(default, digits):
    settings, before = default
    plain = new_model(settings, digits)
    teaching = Teaching(
        backbone=plain.backbone, expander=settings.expander, settings=settings.method_settings, view_passes="separate"
    )
    forward = forward_operations("resnet18", "cifar", 4, (16, 16, 16), digits.train.images.shape[1], settings.image_size)
    added = settings.batch_size * (forward + 2 * plain.backbone.dimension * 20)
    assert whole_step_operations(settings, digits, model=teaching) == before + added


def test_what_minimal_filtering_saves_is_not_in_the_count(tiny_config, digits):
    """A network of width 64 on maps of 16 x 16, where a CPU takes fewer multiplications for its convolutions."""
    settings = tiny_config({"pretrain.width": 64, "pretrain.image_size": 16, "pretrain.batch_size": 64}).pretrain
    left_out = 2 * 64 * images_gradient(settings, digits.train.images.shape[1], 16)
    of_loss = 2 * 2 * 2 * 16**2 * 64
    assert whole_step_operations(settings, digits) == step_operations(settings, digits) - left_out + of_loss


def test_a_weight_of_zero_drops_the_product_of_its_gradient(default, digits):
    settings, counted = default
    without = dataclasses.replace(settings, method_settings=dataclasses.replace(settings.method_settings, nu=0))
    n, d = settings.batch_size, 16
    assert counted - whole_step_operations(without, digits) == 2 * 2 * n * d**2


def test_state_is_what_is_kept_beyond_backbone_and_expander_and_not_trained(tiny_config, digits):
    settings = tiny_config().pretrain
    model = new_model(settings, digits)
    assert state_bytes(model) == 0  # VICReg keeps nothing, whatever its networks' BatchNorm counts
    model.register_buffer("queue", torch.zeros(10, 4))
    model.teacher = nn.Linear(3, 2).requires_grad_(False)
    model.predictor = nn.Linear(3, 2)
    assert state_bytes(model) == 4 * (10 * 4 + 3 * 2 + 2)


def test_settings_that_the_cost_does_not_depend_on_do_not_change_it_nor_is_the_random_state_drawn_from(default, digits):
    settings, counted = default
    other = dataclasses.replace(settings, seed=5, base_lr=0.3, epochs=9)
    before = torch.get_rng_state()
    assert whole_step_operations(other, digits) == counted
    assert torch.equal(before, torch.get_rng_state())
    assert method_class(settings.method).VIEWS == 2


def test_a_run_of_vicreg_costs_what_its_networks_do_and_of_another_method_its_whole_steps(tiny_config, digits):
    settings = tiny_config({"pretrain.batch_size": 32}).pretrain  # 160 images
    assert run_operations(settings, digits) == training_operations(settings, digits)
    other = tiny_config({"pretrain.method": "byol", "pretrain.batch_size": 32}).pretrain
    steps = 5 * other.epochs
    assert run_operations(other, digits) == steps * whole_step_operations(other, digits)
    assert run_operations(dataclasses.replace(other, seed=7), digits) == run_operations(other, digits)
    untrained = dataclasses.replace(other, epochs=0, warmup_epochs=0)
    assert run_operations(untrained, digits) == 0


def test_an_expander_that_a_method_ignores_costs_a_run_nothing(tiny_config, digits):
    settings = tiny_config({"pretrain.method": "directclr"}).pretrain
    wider = dataclasses.replace(settings, expander=(64, 64))
    assert run_operations(wider, digits) == run_operations(settings, digits)
    assert training_operations(wider, digits) > training_operations(settings, digits)


def test_a_step_that_cannot_be_counted_is_refused(tiny_config, digits, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no rule")

    monkeypatch.setattr(method_cost, "whole_step_operations", refuse)
    settings = dataclasses.replace(tiny_config({"pretrain.method": "simclr"}).pretrain, base_lr=0.123)
    with pytest.raises(InputError, match="countable from shapes, but simclr's is not"):
        run_operations(settings, digits)
