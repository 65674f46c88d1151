"""The difference of two accuracies on different test images, held to Welch's interval and to its stated rate."""

import numpy as np
import pytest
from scipy import stats

from study.analysis.sampling_error import sampling_error
from study.analysis.unpaired import unpaired_difference


def test_the_unpaired_interval_is_welchs_where_the_test_sets_are_endless():
    values, others = [0.80, 0.82, 0.85, 0.81], [0.70, 0.78, 0.75]
    interval, close = unpaired_difference(values, others, images=(10**12, 10**12), margin=0.2)
    welch = stats.ttest_ind(values, others, equal_var=False)
    bounds = welch.confidence_interval(0.95)
    assert (interval.low, interval.high, interval.p) == pytest.approx((bounds.low, bounds.high, welch.pvalue), rel=1e-6)
    narrow = welch.confidence_interval(0.90)
    assert (close.low, close.high) == pytest.approx((narrow.low, narrow.high), rel=1e-6) and close.equivalent


def test_with_seeds_that_all_agree_the_interval_is_that_of_two_shares():
    interval, _ = unpaired_difference([0.8] * 5, [0.7] * 5, images=(400, 300), margin=0.01)
    error = (0.8 * 0.2 / 400 + 0.7 * 0.3 / 300) ** 0.5
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * error, rel=0.01)


def test_each_side_has_the_sampling_error_of_its_own_images():
    interval, close = unpaired_difference([0.8] * 5, [0.7] * 5, images=(100, 10**12), margin=0.01)
    half = stats.t.ppf(0.975, 99) * sampling_error(0.8, 100)
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=1e-6) and close.margin == 0.01


def test_two_accuracies_are_equivalent_by_the_margin_that_is_given():
    given = {"values": [0.80, 0.82, 0.85, 0.81], "others": [0.79, 0.83, 0.82], "images": (400, 300)}
    _, close = unpaired_difference(**given, margin=0.01)
    bound = max(-close.low, close.high)
    for margin, equivalent in ((1.001 * bound, True), (0.999 * bound, False)):
        assert unpaired_difference(**given, margin=margin)[1].equivalent == equivalent


def test_the_unpaired_interval_covers_at_its_stated_rate():
    """Two accuracies that are truly equal, of four seeds on 300 images each: the interval holds 0 in 95 % of studies."""
    rng, covered, studies = np.random.default_rng(0), 0, 2000
    for _ in range(studies):
        sides = []
        for _ in range(2):
            easy = rng.random(300)  # an image is got right by a network where the network is better than it is hard
            sides.append([float((easy < 0.8 + rng.normal(0, 0.02)).mean()) for _ in range(4)])
        interval, _ = unpaired_difference(*sides, images=(300, 300), margin=0.01)
        covered += interval.low <= 0 <= interval.high
    assert 0.93 <= covered / studies <= 0.98


def test_of_a_single_test_image_nothing_is_concluded():
    interval, close = unpaired_difference([0.8, 0.9, 1.0], [1.0, 0.0, 1.0], images=(400, 1), margin=0.01)
    assert interval.low is None and interval.p is None and not close.equivalent
