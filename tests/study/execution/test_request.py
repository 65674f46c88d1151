"""What is asked for is checked when it is stated, and seeds are replaced or added to."""

import pytest

from study.execution.request import Request
from vicreg.errors import InputError


@pytest.mark.parametrize("other", [{"seeds": 2}, {"first_seed": 1}, {"seeds": 2, "first_seed": 1}])
def test_seeds_cannot_be_replaced_and_added_to_at_once(other):
    with pytest.raises(InputError, match="--add-seeds adds to the study's seeds and --seeds replaces them"):
        Request(study="tiny", add_seeds=1, **other)


@pytest.mark.parametrize(
    ("asked", "seeds"),
    [({}, None), ({"first_seed": 3}, None), ({"seeds": 2}, (0, 1)), ({"seeds": 2, "first_seed": 3}, (3, 4))],
)
def test_a_number_of_seeds_stands_in_place_of_the_configured_ones(asked, seeds):
    assert Request(study="tiny", **asked).replaced_seeds() == seeds


def test_equal_requests_are_equal_whoever_makes_them():
    assert Request(study="tiny") == Request(study="tiny", overrides={}, arms=()) != Request(study="tiny", arms=("a",))
