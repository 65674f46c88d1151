"""What is asked for is checked when it is stated, and seeds are replaced or added to."""

import pytest

from study.execution.request import Request
from vicreg.errors import InputError


@pytest.mark.parametrize("other", [{"seeds": 2}, {"seeds": 2, "first_seed": 1}])
def test_seeds_cannot_be_replaced_and_added_to_at_once(other):
    with pytest.raises(InputError, match="--add-seeds adds to the study's seeds and --seeds replaces them"):
        Request(study="tiny", add_seeds=1, **other)


@pytest.mark.parametrize(
    ("asked", "seeds"),
    [({}, None), ({"seeds": 2}, (0, 1)), ({"seeds": 2, "first_seed": 3}, (3, 4))],
)
def test_a_number_of_seeds_stands_in_place_of_the_configured_ones(asked, seeds):
    assert Request(study="tiny", **asked).replaced_seeds() == seeds


@pytest.mark.parametrize("first", [0, 5])
def test_a_first_seed_without_a_number_of_seeds_would_have_no_effect(first):
    with pytest.raises(InputError, match="--first-seed is the first of --seeds, which is not given; add --seeds N"):
        Request(study="tiny", first_seed=first)


@pytest.mark.parametrize(("option", "value"), [("workers", 2), ("device", "cpu"), ("seeds", 3), ("look", 2)])
def test_what_is_asked_for_by_an_option_and_by_set_is_refused_for_one_would_have_no_effect(option, value):
    with pytest.raises(InputError, match=f"--{option} and --set ablate.{option} are both given; give one of the two"):
        Request(study="tiny", overrides={f"ablate.{option}": value}, **{option: value})


def test_equal_requests_are_equal_whoever_makes_them():
    assert Request(study="tiny") == Request(study="tiny", overrides={}, arms=()) != Request(study="tiny", arms=("a",))
