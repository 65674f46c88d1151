"""The error from the choice of test images, binomial and paired."""

import math

import numpy as np
import pytest

from study.analysis.sampling_error import paired_sampling_error, sampling_error
from vicreg.errors import InputError


def test_the_sampling_error_is_the_binomial_one_and_not_zero_where_all_images_are_right():
    assert sampling_error(0.5, 10_000) == pytest.approx(0.005, rel=3e-4)
    assert sampling_error(1, 360) == pytest.approx(sampling_error(0, 360)) == pytest.approx(0.0038, rel=1e-3)
    errors = [sampling_error(right / 360, 360) for right in range(181)]
    assert errors == sorted(errors)  # an accuracy nearer to 1 (or 0) never has the larger error


def test_the_sampling_error_covers_as_often_as_it_says():
    n, truth = 360, 0.97
    right = np.random.default_rng(0).binomial(n, truth, 4000)
    covered = np.mean([abs(k / n - truth) <= 1.96 * sampling_error(k / n, n) for k in right])
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("share", "n"), [(1.2, 10), (-0.1, 10), (math.nan, 10), (0.5, 0)])
def test_an_accuracy_outside_zero_and_one_is_refused(share, n):
    with pytest.raises(InputError):
        sampling_error(share, n)


def test_with_one_seed_the_paired_sampling_error_is_mcnemars():
    correct, reference = np.array([[1, 1, 1, 0, 1, 0, 0, 1]]), np.array([[1, 0, 0, 0, 1, 1, 0, 1]])
    gained, lost, n = 2, 1, 8
    variance = (gained + lost - (gained - lost) ** 2 / n) / (n * (n - 1))
    assert paired_sampling_error(correct, reference) == pytest.approx(math.sqrt(variance))


def test_images_that_both_get_right_do_not_count_and_seeds_are_averaged():
    rng = np.random.default_rng(0)
    correct = rng.integers(0, 2, (3, 50))
    assert paired_sampling_error(correct, correct) == 0
    other = rng.integers(0, 2, (3, 50))
    by_image = correct.mean(0) - other.mean(0)
    assert paired_sampling_error(correct.tolist(), other.tolist()) == pytest.approx(by_image.std(ddof=1) / math.sqrt(50))
    assert paired_sampling_error(np.ones((2, 1)), np.ones((2, 1))) is None


@pytest.mark.parametrize("shapes", [((2, 5), (2, 6)), ((5,), (5,)), ((0, 5), (0, 5))])
def test_images_that_do_not_pair_are_refused(shapes):
    with pytest.raises(InputError, match=r"\(seeds, images\)"):
        paired_sampling_error(*map(np.ones, shapes))
