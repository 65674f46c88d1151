"""Schedules that train nothing, and settings that no run survives, are outcomes like any others."""

import json

import pytest

from study import ablate

NOTHING = ["--set", "pretrain.epochs=0", "--set", "ablate.workers=null"]


@pytest.mark.slow
def test_a_study_that_trains_nothing_is_planned_and_run(project, inline, trained, command):
    status, output, errors = command(ablate.main, "--study", "tiny", *NOTHING, "--dry-run")
    assert (status, errors) == (0, "") and "nothing is left to train" in output
    status, output, errors = command(ablate.main, "--study", "tiny", *NOTHING, "--out", "results/nothing")
    assert (status, errors) == (0, "") and "Run at least three seeds: " in output
    summary = json.loads((project.folder / "results" / "nothing" / "study.json").read_bytes())
    assert len({run["digest"] for arm in summary["arms"] for run in arm["runs"]}) == 1, "they are one untrained network"
    status, output, _ = command(ablate.main, "--study", "tiny", *NOTHING, "--status")
    assert status == 0 and "3 of 3 runs are finished" in output


def test_a_dry_run_of_settings_that_diverge_says_what_they_cost(project, command):
    status, output, errors = command(ablate.main, "--study", "rough", "--dry-run")
    assert (status, errors) == (0, "") and "wild: 1 run, 1 to run, " in output


@pytest.mark.slow
def test_a_study_in_which_all_runs_diverge_says_so(project, inline, command):
    wild = ["--set", "pretrain.base_lr=1e30", "--set", "pretrain.optimizer=sgd"]
    status, output, _ = command(ablate.main, "--study", "tiny", *wild)
    assert status == 1 and "Lower the learning rate: every run diverged, so there is no answer." in output


@pytest.mark.parametrize("asked", [[], ["--dry-run"]])
def test_a_number_that_float32_cannot_hold_is_refused_before_any_run(project, trained, command, asked):
    status, _, errors = command(ablate.main, "--study", "tiny", "--set", "pretrain.base_lr=1e300", *asked)
    assert (status, trained()) == (2, [])
    assert errors == "error: pretrain.base_lr must be at most 3.4e38, float32's largest, but got 1e+300; lower it.\n"


@pytest.mark.parametrize("asked", [pytest.param([], marks=pytest.mark.slow), ["--dry-run"]])
def test_too_little_memory_is_an_outcome(project, command, asked):
    status, output, errors = command(ablate.main, "--study", "tiny", "--set", "pretrain.expander=[1000000, 1000000]", *asked)
    assert errors == ""
    if asked:
        assert status == 0 and "nu-1: 1 run, 1 to run, 1 of them with too little memory" in output
    else:
        assert (
            status == 1 and "Take a smaller batch or network: every run ran out of memory, so there is no answer." in output
        )
