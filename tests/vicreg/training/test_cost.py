"""The operations of a run, against what can be counted by hand and what torchvision publishes."""

import dataclasses

import pytest
from torchvision.models import ResNet18_Weights, ResNet50_Weights

from vicreg.training.cost import forward_operations, training_operations


@pytest.mark.parametrize(("backbone", "weights"), [("resnet18", ResNet18_Weights), ("resnet50", ResNet50_Weights)])
def test_a_forward_pass_takes_the_multiplications_that_torchvision_gives(backbone, weights):
    published = weights.IMAGENET1K_V1.meta["_ops"]  # 1e9 multiplications, each with its addition
    classifier = 1000 * (2048 if backbone == "resnet50" else 512) / 1e9
    ours = forward_operations(backbone, "imagenet", 64, (), 3, 224) / 2e9
    assert ours == pytest.approx(published - classifier, abs=0.001)


def test_an_expander_adds_the_products_of_its_layers(tiny_config, digits):
    settings = tiny_config({"pretrain.batch_size": 32}).pretrain
    without = training_operations(dataclasses.replace(settings, expander=()), digits)
    added = training_operations(dataclasses.replace(settings, expander=(16, 8)), digits) - without
    images = settings.epochs * len(digits.train.images)  # 160, in batches of 32
    assert added == 2 * (32 * 16 + 16 * 8) * 3 * 2 * images  # a width of 4 gives representations of 32


def test_operations_are_those_of_the_images_that_are_seen(tiny_config, digits):
    def of(**changes):
        return training_operations(dataclasses.replace(tiny_config().pretrain, **changes), digits)

    assert of(epochs=0, warmup_epochs=0) == 0
    assert of(epochs=8) == 2 * of(epochs=4)
    assert of(batch_size=80) == of(batch_size=32)  # 2 steps of 80 images, or 5 of 32
    assert of(batch_size=100) * 160 == of(batch_size=32) * 100  # the short last batch is dropped
    assert of(batch_size=100, drop_last=False) == of(batch_size=32)
    assert of(width=8) > 2 * of(width=4)
    assert of(seed=5, base_lr=0.3, momentum=0.5, threads=2) == of()  # what is not computed more does not cost more
