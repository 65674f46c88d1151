"""What a run starts with: first weights, channel statistics, steps an epoch, and the optimiser."""

import dataclasses

import pytest
import torch

from tests.vicreg.training.runs import same_weights
from vicreg.data.dataset import Split
from vicreg.errors import InputError
from vicreg.optim.lars import LARS
from vicreg.torchvision_compat import torchvision
from vicreg.training import loop
from vicreg.training.loop import Pretrained
from vicreg.training.setup import make_optimizer, new_model, normalised, steps_per_epoch

pytestmark = pytest.mark.usefixtures("shallow")


def test_a_run_may_start_from_the_backbone_of_another(settings, train, digits):
    other = new_model(settings(seed=5), digits)
    started = train(settings(epochs=0, warmup_epochs=0, weights="other"), start=other.backbone.state_dict())
    own = new_model(settings(), digits)
    for key, value in started.model.state_dict().items():
        source = other if key.startswith("backbone.") else own
        assert torch.equal(value, source.state_dict()[key]), key
    trained = train(settings(epochs=1, warmup_epochs=0, weights="other"), start=other.backbone.state_dict())
    assert not same_weights(trained, train(settings(epochs=1, warmup_epochs=0)))


def test_the_initial_weights_depend_on_network_and_seed_alone(settings, digits):
    first = new_model(settings(), digits)
    second = new_model(settings(optimizer="sgd", nu=3, epochs=9, batch_size=8, base_lr=7), digits)
    third = new_model(settings(seed=1), digits)
    assert same_weights(Pretrained(first, []), Pretrained(second, []))
    assert not same_weights(Pretrained(first, []), Pretrained(third, []))


def test_imagenets_statistics_take_the_place_of_the_datas_own_for_images_of_three_channels(settings, digits):
    coloured = {
        part: Split(images=getattr(digits, part).images.expand(-1, 3, -1, -1), labels=getattr(digits, part).labels)
        for part in ("train", "validation", "test")
    }
    dataset = dataclasses.replace(digits, mean=digits.mean * 3, std=digits.std * 3, **coloured)
    assert normalised(settings(), dataset) is dataset
    changed = normalised(settings(normalisation="imagenet"), dataset)
    theirs = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()
    assert (changed.mean, changed.std) == (tuple(theirs.mean), tuple(theirs.std))
    assert changed.train is dataset.train
    with pytest.raises(InputError) as raised:
        normalised(settings(normalisation="imagenet"), digits)
    assert str(raised.value) == (
        "pretrain.normalisation imagenet is for images of 3 channels, but digits has 1; set it to data."
    )


def test_views_have_the_size_the_settings_ask_for_or_the_images_own(settings, digits):
    images = digits.train.images
    assert loop.view_size(settings(image_size=12), images) == 12
    assert loop.view_size(settings(image_size=None), images) == images.shape[-1]


def test_a_batch_of_more_images_than_there_are_is_refused(settings, train):
    with pytest.raises(InputError) as raised:
        train(settings(batch_size=161))
    assert str(raised.value) == (
        "pretrain.batch_size must not exceed the number of training images, but got 161 and 160; lower it or set "
        "pretrain.drop_last to false."
    )


@pytest.mark.parametrize(
    ("images", "drop_last", "steps"),
    [(64, True, 2), (64, False, 2), (95, True, 2), (95, False, 3), (65, False, 2), (66, False, 3), (20, False, 1)],
)
def test_a_short_last_batch_counts_unless_dropped_and_one_image_never_does(settings, images, drop_last, steps):
    assert steps_per_epoch(settings(batch_size=32, drop_last=drop_last), images) == steps


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("everything", [False, True])
def test_biases_and_batchnorm_are_left_out_of_decay_unless_asked_for(settings, digits, optimizer, everything):
    given = settings(optimizer=optimizer, weight_decay=0.3, decay_bias_and_norm=everything)
    model = new_model(given, digits)
    groups = make_optimizer(given, model).param_groups
    decay = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    for parameter in model.parameters():
        assert decay[id(parameter)] == (0.3 if parameter.ndim > 1 or everything else 0.0)


def test_lars_gets_its_settings(settings, digits):
    given = settings(
        optimizer="lars", weight_decay=0.3, momentum=0.8, lars_eta=0.02, decay_bias_and_norm=True,
        adapt_bias_and_norm=True,
    )  # fmt: skip
    optimizer = make_optimizer(given, new_model(given, digits))
    assert isinstance(optimizer, LARS)
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in ("weight_decay", "momentum", "eta")} == {
        "weight_decay": 0.3, "momentum": 0.8, "eta": 0.02,
    }  # fmt: skip
    assert group["decay_bias_and_norm"] and group["adapt_bias_and_norm"]


@pytest.mark.parametrize(("optimizer", "key"), [("sgd", "momentum"), ("adamw", "betas")])
def test_momentum_reaches_the_optimiser(settings, digits, optimizer, key):
    given = settings(optimizer=optimizer, momentum=0.7)
    value = make_optimizer(given, new_model(given, digits)).param_groups[0][key]
    assert value == (0.7 if optimizer == "sgd" else (0.7, 0.999))
