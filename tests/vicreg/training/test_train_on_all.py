"""Training on train and validation together: it is training on their union, and validation is measured as before."""

import dataclasses

import pytest
import torch

from tests.vicreg.training.runs import same_weights, timeless
from vicreg.data.dataset import Dataset, Split
from vicreg.data.statistics import channel_statistics
from vicreg.errors import InputError
from vicreg.training.cost import images_seen
from vicreg.training.setup import check_fit, normalised, training_count, training_images, training_labels

pytestmark = pytest.mark.usefixtures("shallow")


def union(dataset: Dataset) -> Split:
    parts = (dataset.train, dataset.validation)
    return Split(images=torch.cat([one.images for one in parts]), labels=torch.cat([one.labels for one in parts]))


@pytest.fixture
def joined(digits) -> Dataset:
    """The digits with validation among the images of the train split, and with the statistics of that."""
    whole = union(digits)
    mean, std = channel_statistics(whole.images)
    assert (mean, std) != (digits.mean, digits.std)
    return dataclasses.replace(digits, train=whole, mean=mean, std=std)


def test_the_images_are_those_of_both_splits_with_their_labels_and_the_statistics_are_theirs(settings, digits, joined):
    given = settings(train_on="all")
    assert torch.equal(training_images(given, digits), joined.train.images)
    assert torch.equal(training_labels(given, digits), joined.train.labels)
    assert training_count(given, digits) == len(joined.train.labels) == 200
    changed = normalised(given, digits)
    assert (changed.mean, changed.std) == (joined.mean, joined.std)
    assert changed.train is digits.train and changed.validation is digits.validation


def test_without_it_the_images_are_those_of_train_alone(settings, digits):
    given = settings()
    assert training_images(given, digits) is digits.train.images and training_labels(given, digits) is digits.train.labels
    assert training_count(given, digits) == 160


@pytest.mark.parametrize("method", ["vicreg", "supervised"])
def test_a_run_on_all_is_the_run_on_their_union_bit_for_bit(tiny_config, train, digits, joined, method):
    settings = {"pretrain.method": method, "pretrain.batch_size": 40, "pretrain.epochs": 2}
    own = train(tiny_config(settings | {"pretrain.train_on": "all"}).pretrain)
    other = train(tiny_config(settings).pretrain, dataset=joined)
    assert same_weights(own, other) and timeless(own.history) == timeless(other.history)
    assert not same_weights(own, train(tiny_config(settings).pretrain))


def test_the_knn_while_training_asks_the_labels_of_the_train_split_alone(settings, train, digits):
    """Of labels drawn at random an image that is its own neighbour would vote for its own."""
    draw = torch.Generator().manual_seed(0)
    dataset = dataclasses.replace(digits, **{
        part: Split(images=one.images, labels=torch.randint(10, one.labels.shape, generator=draw))
        for part in ("train", "validation") for one in [getattr(digits, part)]
    })  # fmt: skip
    run = train(settings(train_on="all", probe_every=1, epochs=1, warmup_epochs=0), dataset=dataset)
    assert run.history[-1]["knn"] < 0.4


def test_a_batch_may_be_as_large_as_both_splits_and_an_epochs_images_are_counted_over_both(settings, digits):
    check_fit(settings(train_on="all", batch_size=200), digits)
    with pytest.raises(InputError, match="must not exceed the number of training images, but got 200 and 160"):
        check_fit(settings(batch_size=200), digits)
    assert images_seen(settings(train_on="all", batch_size=40, epochs=3), digits) == 600
    assert images_seen(settings(batch_size=40, epochs=3), digits) == 480


def test_another_choice_of_images_is_refused(settings):
    with pytest.raises(InputError) as raised:
        settings(train_on="test")
    assert str(raised.value) == "pretrain.train_on must be one of train, all, but got 'test'."
