"""Effect sizes and the probability of being better, in closed form and over many studies."""

import math

import numpy as np
import pytest

from study.analysis.effect_sizes import effect_size, probability_better


def test_an_effect_size_of_uncorrelated_series_is_the_textbook_one():
    values, reference = [4, 5, 6, 4, 5, 6], [1, 1, 2, 3, 3, 2]  # covariance 0, variances 0.8
    assert np.cov(values, reference)[0, 1] == 0
    freedom = 10  # 2 (n - 1)
    correction = math.gamma(5) / (math.sqrt(5) * math.gamma(4.5))
    assert correction == pytest.approx(1 - 3 / (4 * freedom - 1), rel=1e-3)  # Hedges' approximation
    assert effect_size(values, reference) == pytest.approx(3 / math.sqrt(0.8) * correction)


def test_an_effect_size_of_series_in_step_has_half_the_degrees_of_freedom():
    values, reference = [4, 5, 6], [1, 2, 3]
    assert effect_size(values, reference) == pytest.approx(3 * math.gamma(1) / math.gamma(0.5))  # 2 of them


def test_an_effect_size_has_no_unit_and_turns_its_sign_with_the_series():
    values, reference = [1.0, 3.0, 4.0, 4.0], [0.0, 2.0, 1.0, 5.0]
    size = effect_size(values, reference)
    assert effect_size([100 * x + 7 for x in values], [100 * x + 7 for x in reference]) == pytest.approx(size)
    assert effect_size(reference, values) == pytest.approx(-size)


@pytest.mark.parametrize("shared", [0.0, 1.0, 3.0])
def test_the_effect_size_of_three_seeds_is_nearly_unbiased_however_much_they_share(shared):
    rng = np.random.default_rng(0)
    by_seed, noise = rng.normal(0, shared, (8000, 1, 3)), rng.normal(0, 1, (8000, 2, 3))
    pairs = (by_seed + noise + np.array([[2.0], [0.0]])).tolist()
    truth = 2 / math.hypot(shared, 1)
    assert np.mean([effect_size(own, other) for own, other in pairs]) == pytest.approx(truth, rel=0.13)


def test_there_is_no_effect_size_without_a_spread_or_with_two_seeds():
    assert effect_size([2, 2, 2], [1, 1, 1]) is None
    assert effect_size([1, 2], [3, 5]) is None
    assert effect_size([1, 2, 3], [1, 1, 1]) == pytest.approx(2 / math.sqrt(math.pi))  # sqrt(2) J(4)


def test_the_probability_of_being_better_is_the_predictive_one_in_closed_form():
    ratio = 2 / math.sqrt(4 / 3)  # differences 1, 2, 3: mean 2, sd 1
    assert probability_better([1, 2, 3], [0, 0, 0]) == pytest.approx(0.5 + ratio / (2 * math.sqrt(2 + ratio**2)))


def test_one_of_two_arms_is_the_better_one():
    values, reference = [1.0, 5.0, 2.0, 4.0], [2.0, 3.0, 3.0, 1.0]
    assert probability_better(values, reference) + probability_better(reference, values) == pytest.approx(1)


def test_neither_equal_differences_nor_two_seeds_say_who_wins():
    assert [probability_better([x, x, x], [1, 1, 1]) for x in (0, 1, 2)] == [None, None, None]
    assert probability_better([5, 6], [1, 1]) is None
