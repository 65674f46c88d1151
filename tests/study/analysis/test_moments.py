"""Means, standard deviations and pooled spreads of the textbook."""

import math

import numpy as np
import pytest

from study.analysis.intervals import paired_difference
from study.analysis.moments import mean, pooled_spread, standard_deviation
from vicreg.errors import InputError


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


def test_the_pooled_spread_weighs_groups_by_their_degrees_of_freedom_about_their_own_means():
    assert pooled_spread([[1, 3], [100, 101, 102], [7], []]) == pytest.approx(math.sqrt((2 + 2) / 3))
    assert pooled_spread([[1], [2]]) is None
    assert pooled_spread([]) is None
