"""Plans and summaries of made-up results, for every test of the numbers that reports show."""

import pytest

from tests.study.made_up import Plans


@pytest.fixture(scope="module")
def plans(tiny_config, digits):
    return Plans(tiny_config, digits)


@pytest.fixture(scope="module")
def summary_of(plans):
    return plans.summary
