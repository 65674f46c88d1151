"""Holm's adjustment, against its definition and statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from study.analysis.multiple_testing import holm
from vicreg.errors import InputError


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
