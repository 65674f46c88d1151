"""The smallest detectable difference and the seeds needed, against integration and statsmodels."""

import math

import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from study.analysis.power import seeds_needed, smallest_detectable, spread_interval
from vicreg.errors import InputError


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
def test_the_smallest_detectable_difference_has_the_power_that_integration_over_the_spread_gives(n):
    shift = smallest_detectable(0.7, n, alpha=0.01, power=0.9) * math.sqrt(n) / 0.7
    critical = stats.t.ppf(0.995, n - 1)

    def rejected(ratio):  # the test rejects where the mean is beyond critical errors, estimated at `ratio` of the true one
        beyond = stats.norm.sf(critical * ratio - shift) + stats.norm.sf(critical * ratio + shift)
        return beyond * stats.chi.pdf(ratio, n - 1, scale=1 / math.sqrt(n - 1))

    assert integrate.quad(rejected, 0, 10, points=[0.1, 1])[0] == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("n", [5, 20])
def test_the_smallest_detectable_difference_is_the_one_that_statsmodels_solves_for(n):
    assert smallest_detectable(1, n) == pytest.approx(TTestPower().solve_power(None, n, 0.05, 0.8), rel=1e-6)


def test_the_smallest_detectable_difference_falls_with_seeds_and_grows_with_the_spread():
    by_seeds = [smallest_detectable(1, n) for n in (2, 3, 5, 10, 100)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert by_seeds[-1] == pytest.approx((1.96 + 0.8416) / 10, rel=0.02)  # the normal test's, which many seeds approach
    assert smallest_detectable(3, 5) == pytest.approx(3 * smallest_detectable(1, 5))
    assert smallest_detectable(1, 1) is None
    assert smallest_detectable(0, 4) == 0


@pytest.mark.parametrize("n", [3, 4, 10, 57])
def test_seeds_needed_is_the_inverse_of_the_smallest_detectable_difference(n):
    difference = smallest_detectable(2.0, n)
    assert seeds_needed(2.0, 1.0001 * difference) == n
    assert seeds_needed(2.0, -0.9999 * difference) == n + 1


def test_three_seeds_are_the_fewest_and_a_difference_of_nothing_is_out_of_reach():
    assert seeds_needed(1, 1e6) == 3
    assert seeds_needed(0, 0.1) == 3
    assert seeds_needed(1, 0) is None
    assert seeds_needed(1, 0.05) is None and seeds_needed(1, 0.05, most=4000) == 3142  # 7.849 / 0.05^2, and 2


@pytest.mark.parametrize(("spread", "alpha", "power"), [(-1, 0.05, 0.8), (math.nan, 0.05, 0.8), (1, 0.5, 0.4), (1, 0.05, 1)])
def test_a_power_that_no_test_has_is_refused(spread, alpha, power):
    with pytest.raises(InputError):
        smallest_detectable(spread, 3, alpha=alpha, power=power)
    with pytest.raises(InputError):
        seeds_needed(spread, 1, alpha=alpha, power=power)


def test_degrees_of_freedom_that_other_arms_lend_make_less_detectable():
    own, lent = smallest_detectable(1, 3), smallest_detectable(1, 3, freedom=4.4)
    critical, shift = stats.t.ppf(0.975, 4.4), lent * math.sqrt(3)
    assert stats.nct.sf(critical, 4.4, [shift, -shift]).sum() == pytest.approx(0.8, abs=1e-6) and lent < own
    assert seeds_needed(1, 1.0001 * lent, freedom=lambda n: n + 1.4) == 3 < seeds_needed(1, 1.0001 * lent)


def test_the_interval_of_a_spread_is_that_of_chi_square():
    low, high = spread_interval(2.0, 8)
    assert 8 * 4 / low**2 == pytest.approx(stats.chi2.ppf(0.975, 8)) and 8 * 4 / high**2 == pytest.approx(
        stats.chi2.ppf(0.025, 8)
    )
    assert spread_interval(1, 2) == pytest.approx((0.5207, 6.285), abs=1e-3)
