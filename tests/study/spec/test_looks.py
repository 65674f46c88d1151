"""Looks at results: which is run, and what each costs."""

import itertools
from fractions import Fraction

import pytest

from study.config.seeds import Seeds
from study.spec.looks import first_seeds, look_at, look_of, price_of, seeds_of
from tests.study.made_up import study
from vicreg.errors import InputError

LOOKS = Seeds(looks=(3, 5, 8, 12))
STOPS = Seeds(looks=(3, 5, 8, 12), until_decided=True)


# ---- which look is run


def test_the_studys_own_seeds_lie_over_the_configs(tiny_config):
    config = tiny_config({"ablate.seeds": 2})
    assert seeds_of(study(seeds=LOOKS), config) == LOOKS and seeds_of(study(), config) == Seeds(looks=(2,))


def test_the_configs_look_is_run_where_none_is_asked_for(tiny_config):
    config = tiny_config({"ablate.seeds": [3, 5, 8], "ablate.look": 2})
    assert look_of(study(), config) == 2 and look_of(study(), config, 3) == 3
    assert first_seeds(study(), config) == (0, 1, 2, 3, 4)


def test_a_fixed_number_has_one_look_whatever_the_config_names(tiny_config):
    config = tiny_config({"ablate.look": 3})
    assert look_of(study(seeds=Seeds(looks=(4,))), config) == 1 and look_of(study(seeds=STOPS), config) == 1


@pytest.mark.parametrize(
    ("seeds", "settings", "asked", "said"),
    [
        (Seeds(looks=(3,)), {}, 2, "--look 2 has no effect: study 'mine' has one number of seeds; leave it out, or declare"),
        (STOPS, {}, 1, "--look 1 has no effect: study 'mine' goes through its looks by itself"),
        (LOOKS, {}, 5, "--look must be at most 4, the number of looks that study 'mine' declares .3, 5, 8, 12 seeds., but"),
        (LOOKS, {"ablate.look": 9}, None, "ablate.look must be at most 4, the number of looks .* but got 9"),
    ],
)
def test_a_look_there_is_not_is_refused(tiny_config, seeds, settings, asked, said):
    with pytest.raises(InputError, match=said):
        look_of(study(seeds=seeds), tiny_config(settings), asked)


@pytest.mark.parametrize("mode", ["search", "path"])
def test_arms_that_depend_on_one_another_do_not_stop(tiny_config, mode):
    asked = study(mode=mode, path="other" if mode == "path" else None)
    with pytest.raises(InputError, match=f"until-decided is for mode arms or grid, but study 'mine' has mode {mode}"):
        seeds_of(asked, tiny_config({"ablate.seeds": "until-decided"}))


def test_the_studys_budget_lies_over_the_configs(tiny_config):
    config = tiny_config({"ablate.seeds": "until-decided", "ablate.budget": 50})
    assert seeds_of(study(), config).budget == 50 == seeds_of(study(seeds=STOPS), config).budget
    assert seeds_of(study(seeds=Seeds(looks=(3, 5), until_decided=True, budget=9)), config).budget == 9


# ---- what it costs


def test_the_first_look_of_a_fixed_number_is_free():
    assert look_at((3,), 1) is None and price_of((3,), earlier=0) == 1


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_declared_looks_cost_their_number_each(number):
    look = look_at((3, 5, 8, 12), number)
    assert (look.number, look.price, look.declared, look.planned) == (number, 4, True, (3, 5, 8, 12))


@pytest.mark.parametrize(("earlier", "price"), [((3,), 6), ((3, 4), 12), ((3, 4, 5), 20)])
def test_a_look_that_was_not_declared_costs_l_times_l_plus_one(earlier, price):
    look = look_at((9,), 1, earlier=earlier)
    assert (look.number, look.price, look.declared) == (len(earlier) + 1, price, False)
    assert look.planned == (*earlier, 9)


def test_looks_that_are_declared_after_others_share_what_these_left():
    look = look_at((3, 5, 8, 12), 2, earlier=(3, 4))
    assert (look.number, look.planned, look.declared, look.price) == (3, (3, 4, 5, 8, 12), False, 12)


def test_seeds_too_few_to_conclude_from_are_no_look():
    assert look_at((3,), 1, earlier=(1, 2)) is None and look_at((3, 5), 1, earlier=(2,)).declared


@pytest.mark.parametrize("before", range(1, 6))
def test_later_looks_take_no_more_than_the_share_of_the_error_that_is_left(before):
    # of 1/6, 1/12, 1/20 ..., which come to 1/2, k looks leave 1 / (k + 1)
    left = Fraction(1, 2) - sum(Fraction(1, price_of((9,), earlier=k)) for k in range(1, before))
    assert left == Fraction(1, before + 1)
    for looks in ((5, 8), (5, 8, 12, 20)):
        assert sum(itertools.repeat(Fraction(1, price_of(looks, earlier=before)), len(looks))) == left
    assert sum(Fraction(1, price_of((9,), earlier=k)) for k in range(before, 400)) < left
