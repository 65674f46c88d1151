"""How many seeds arms get is a number, looks that rise, or until decided; anything else is refused with what to write."""

import pytest

from study.config.seeds import DEFAULT_LOOKS, Seeds, read_looks, read_seeds
from vicreg.errors import InputError


def test_a_number_is_one_look_and_a_list_declares_several():
    assert read_seeds("seeds", 3) == Seeds(looks=(3,)) and not read_seeds("seeds", 3).declared
    assert read_seeds("seeds", [3, 5, 8, 12]) == Seeds(looks=(3, 5, 8, 12)) and read_seeds("seeds", [3, 5]).declared
    assert read_seeds("seeds", "until-decided") == Seeds(looks=DEFAULT_LOOKS, until_decided=True)


def test_a_look_has_all_seeds_up_to_it():
    seeds = read_seeds("seeds", [3, 5])
    assert seeds.up_to(1) == (0, 1, 2) and seeds.up_to(2) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0, 1, 2], "got [0, 1, 2]; seeds are not listed one by one, so write how many: 3."),
        ([0], "got [0]; seeds are not listed one by one, so write how many: 1."),
        ([4, 0], "so write how many: 2."),
        ([2, 5], "must list looks, numbers of seeds from 3 up, but got [2, 5]"),
        ([], "must list two looks or more, but got []; write a number alone for a single look."),
        ([3], "must list two looks or more, but got [3]"),
        ([5, 3], "must list looks that rise, such as [3, 5, 8, 12], but got [5, 3]."),
        ([3, 5, 5], "must list looks that rise"),
        ([3, -1], "must list a number of seeds for each look"),
        ([3, 4.5], "must list a number of seeds for each look"),
        ([3, True], "must list a number of seeds for each look"),
        ([3, 10**7], "must list a number of seeds for each look"),
        (["until-decided"], "must list a number of seeds for each look"),
        (0, "must be a number of seeds from 1 to 1000000, a list of looks such as [3, 5, 8, 12], or until-decided, but"),
        (-3, "but got -3."),
        (3.0, "but got 3.0."),
        (True, "but got True."),
        (None, "but got None."),
        (10**30, "must be a number of seeds from 1 to 1000000"),
        ("until decided", "or until-decided, but got 'until decided'."),
        ({"looks": [3, 5]}, "but got {'looks': [3, 5]}."),
    ],
)
def test_anything_else_is_refused_with_what_may_stand_there(given, said):
    with pytest.raises(InputError) as refused:
        read_seeds("mine.yaml: seeds", given)
    message = str(refused.value)
    assert message.startswith("mine.yaml: seeds must ") and said in message and len(message) < 200


@pytest.mark.parametrize("given", [3, None, "3, 5"])
def test_looks_are_a_list(given):
    with pytest.raises(InputError, match="looks must list a number of seeds for each look"):
        read_looks("mine.yaml: looks", given)
