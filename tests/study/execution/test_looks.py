"""Which looks were taken at a study is kept, and seeds that are added after one have their price."""

import json
import re
import shlex

import pytest

from study import ablate
from study.execution.looks import current_look, note_look
from study.execution.request import Request
from study.execution.session import open_session
from vicreg.errors import InputError

FIXED = ("seeds: until-decided\nlooks: [3, 5, 8]", "seeds: 3")
DECLARED = ("seeds: until-decided\nlooks: [3, 5, 8]", "seeds: [3, 5, 8]")


@pytest.fixture
def look(workshop):
    """`look(seeds=5)`: the look that a request would take now; `look(seeds=5, taken=True)` takes it."""
    workshop.write(FIXED)

    def of(*, taken=False, **asked):
        opened = open_session(Request(study="settle", **asked))
        plan = opened.plan()
        found = current_look(opened, plan)
        if taken:
            note_look(opened, plan)
        return found

    return of


def kept(project):
    return project.folder / "store" / "looks" / "settle.json"


# ---- a fixed number


def test_a_fresh_study_has_one_look_whatever_its_number_of_seeds(look):
    assert look() is None and look(seeds=9) is None and look(seeds=2) is None


def test_seeds_that_are_added_are_a_second_look_though_nothing_is_kept_of_the_first(look, project):
    assert not kept(project).exists()
    found = look(add_seeds=2)
    assert (found.number, found.planned, found.declared, found.price) == (2, (3, 5), False, 6)


def test_each_look_before_raises_the_price(look):
    look(taken=True)
    assert look(add_seeds=2, taken=True).price == 6
    found = look(add_seeds=5, taken=True)
    assert (found.number, found.planned, found.price) == (3, (3, 5, 8), 12)
    assert look(add_seeds=9).price == 20


def test_a_larger_number_is_an_addition_however_it_is_asked_for(look, workshop):
    look(taken=True)
    assert look(seeds=5).price == 6
    workshop.write((FIXED[0], "seeds: 5"))
    assert look().price == 6


def test_a_smaller_number_is_none_and_what_was_seen_keeps_its_price(look):
    look(seeds=8, taken=True)
    assert look(taken=True) is None  # 3 of the 8
    assert look(seeds=8) is None  # it was seen before the 3


def test_the_same_look_again_costs_no_more(look):
    look(taken=True)
    prices = [look(add_seeds=2, taken=True).price for _ in range(3)]
    assert prices == [6, 6, 6]


def test_other_seeds_or_settings_are_another_study(look):
    look(taken=True)
    assert look(seeds=5, first_seed=10) is None
    assert look(seeds=5, overrides={"pretrain.gamma": 2}) is None
    assert look(seeds=5, overrides={"ablate.margin": 0.5}).price == 6  # the runs are the same


def test_two_seeds_conclude_nothing_so_they_are_no_look(look, workshop):
    workshop.write((FIXED[0], "seeds: 2"))
    look(taken=True)
    assert look(add_seeds=1) is None and look(add_seeds=3) is None


# ---- declared looks


def test_declared_looks_keep_their_price_at_every_look(look, workshop):
    workshop.write(DECLARED)
    for number in (1, 2, 3, 2, 1):
        found = look(look=number, taken=True)
        assert (found.number, found.price, found.declared, found.planned) == (number, 3, True, (3, 5, 8))


def test_looks_that_are_declared_after_others_are_not_declared(look, workshop):
    look(taken=True)
    workshop.write(DECLARED)
    for number in (1, 2, 3):
        found = look(look=number, taken=True)
        assert (found.number, found.price, found.declared) == (number, 6, False)


def test_looks_that_are_added_to_those_declared_are_not_declared(look, workshop):
    workshop.write(DECLARED)
    look(taken=True)
    look(look=2, taken=True)
    workshop.write((DECLARED[0], "seeds: [3, 5, 8, 12]"))
    found = look(look=3)
    assert (found.number, found.price, found.declared) == (3, 12, False)


def test_params_yaml_names_the_look_and_an_option_another(look, workshop, project):
    workshop.write(DECLARED)
    project.set({"ablate.look": 2})
    assert look().number == 2 and look(look=3).number == 3
    tracked = open_session(Request(study="settle")).results_folder
    assert open_session(Request(study="settle", look=2)).results_folder == tracked
    assert open_session(Request(study="settle", look=3)).results_folder != tracked


def test_the_command_of_a_look_asks_for_it_again(workshop):
    workshop.write(DECLARED)
    asked = Request(study="settle", profile="tiny", look=2)
    argv = shlex.split(open_session(asked).command)[3:]
    assert ablate.request_of(ablate.parse_arguments(argv)) == asked


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"look": 4},
            "--look must be at most 3, the number of looks that study 'settle' declares .3, 5, 8 seeds.",
        ),
        ({"add_seeds": 2}, "--add-seeds is for a fixed number of seeds, but study 'settle' declares its looks; use --look"),
        ({"look": 2, "seeds": 5}, "--look runs the seeds of a declared look and --seeds others; give one of the two"),
        ({"look": 2, "add_seeds": 5}, "--look runs the seeds of a declared look and --add-seeds others; give one"),
        ({"look": 2, "overrides": {"ablate.look": 2}}, "--look and --set ablate.look are both given; give one of the two"),
        ({"overrides": {"ablate.budget": 2}}, "--set ablate.budget has no effect: study 'settle' runs a fixed number"),
    ],
)
def test_what_no_look_can_be_is_refused(workshop, asked, said):
    workshop.write(DECLARED)
    with pytest.raises(InputError, match=said):
        open_session(Request(study="settle", **asked))


def test_a_fixed_number_has_no_looks_to_choose_from(look):
    with pytest.raises(InputError, match="--look 2 has no effect: study 'settle' has one number of seeds"):
        look(look=2)
    with pytest.raises(InputError, match="--set ablate.look has no effect: study 'settle' has no looks to choose from"):
        look(overrides={"ablate.look": 2})


# ---- what is kept


def test_what_is_kept_can_be_read_by_a_person(look, project, workshop):
    look(taken=True)
    look(add_seeds=2, taken=True)
    (entries,) = json.loads(kept(project).read_bytes()).values()
    assert entries == [{"planned": [3], "seeds": 3}, {"planned": [5], "seeds": 5}]


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"[]", b'{"torn', b"null", b"\xff\xfe", b'{"KEY": 3}',
        b'{"KEY": [3, {"seeds": true}, {"seeds": 4, "planned": 4}]}',
    ],
)  # fmt: skip
def test_damage_is_passed_over_and_made_good_by_the_next_look(look, project, damage):
    look(taken=True)
    (key,) = json.loads(kept(project).read_bytes())
    kept(project).write_bytes(damage.replace(b"KEY", key.encode()))
    assert look(seeds=5) is None and look(add_seeds=2).price == 6
    look(taken=True)
    assert look(seeds=5).price == 6


def test_a_folder_in_its_place_costs_a_note_and_no_run(look, project):
    kept(project).mkdir(parents=True)
    assert look(taken=True) is None and look(add_seeds=2, taken=True).price == 6


@pytest.mark.slow
def test_a_study_notes_each_look_and_says_its_price(workshop, project, command):
    workshop.write(FIXED)
    project.track("settle")
    _, output, _ = command(ablate.main, "--study", "settle")
    assert "look" not in output.replace("looks", "") and "looks" not in project.summary("settle")
    _, output, _ = command(ablate.main, "--study", "settle", "--add-seeds", "2")
    assert "look 2, not declared before, at 5 seeds: p-values are times 6, intervals at 99.17 %" in output
    assert "the looks before it keep their price" in output
    line = re.search(r"write `(seeds: 5)` in study/studies/settle.yaml", output)[1]
    workshop.write((FIXED[0], line))
    ran = len(workshop.ran)
    command(ablate.main, "--study", "settle")
    assert len(workshop.ran) == ran and project.summary("settle")["looks"] == {
        "look": 2, "planned": [3, 5], "declared": False, "price": 6, "until_decided": False, "stopped": {},
        "note": "",
    }  # fmt: skip


@pytest.mark.slow
def test_the_page_of_declared_looks_names_the_next_look_in_place_of_added_seeds(workshop, project, command):
    workshop.write(DECLARED)
    project.track("settle")
    _, output, _ = command(ablate.main, "--study", "settle")
    assert "look 1 of 3, at 3 seeds: p-values are times 3, intervals at 98.33 %" in output
    power = project.summary("settle")["power"]
    assert re.fullmatch(r"python -m study.ablate --study settle --profile tiny --look [23]", power["command"])
    argv = shlex.split(power["command"])[3:]
    _, output, _ = command(ablate.main, *argv)
    assert f"look {argv[-1]} of 3, at " in output and f"run `dvc exp run -S ablate.look={argv[-1]}`" in output
    project.set({"ablate.look": 3})
    command(ablate.main, "--study", "settle")
    assert project.summary("settle")["power"]["command"] is None and project.summary("settle")["looks"]["look"] == 3
    assert {arm: len(runs) for arm, runs in project.statuses("settle").items()} == dict.fromkeys(workshop.seeds(), 8)
