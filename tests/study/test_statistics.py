"""Intervals that can be computed by hand, and that cover as often as they say."""

import math

import numpy as np
import pytest

from study.statistics import mean, paired_difference, standard_deviation
from vicreg.errors import InputError

T_2 = 4.302652729911275  # the 97.5 % quantile of Student's t with 2 degrees of freedom, from any table


def test_the_interval_of_three_differences_is_the_one_computed_by_hand():
    interval = paired_difference([11, 22, 33], [10, 20, 30])  # differences 1, 2, 3: mean 2, sd 1
    assert (interval.n, interval.mean) == (3, 2)
    assert interval.low == pytest.approx(2 - T_2 / math.sqrt(3), rel=1e-9)
    assert interval.high == pytest.approx(2 + T_2 / math.sqrt(3), rel=1e-9)
    t = 2 * math.sqrt(3)
    assert interval.p == pytest.approx(1 - t / math.sqrt(2 + t**2), rel=1e-9)  # the closed form for 2 degrees of freedom


def test_the_confidence_sets_the_width_and_not_the_p_value():
    wide, narrow = (paired_difference([1, 2, 3], [0, 0, 0], confidence=share) for share in (0.95, 0.5))
    t_50 = math.sqrt(2 / 3)  # the 75 % quantile with 2 degrees of freedom, in closed form
    assert narrow.high - narrow.mean == pytest.approx(t_50 / math.sqrt(3), rel=1e-9)
    assert narrow.p == wide.p


def test_what_the_two_series_share_cancels_in_the_difference():
    by_seed = [0.0, 50.0, -30.0]
    paired = paired_difference([x + d for x, d in zip(by_seed, [1, 2, 3], strict=True)], by_seed)
    assert (paired.mean, paired.low) == pytest.approx((2, 2 - T_2 / math.sqrt(3)))


def test_exchanging_the_two_series_turns_the_interval_around():
    there, back = paired_difference([1, 2, 4], [3, 2, 1]), paired_difference([3, 2, 1], [1, 2, 4])
    assert (back.mean, back.low, back.high, back.p) == pytest.approx((-there.mean, -there.high, -there.low, there.p))


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_differences_have_a_mean_and_no_interval(n):
    interval = paired_difference([5.0, 7.0][:n], [1.0, 1.0][:n])
    assert (interval.n, interval.low, interval.high, interval.p) == (n, None, None, None)
    assert interval.mean == (4 if n == 1 else 5)


def test_equal_differences_give_an_interval_without_width():
    interval = paired_difference([1.5, 2.5, 3.5], [1, 2, 3])
    assert (interval.mean, interval.low, interval.high, interval.p) == (0.5, 0.5, 0.5, 0)
    interval = paired_difference([1, 2, 3], [1, 2, 3])
    assert (interval.mean, interval.low, interval.high, interval.p) == (0, 0, 0, 1)


def test_differences_that_are_equal_but_for_rounding_are_no_evidence_beyond_their_size():
    values = [0.1 + 0.2, 0.3, 0.1 * 3]  # 0.3 three ways
    interval = paired_difference(values, [0.3, 0.3, 0.3])
    assert interval.low <= 0 <= interval.high and interval.p > 0.05


def test_ninety_five_percent_intervals_of_three_seeds_cover_ninety_five_percent_of_the_time():
    rng = np.random.default_rng(0)
    effect, repeats = 0.7, 2000
    by_seed, noise = rng.normal(0, 5, (repeats, 3)), rng.normal(0, 1, (2, repeats, 3))
    covered = 0
    for shared, own, other in zip(by_seed, *noise, strict=True):
        interval = paired_difference((shared + effect + own).tolist(), (shared + other).tolist())
        covered += interval.low <= effect <= interval.high
    error = math.sqrt(0.95 * 0.05 / repeats)
    assert covered / repeats == pytest.approx(0.95, abs=3 * error)


def test_series_of_unequal_lengths_are_refused_with_both_numbers():
    with pytest.raises(InputError, match=r"got 3, 2\."):
        paired_difference([1, 2, 3], [1, 2])


@pytest.mark.parametrize("function", [mean, standard_deviation, lambda values: paired_difference(values, values)])
def test_no_value_at_all_is_refused(function):
    with pytest.raises(InputError, match="at least 1 value, but got 0"):
        function([])


def test_mean_and_standard_deviation_are_those_of_the_textbook():
    values = [2.0, 4.0, 4.0, 5.0, 9.0]
    assert mean(values) == 4.8
    assert standard_deviation(values) == pytest.approx(np.std(values, ddof=1))
    assert standard_deviation([3.0]) is None
    assert mean([0.1] * 10) == 0.1  # and not 0.09999999999999999
