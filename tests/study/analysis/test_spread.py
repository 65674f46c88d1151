"""How much runs spread over seeds and wander from epoch to epoch."""

import math
import random
import statistics

import pytest
from scipy import stats

from study.analysis.spread import last_epochs, spread_ratio, wander
from vicreg.errors import InputError

THREE = [0.70, 0.71, 0.75]
FIVE = [0.62, 0.64, 0.61, 0.69, 0.66]


def test_a_ratio_of_spreads_has_the_interval_that_the_f_distribution_gives_from_the_other_side():
    ours = spread_ratio(FIVE, THREE)
    variances = statistics.variance(FIVE) / statistics.variance(THREE)
    # F of the other order bounds the ratio itself: var1/var2 F_{q; m-1, n-1}
    low, high = (math.sqrt(variances * stats.f.ppf(q, 2, 4)) for q in (0.025, 0.975))
    assert (ours.low, ours.high) == pytest.approx((low, high))
    assert ours.mean == pytest.approx(math.sqrt(variances)) and ours.low < ours.mean < ours.high


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    draw = random.Random(1)
    found = [spread_ratio([draw.gauss(0, 3) for _ in range(6)], [draw.gauss(9, 1) for _ in range(4)]) for _ in range(2000)]
    assert sum(one.low <= 3 <= one.high for one in found) / len(found) == pytest.approx(0.95, abs=0.015)
    assert sum(one.low > 3 for one in found) == pytest.approx(sum(one.high < 3 for one in found), abs=35)


def test_of_three_seeds_each_the_interval_reaches_over_a_factor_of_39():
    ours = spread_ratio(THREE, [1.0, 2.0, 4.0])
    assert ours.high / ours.low == pytest.approx(39.0)


def test_the_other_way_round_a_ratio_is_its_reciprocal_and_as_likely():
    ours, other = spread_ratio(FIVE, THREE), spread_ratio(THREE, FIVE)
    assert (other.low, other.mean, other.high) == pytest.approx((1 / ours.high, 1 / ours.mean, 1 / ours.low))
    assert other.p == pytest.approx(ours.p)


def test_p_and_the_interval_say_the_same():
    wide, narrow = [0.0, 10.0, 20.0, 35.0, 50.0], [1.0, 1.1, 1.2, 1.3, 1.15]
    told, not_told = spread_ratio(wide, narrow), spread_ratio(FIVE, THREE)
    assert told.low > 1 and told.p < 0.05
    assert not_told.low < 1 < not_told.high and not_told.p > 0.05
    assert spread_ratio(FIVE, [-value for value in FIVE]).p == pytest.approx(1)


def test_a_ratio_of_spreads_does_not_change_with_a_common_unit_or_with_either_level():
    ours = spread_ratio(FIVE, THREE)
    moved = spread_ratio([7 + 10 * value for value in FIVE], [10 * value for value in THREE])
    assert (moved.low, moved.mean, moved.high) == pytest.approx((ours.low, ours.mean, ours.high))


@pytest.mark.parametrize(
    ("values", "reference"), [([], THREE), (THREE, []), (THREE, [0.1, 0.2]), ([0.1] * 3, THREE), (THREE, [0.1] * 3)]
)
def test_where_a_spread_is_not_known_or_none_there_is_no_ratio(values, reference):
    assert spread_ratio(values, reference) is None


def test_a_zigzag_of_one_unit_wanders_by_its_step_over_the_root_of_two():
    assert wander([0.0, 1.0, 0.0, 1.0]) == pytest.approx(1 / math.sqrt(2))


def test_of_white_noise_the_squared_wander_is_its_variance_in_expectation():
    draw = random.Random(2)
    squares = [wander([draw.gauss(3, 0.5) for _ in range(10)]) ** 2 for _ in range(4000)]
    assert statistics.mean(squares) == pytest.approx(0.25, rel=0.02)


def test_a_trend_that_is_slow_beside_the_noise_hardly_adds_to_it_where_it_doubles_the_spread():
    draw = random.Random(3)
    noise = [draw.gauss(0, 1) for _ in range(200)]
    risen = [value + 0.02 * epoch for epoch, value in enumerate(noise)]
    assert wander(risen) == pytest.approx(wander(noise), rel=0.01)
    assert statistics.stdev(risen) > 1.4 * statistics.stdev(noise)


def test_wander_has_the_unit_of_the_series_and_no_level():
    assert wander([5 - 3 * value for value in FIVE]) == pytest.approx(3 * wander(FIVE))


def test_one_value_does_not_wander():
    with pytest.raises(InputError, match="a wander needs at least 2 values, but got 1"):
        wander([0.3])


@pytest.mark.parametrize(("epochs", "last"), [(100, 10), (95, 10), (20, 5), (3, 3)])
def test_the_last_epochs_are_a_tenth_and_at_least_five(epochs, last):
    assert last_epochs(list(range(epochs))) == list(range(epochs - last, epochs))


def test_epochs_at_which_nothing_was_logged_are_left_out():
    assert last_epochs([0.1, None, None, None, None, 0.2, None, None, 0.3, None]) == [0.2, 0.3]
