"""Smaller views follow the whole ones of the same images, and change nothing about them."""

import dataclasses
from typing import NamedTuple

import pytest
import torch

from vicreg.training.batches import epoch_of_views
from vicreg.training.local_views import local_view_settings, with_local_views
from vicreg.training.setup import steps_per_epoch
from vicreg.views.settings import ViewSettings

CPU = torch.device("cpu")
PLAIN = ViewSettings(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, jitter=0, grayscale=0, blur=0, solarize=0)


class Wants(NamedTuple):
    """What a method says of its local views."""

    local_views: int
    local_size: int = 4
    local_crop_scale: tuple[float, float] = (0.05, 0.14)


@pytest.fixture
def epoch(digits, settings):
    """`epoch(Wants(3))`: the batches of an epoch, with so many local views."""

    def build(wants, *, number=0, changes=None, views=None):
        given = settings(**(changes or {}))
        given = given if views is None else dataclasses.replace(given, views=views)
        images = digits.train.images
        steps = steps_per_epoch(given, len(images))
        named = {"device": CPU, "epoch": number, "steps": steps}
        batches = epoch_of_views(given, digits, images, size=8, **named)
        return list(with_local_views(batches, wants, given, digits, images, **named))

    return build


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_each_batch_ends_with_as_many_views_of_the_size_that_the_method_says(epoch, count):
    batches = epoch(Wants(count, local_size=6))
    assert len(batches) == 5
    for whole, whole_prime, *local in batches:
        assert whole.shape == whole_prime.shape == (32, 1, 8, 8)
        assert [view.shape for view in local] == [(32, 1, 6, 6)] * count
        assert all(view.dtype == torch.float32 and view.isfinite().all() for view in local)
        assert all(view.is_contiguous(memory_format=torch.channels_last) for view in local)


def test_whole_views_are_bit_identical_with_and_without_local_ones(epoch):
    for number in (0, 3):
        alone, beside = epoch(Wants(0), number=number), epoch(Wants(3), number=number)
        for a, b in zip(alone, beside, strict=True):
            assert len(a) == 2 and all(torch.equal(view, other) for view, other in zip(a, b[:2], strict=True))


def test_a_local_view_is_the_same_for_any_number_of_them_and_differs_from_the_others(epoch):
    few, many = epoch(Wants(1)), epoch(Wants(4))
    for a, b in zip(few, many, strict=True):
        assert torch.equal(a[2], b[2])
        local = b[2:]
        assert all(not torch.equal(local[i], local[j]) for i in range(4) for j in range(i))


def test_local_views_are_the_same_in_the_same_epoch_and_others_in_another_epoch_and_seed(epoch):
    first, same, later = (epoch(Wants(2), number=number) for number in (1, 1, 2))
    reseeded = epoch(Wants(2), number=1, changes={"seed": 1})
    for a, b, c, d in zip(first, same, later, reseeded, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        assert not torch.equal(a[2], c[2]) and not torch.equal(a[2], d[2])


@pytest.mark.parametrize("changes", [{}, {"batch_size": 50, "drop_last": False}], ids=str)
def test_local_views_are_of_the_same_images_in_the_same_order(epoch, changes):
    batches = epoch(Wants(3, local_size=8, local_crop_scale=(1.0, 1.0)), views=(PLAIN, PLAIN), changes=changes)
    assert [len(batch[0]) for batch in batches] == ([50, 50, 50, 10] if changes else [32] * 5)
    for whole, _, *local in batches:
        assert all(torch.equal(view, whole) for view in local)


def test_local_views_differ_from_whole_ones_by_their_crops_alone():
    first, second = ViewSettings(blur=1.0), ViewSettings(solarize=0.2)
    local = local_view_settings((first, second), Wants(2))
    assert local == tuple(dataclasses.replace(view, crop_scale=(0.05, 0.14)) for view in (first, second))


def test_a_local_view_shows_the_share_of_the_image_that_the_method_says(epoch):
    # Of crops of one pixel or few, enlarged, neighbouring pixels differ less than in whole images.
    tiny, whole = (epoch(Wants(1, 8, scale), views=(PLAIN, PLAIN)) for scale in ((0.02, 0.02), (1.0, 1.0)))
    steps = [torch.cat([batch[2] for batch in batches]).diff(dim=3).abs().mean().item() for batches in (tiny, whole)]
    assert steps[0] < 0.5 * steps[1]


def test_more_or_fewer_batches_than_steps_are_refused(digits, settings):
    given, images = settings(), digits.train.images
    batches = epoch_of_views(given, digits, images, device=CPU, size=8, epoch=0, steps=3)
    with pytest.raises(ValueError, match="shorter|longer"):
        list(with_local_views(batches, Wants(1), given, digits, images, device=CPU, epoch=0, steps=5))


def test_local_views_have_random_numbers_of_their_own(epoch):
    for whole, whole_prime, *local in epoch(Wants(2, local_size=8, local_crop_scale=(0.2, 1.0))):  # the crops of whole views
        assert all(not torch.equal(view, other) for view in local for other in (whole, whole_prime))
