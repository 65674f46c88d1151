"""A command that is printed can be pasted into a shell, whatever the study and the profile are called."""

import shlex
from dataclasses import replace

import pytest

from study import ablate as ablate_command
from study.analysis.commands import command_of, next_look, without_seeds
from study.execution.request import Request
from study.execution.session import open_session
from study.paper.page.commands import ablate, more_seeds
from study.results.findings import Looks


def test_a_study_with_a_space_in_its_name_has_a_command_that_runs_it(project):
    (project.studies / "tiny.yaml").rename(project.studies / "my tiny.yaml")
    command = open_session(Request(study="my tiny")).command
    assert shlex.split(command)[:5] == ["python", "-m", "study.ablate", "--study", "my tiny"]


def test_a_study_and_a_profile_with_spaces_are_quoted_on_the_page_of_the_paper():
    command = ablate("my study", "my profile")
    assert command == "python -m study.ablate --study 'my study' --profile 'my profile'"


@pytest.mark.parametrize(
    ("command", "without", "more"),
    [
        ("x --study a --seeds 3", "x --study a", "x --study a --seeds 5"),
        ("x --study a --look 2", "x --study a", "x --study a --look 2 --add-seeds 2"),
        ("x --study 'a --seeds 5'", "x --study 'a --seeds 5'", "x --study 'a --seeds 5' --add-seeds 2"),
        ("x --study 'a --seeds 5' --add-seeds 1", "x --study 'a --seeds 5'", "x --study 'a --seeds 5' --add-seeds 3"),
        ("x --study a --first-seed 2 --seeds 1 --set b='c d'", "x --study a --set 'b=c d'",
         "x --study a --first-seed 2 --seeds 3 --set 'b=c d'"),
    ],
)  # fmt: skip
def test_seeds_are_taken_out_and_added_to_as_options_and_not_inside_a_name(command, without, more):
    assert without_seeds(command) == without
    assert more_seeds(command) == more


@pytest.mark.parametrize("overrides", [{"ablate.seeds": 2}, {"ablate.seeds": [3, 5], "ablate.look": 2}])
def test_the_command_of_one_run_is_accepted_where_the_study_ran_with_seeds_that_were_set(project, overrides):
    session = open_session(Request(study="tiny", overrides=overrides))
    cell = next(cell for cell in session.plan().cells if cell.arm == "nu-2")
    command = command_of(session.command, session.plan(), [cell], alone=True)
    again = ablate_command.request_of(ablate_command.parse_arguments(shlex.split(command)[3:]))
    (own,) = [one for one in open_session(again).plan().cells if one.arm == "nu-2"]
    assert own.run.digest == cell.run.digest and again.overrides == {}


LOOKS = Looks(look=1, planned=(3, 5, 8, 12), declared=True, price=4)


@pytest.mark.parametrize(
    ("looks", "needed", "printed"),
    [
        (LOOKS, None, "x --study a --look 2"),
        (LOOKS, 4, "x --study a --look 2"),
        (LOOKS, 6, "x --study a --look 3"),
        (LOOKS, 100, "x --study a --look 4"),
        (replace(LOOKS, look=4), 100, None),
        (replace(LOOKS, until_decided=True), 6, None),
    ],
)
def test_declared_looks_are_asked_for_by_number(looks, needed, printed):
    assert next_look("x --study a", looks, needed=needed) == printed


def test_the_page_of_the_paper_asks_for_the_next_look_where_there_is_one():
    assert more_seeds("x --study a --look 1", LOOKS) == "x --study a --look 2"
    assert more_seeds("x --study a --look 4", replace(LOOKS, look=4)) == "x --study a --look 4"
    undeclared = replace(LOOKS, planned=(3, 5), declared=False)
    assert more_seeds("x --study a --add-seeds 2", undeclared) == "x --study a --add-seeds 4"
