"""Intervals that can be computed by hand, and that cover as often as they say."""

import math
import random
import statistics

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from study.analysis.intervals import mean_interval, paired_difference, prediction_interval, ratio_interval, wilson
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


def test_equal_differences_have_no_interval_for_three_equal_steps_make_nothing_certain():
    interval = paired_difference([1.5, 2.5, 3.5], [1, 2, 3])
    assert (interval.n, interval.mean, interval.low, interval.high, interval.p) == (3, 0.5, None, None, None)
    assert paired_difference([1, 2, 3], [1, 2, 3]).p is None


def test_differences_that_are_equal_but_for_rounding_are_equal():
    values = [0.1 + 0.2, 0.3, 0.1 * 3]  # 0.3 three ways
    assert paired_difference(values, [0.3, 0.3, 0.3]).low is None
    accuracies = [k / 359 for k in (350, 341, 353)]
    assert paired_difference([x + 1 / 359 for x in accuracies], accuracies).low is None
    assert paired_difference([x + 1e-9 * (1 + x) for x in accuracies], accuracies).low is not None


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


def test_wilsons_bounds_are_the_shares_at_which_the_normal_test_just_rejects():
    for bound in wilson(3, 10):
        assert abs(0.3 - bound) / math.sqrt(bound * (1 - bound) / 10) == pytest.approx(1.959964, rel=1e-6)


@pytest.mark.parametrize(("successes", "n"), [(0, 3), (1, 3), (3, 3), (17, 40), (1, 1)])
def test_wilsons_interval_is_statsmodels_and_within_zero_and_one(successes, n):
    low, high = wilson(successes, n, confidence=0.9)
    assert (low, high) == pytest.approx(proportion_confint(successes, n, alpha=0.1, method="wilson"))
    assert 0 <= low <= successes / n <= high <= 1 and low < high
    assert wilson(n - successes, n, confidence=0.9) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (4, 3), (-1, 3)])
def test_a_share_of_nothing_is_refused(successes, n):
    with pytest.raises(InputError):
        wilson(successes, n)


def test_a_ratio_is_the_geometric_mean_and_its_interval_that_of_the_logs():
    interval = ratio_interval([2, 8, 32], [1, 2, 4])  # ratios 2, 4, 8
    assert (interval.n, interval.mean) == (3, pytest.approx(4))
    half = T_2 * math.log(2) / math.sqrt(3)
    assert (interval.low, interval.high) == pytest.approx((4 * math.exp(-half), 4 * math.exp(half)))
    assert interval.p == pytest.approx(paired_difference([1, 2, 3], [0, 0, 0]).p)


def test_the_ratio_the_other_way_round_is_the_inverse():
    there, back = ratio_interval([1.0, 5.0, 3.0], [2.0, 4.0, 9.0]), ratio_interval([2.0, 4.0, 9.0], [1.0, 5.0, 3.0])
    assert (back.mean, back.low, back.high) == pytest.approx((1 / there.mean, 1 / there.high, 1 / there.low))
    assert ratio_interval([1, 2], [2, 2]).low is None


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan])
def test_what_has_no_ratio_is_refused(number):
    with pytest.raises(InputError, match="above 0"):
        ratio_interval([1, number, 2], [1, 1, 1])


THREE = [0.70, 0.71, 0.75]


FIVE = [0.62, 0.64, 0.61, 0.69, 0.66]


def test_the_interval_of_a_mean_is_scipys():
    ours = mean_interval(FIVE)
    low, high = stats.t.interval(0.95, 4, loc=statistics.mean(FIVE), scale=stats.sem(FIVE))
    assert (ours.low, ours.high) == pytest.approx((low, high))
    assert (ours.n, ours.mean, ours.p) == (5, pytest.approx(0.644), None)


def test_one_more_run_of_three_lies_within_the_quantile_times_the_spread_widened_by_a_third():
    low, high = prediction_interval([-1.0, 0.0, 1.0])  # mean 0, s = 1
    assert high == pytest.approx(4.302653 * math.sqrt(4 / 3)) and low == pytest.approx(-high)


def test_the_next_value_lies_in_the_interval_as_often_as_it_says():
    draw = random.Random(0)
    rounds = [[draw.gauss(5, 2) for _ in range(4)] for _ in range(2000)]
    inside = sum(low <= values[3] <= high for values in rounds for low, high in [prediction_interval(values[:3])])
    assert inside / len(rounds) == pytest.approx(0.95, abs=0.015)


def test_the_interval_of_the_mean_lies_within_that_of_one_more_run_and_is_narrower_by_the_root_of_n_plus_1():
    mean, (low, high) = mean_interval(FIVE), prediction_interval(FIVE)
    assert high - low == pytest.approx((mean.high - mean.low) * math.sqrt(6))


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.8], [0.1] * 3, [0.1] * 7])
def test_below_three_seeds_and_of_equal_values_there_is_no_interval(values):
    assert prediction_interval(values) is None
    assert mean_interval(values).low is None and mean_interval(values).mean == pytest.approx(statistics.mean(values))


def test_an_interval_follows_scale_and_shift():
    low, high = prediction_interval(THREE)
    moved = prediction_interval([100 * value - 3 for value in THREE])
    assert moved == pytest.approx((100 * low - 3, 100 * high - 3))
