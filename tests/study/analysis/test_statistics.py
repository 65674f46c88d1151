"""Intervals that can be computed by hand, and that cover as often as they say."""

import math

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from study.analysis.effect_sizes import effect_size, probability_better
from study.analysis.equivalence import equivalence
from study.analysis.intervals import paired_difference, ratio_interval, wilson
from study.analysis.moments import mean, pooled_spread, standard_deviation
from study.analysis.multiple_testing import holm
from study.analysis.power import seeds_needed, smallest_detectable
from study.analysis.rank_correlation import rank_correlations
from study.analysis.sampling_error import paired_sampling_error, sampling_error
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


# ---- Holm


def test_holm_multiplies_by_the_number_of_hypotheses_that_are_left():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])  # 3 x .01; 2 x .03; .04, raised to the one before
    assert holm([0.5, 0.6]) == [1, 1]
    assert holm([]) == []


def test_holm_is_statsmodels_holm():
    p_values = np.random.default_rng(0).uniform(0, 0.2, 10).tolist()
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_never_lowers_a_p_value_and_keeps_their_order():
    p_values = np.random.default_rng(1).uniform(0, 1, 20).tolist()
    adjusted = holm(p_values)
    assert all(p <= new <= 1 for p, new in zip(p_values, adjusted, strict=True))
    assert sorted(adjusted) == [adjusted[place] for place in np.argsort(p_values)]


def test_what_was_not_tested_is_not_of_the_family():
    assert holm([None, 0.01, None, 0.2]) == [None, 0.02, None, 0.2]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(InputError, match="between 0 and 1"):
        holm([0.5, p])


# ---- Effect size and probability


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


# ---- Power


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


def test_the_pooled_spread_weighs_groups_by_their_degrees_of_freedom_about_their_own_means():
    assert pooled_spread([[1, 3], [100, 101, 102], [7], []]) == pytest.approx(math.sqrt((2 + 2) / 3))
    assert pooled_spread([[1], [2]]) is None
    assert pooled_spread([]) is None


# ---- Shares


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


# ---- Rank correlations


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


# ---- Equivalence and ratios


def test_equivalence_is_two_one_sided_t_tests():
    values, reference = [1.0, 2.5, 3.2, 4.1, 5.3], [1.1, 2.3, 3.1, 4.4, 5.2]
    found = equivalence(values, reference, margin=0.3)
    p, *_ = ttost_paired(np.array(values), np.array(reference), -0.3, 0.3)
    assert found.p == pytest.approx(p) and found.equivalent is True
    t_95 = 2.131846786326649  # of 4 degrees of freedom
    half = t_95 * np.std([-0.1, 0.2, 0.1, -0.3, 0.1], ddof=1) / math.sqrt(5)
    assert (found.mean, found.low, found.high) == pytest.approx((0, -half, half), abs=1e-9)


def test_the_largest_difference_not_ruled_out_is_the_margin_at_which_the_answer_turns():
    values, reference = [1.0, 2.5, 3.2, 4.1], [0.9, 2.0, 3.1, 4.4]
    largest = equivalence(values, reference, margin=1).largest
    just, not_quite = (equivalence(values, reference, margin=factor * largest) for factor in (1.000001, 0.999999))
    assert (just.equivalent, not_quite.equivalent) == (True, False)
    assert just.p < 0.05 < not_quite.p
    assert (just.n, just.margin) == (4, 1.000001 * largest)


def test_two_seeds_are_neither_equivalent_nor_not():
    found = equivalence([1, 2], [1, 2], margin=1)
    assert (found.n, found.mean, found.low, found.p, found.equivalent, found.largest) == (2, 0, None, None, None, None)


def test_equal_differences_are_neither_equivalent_nor_not():
    assert equivalence([3, 4, 5], [1, 2, 3], margin=5).equivalent is None


@pytest.mark.parametrize(("margin", "alpha"), [(0, 0.05), (-1, 0.05), (math.nan, 0.05), (1, 0), (1, 0.5)])
def test_a_margin_or_level_that_means_nothing_is_refused(margin, alpha):
    with pytest.raises(InputError):
        equivalence([1, 2, 3], [1, 2, 3], margin=margin, alpha=alpha)


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
