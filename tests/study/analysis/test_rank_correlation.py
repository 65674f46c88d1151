"""Rank correlations counted by hand, and the width of their intervals."""

import math

import numpy as np
import pytest

from study.analysis.rank_correlation import rank_correlations
from vicreg.errors import InputError


def test_rank_correlations_are_those_counted_by_hand():
    rho, tau = rank_correlations([1, 2, 3, 4, 5], [2, 1, 4, 3, 5])
    assert rho.value == pytest.approx(1 - 6 * 4 / (5 * 24))
    assert tau.value == pytest.approx((8 - 2) / 10)
    z, half = math.atanh(0.8), 1.959964 * math.sqrt((1 + 0.32) / 2)
    assert (rho.low, rho.high) == pytest.approx((math.tanh(z - half), math.tanh(z + half)), rel=1e-6)
    half = 1.959964 * math.sqrt(0.437)
    assert (tau.low, tau.high) == pytest.approx((math.tanh(math.atanh(0.6) - half), math.tanh(math.atanh(0.6) + half)))


def test_only_ranks_matter_and_the_sign_turns_with_one_of_them():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 12))
    there = rank_correlations(x.tolist(), y.tolist())
    assert rank_correlations(np.exp(x).tolist(), (y**3).tolist()) == there
    for one, other in zip(there, rank_correlations((-x).tolist(), y.tolist()), strict=True):
        assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_the_width_is_that_of_the_independent_units():
    rng = np.random.default_rng(0)
    arms = rng.normal(size=(2, 10))
    x, y = (np.repeat(values, 3) + 1e-6 * rng.normal(size=30) for values in arms)
    naive, honest = (rank_correlations(x.tolist(), y.tolist(), independent=units)[0] for units in (None, 10))
    assert (naive.n, naive.value) == (honest.n, honest.value) == (30, naive.value)
    half = math.atanh(honest.high) - math.atanh(honest.value)
    assert half == pytest.approx(math.sqrt(27 / 7) * (math.atanh(naive.high) - math.atanh(naive.value)))


def test_a_perfect_order_is_no_certainty():
    for one in rank_correlations([1, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60]):
        assert one.value == pytest.approx(1) and one.high == pytest.approx(1)
        assert 0 < one.low < 0.9
    for one in rank_correlations([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]):
        assert one.low == pytest.approx(-1) and -0.9 < one.high < 0


@pytest.mark.parametrize("sign", [1, -1])
def test_at_a_perfect_order_the_inner_bound_is_that_of_two_neighbours_exchanged(sign):
    rho, tau = rank_correlations([1, 2, 3, 4, 5, 6], [sign * value for value in (1, 2, 3, 4, 5, 6)])
    half = 1.959964 * math.sqrt(1.5 / 3)
    inner = math.tanh(math.atanh(1 - 6 * 2 / (6 * 35)) - half)  # two ranks differ by 1
    assert (rho.low if sign > 0 else -rho.high) == pytest.approx(inner, rel=1e-6)
    half = 1.959964 * math.sqrt(0.437 / 2)
    inner = math.tanh(math.atanh((14 - 1) / 15) - half)  # one pair of 15 is discordant
    assert (tau.low if sign > 0 else -tau.high) == pytest.approx(inner, rel=1e-6)


def test_fewer_than_five_units_have_no_interval_and_a_constant_no_correlation():
    for one in rank_correlations([1, 2, 3, 4], [1, 3, 2, 4]):
        assert one.value is not None and (one.low, one.high) == (None, None)
    for one in rank_correlations([1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 5, 6], independent=4):
        assert (one.low, one.high) == (None, None)
    for one in (*rank_correlations([1, 2, 3, 4, 5], [7, 7, 7, 7, 7]), *rank_correlations([], [])):
        assert (one.value, one.low, one.high) == (None, None, None)


@pytest.mark.parametrize(
    ("x", "y", "independent"), [([1, 2], [1], None), ([1, math.nan], [1, 2], None), ([1, 2], [2, 1], 3), ([1, 2], [2, 1], 0)]
)
def test_points_that_cannot_be_ranked_are_refused(x, y, independent):
    with pytest.raises(InputError):
        rank_correlations(x, y, independent=independent)
