"""A session says which seeds it runs, how to ask for it again, and where its results lie."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from study.ablate import parse_arguments, request_of
from study.config.places import CUSTOM_RESULTS, STUDY_RESULTS
from study.execution.request import Request
from study.execution.session import open_session
from vicreg.errors import InputError

ASKED = [
    ["--study", "tiny"],
    ["--study", "tiny", "--profile", "tiny", "--seeds", "2", "--first-seed", "3"],
    ["--study", "tiny", "--add-seeds", "2", "--device", "cpu"],
    ["--study", "tiny", "--set", "pretrain.lambda=1e-3", "--set", "pretrain.expander=[16, 8]"],
    ["--study", "quest", "--trials", "7", "--set", "pretrain.weights=null"],
]


@pytest.mark.parametrize("argv", ASKED)
def test_the_command_of_a_session_asks_for_the_same_again(project, argv):
    request = request_of(parse_arguments(argv))
    again = request_of(parse_arguments(shlex.split(open_session(request).command)[3:]))
    assert again == dataclasses.replace(request, profile="tiny")


@pytest.mark.parametrize(
    ("asked", "seeds"),
    [({}, (0, 1, 2)), ({"seeds": 2}, (0, 1)), ({"seeds": 2, "first_seed": 5}, (5, 6)), ({"add_seeds": 2}, (0, 1, 2, 3, 4))],
)
def test_seeds_are_the_configured_ones_or_replace_them_or_follow_the_largest(project, asked, seeds):
    project.set({"ablate.seeds": 3})
    assert open_session(Request(study="tiny", **asked)).seeds == seeds


def test_seeds_of_the_studys_file_lie_over_the_configured_ones(project):
    path = project.studies / "tiny.yaml"
    path.write_text(path.read_text() + "\nseeds: 2\n")
    assert open_session(Request(study="tiny")).seeds == (0, 1)


def test_only_the_study_as_params_has_it_has_the_folder_that_dvc_tracks(project):
    assert open_session(Request(study="tiny")).results_folder == STUDY_RESULTS / "tiny"
    assert open_session(Request(study="tiny", workers=2)).results_folder == STUDY_RESULTS / "tiny"  # decides no result
    others = [
        {"seeds": 1}, {"add_seeds": 1}, {"device": "cpu"}, {"overrides": {"pretrain.gamma": 2}}, {"store": Path("else")},
        {"seeds": 1, "first_seed": 1}, {"profile": "digits"},
    ]  # fmt: skip
    folders = [open_session(Request(study="tiny", **one)).results_folder for one in others]
    assert len(set(folders)) == len(others)
    assert all(folder.parent == CUSTOM_RESULTS and folder.name.startswith("tiny-") for folder in folders)


def test_an_end_of_a_searchs_range_that_no_run_can_have_is_refused_before_the_first_trial(project):
    path = project.studies / "quest.yaml"
    path.write_text(path.read_text().replace("{low: 1, high: 1000, log: true}", "{low: -5, high: 1000}"))
    with pytest.raises(InputError, match="search.parameters of study 'quest': pretrain.mu must be .* but got -5"):
        open_session(Request(study="quest"))
