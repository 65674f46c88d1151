"""Bounds that know the number of images can be met, and are not met by chance."""

import math

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from vicreg.data.dataset import load_dataset
from vicreg.errors import InputError
from vicreg.evaluation.few_images import (
    LEAST_IMAGES,
    accuracy_bound,
    correlation_bound,
    guessed_by_chance,
    images_for_spread,
    images_wanted,
    rank_bound,
)


@pytest.mark.parametrize("chance", [0.001, 0.01, 0.1, 0.25, 0.5, 0.92, 0.999])
def test_the_bound_of_accuracy_is_above_the_largest_class_and_below_perfection(chance):
    assert chance < accuracy_bound(chance) < 1


def test_the_bound_of_accuracy_is_a_tenth_of_the_way_to_perfection_or_twice_chance():
    assert accuracy_bound(0.1) == pytest.approx(0.19) and accuracy_bound(0.92) == pytest.approx(0.928)
    assert accuracy_bound(0.01) == pytest.approx(0.02)


def test_the_bound_of_correlation_is_ezekiels_adjustment_of_r_squared_turned_round():
    for images in (8, 20, 150):
        r = correlation_bound(images, 512, correlation=0.5)
        adjusted = 1 - (1 - r**2) * (images - 1) / (images - 2)
        assert adjusted == pytest.approx(0.25)


def test_the_bound_of_two_dimensions_is_that_of_students_test_of_a_correlation():
    r, df = correlation_bound(8, 2, correlation=0.5), 6
    assert 2 * stats.t.sf(r * math.sqrt(df / (1 - r**2)), df) == pytest.approx(0.001)


@pytest.mark.parametrize("images", [3, 8, 1000])
@pytest.mark.parametrize("d", [1, 2, 3, 2048])
def test_copies_of_one_dimension_and_of_one_direction_pass_every_bound(images, d):
    assert correlation_bound(images, d, correlation=0.5) < 1
    assert rank_bound(images, d, rank=4.0) <= min(images, d) / 2


def test_the_rank_is_judged_by_four_where_there_are_images_and_dimensions_for_eight():
    assert rank_bound(LEAST_IMAGES, 8, rank=4.0) == rank_bound(5000, 512, rank=4.0) == 4.0
    assert rank_bound(5000, 4, rank=4.0) == 2.0


def test_spread_is_judged_from_eight_images_and_of_one_dimension_from_nine():
    assert [images_for_spread(d) for d in (1, 2, 8, 512)] == [9, 8, 8, 8]


def test_an_accuracy_is_judged_once_a_guess_would_have_it_once_in_a_hundred():
    for images in range(1, 60):
        told = images_wanted(1.0, chance=0.5, images=images) is None
        assert told == (0.5**images <= 0.01)


@pytest.mark.parametrize(
    ("accuracy", "chance", "images"), [(0.6, 0.5, 60), (0.2, 0.1, 10), (0.0, 0.1, 2), (1.0, 0.92, 10), (0.02, 0.01, 100)]
)
def test_the_number_of_images_wanted_is_enough_and_stays_enough(accuracy, chance, images):
    wanted = images_wanted(accuracy, chance=chance, images=images)
    assert wanted > images
    assert all(images_wanted(accuracy, chance=chance, images=wanted + more) is None for more in range(50))


def test_a_perfect_vote_on_unequal_classes_is_told_from_a_guess_by_the_probability_of_guessing_each_class():
    assert guessed_by_chance(1.0, [28, 2]) == pytest.approx((28 / 30) ** 28 * (2 / 30) ** 2)
    assert guessed_by_chance(1.0, [29, 1]) > 0.01  # one image of a class is soon guessed
    assert guessed_by_chance(0.2, [6] * 10) == pytest.approx(stats.binom.sf(11, 60, 0.1))


def test_guesses_that_see_no_image_are_no_more_accurate_than_their_bound_says():
    draw, labels = np.random.Generator(np.random.PCG64(0)), np.repeat([0, 1], [46, 4])
    for share in (0.5, 0.9, 0.92, 0.97, 1.0):
        guesses = draw.random((20_000, 50)) >= share
        accuracies = (guesses == labels).mean(axis=1)
        bound = min(one / 50 for one in range(47, 51) if guessed_by_chance(one / 50, [46, 4]) <= 0.01)
        assert (accuracies >= bound).mean() <= 0.012


# ---- a data set of which nothing could be said is refused before it is trained on


def folder_of(root, *, classes, train, make_image):
    paths = [
        root / part / f"class{name}" / f"{number}.png"
        for part, count in (("train", train), ("test", 2))
        for name in range(classes)
        for number in range(count)
    ]
    for seed, path in enumerate(paths):  # no two images are the same
        make_image(path, seed)
    return {
        "dataset": "imagefolder", "root": root, "split_seed": 0, "test": 0.2, "per_class": None, "image_size": None,
    }  # fmt: skip


@pytest.fixture
def make_image():
    def make(path, number):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.Generator(np.random.PCG64(number)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    return make


def test_one_held_out_image_is_refused_and_the_remedy_heals(tmp_path, make_image):
    given = folder_of(tmp_path, classes=1, train=7, make_image=make_image)
    with pytest.raises(InputError) as raised:
        load_dataset(**given, validation=0.1)
    assert str(raised.value) == (
        "prepare.validation must hold out at least 2 images, on which collapse is measured (8 to tell each of its kinds), "
        f"but 0.1 of the 7 training images under {tmp_path} are 1; set it to 0.29 or more, or add images."
    )
    assert len(load_dataset(**given, validation=0.29).validation.images) == 2


def test_two_training_images_in_all_are_refused_with_the_remedy_that_can_heal(tmp_path, make_image):
    given = folder_of(tmp_path, classes=1, train=2, make_image=make_image)
    with pytest.raises(InputError, match=r"of the 2 training images under .* are 1; add images\.$"):
        load_dataset(**given, validation=0.9)


def test_two_classes_with_one_held_out_image_each_are_taken(tmp_path, make_image):
    given = folder_of(tmp_path, classes=2, train=2, make_image=make_image)
    assert len(load_dataset(**given, validation=0.1).validation.images) == 2
