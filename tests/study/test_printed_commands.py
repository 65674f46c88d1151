"""A command that is printed can be pasted into a shell, whatever the study and the profile are called."""

import shlex

import pytest

from study.analysis.commands import without_seeds
from study.execution.request import Request
from study.execution.session import open_session
from study.paper.page.commands import ablate, more_seeds


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
        ("x --study 'a --seeds 5'", "x --study 'a --seeds 5'", "x --study 'a --seeds 5' --add-seeds 2"),
        ("x --study 'a --seeds 5' --add-seeds 1", "x --study 'a --seeds 5'", "x --study 'a --seeds 5' --add-seeds 3"),
        ("x --study a --first-seed 2 --seeds 1 --set b='c d'", "x --study a --set 'b=c d'",
         "x --study a --first-seed 2 --seeds 3 --set 'b=c d'"),
    ],
)  # fmt: skip
def test_seeds_are_taken_out_and_added_to_as_options_and_not_inside_a_name(command, without, more):
    assert without_seeds(command) == without
    assert more_seeds(command) == more
