"""Equivalence as two one-sided tests."""

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from study.analysis.equivalence import equivalence
from vicreg.errors import InputError


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
