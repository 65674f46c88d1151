"""Searches, and what Optuna keeps of any study."""

import shlex

import pytest

from study import ablate


def as_values(trials):
    return [(trial.number, trial.state.name, trial.value, trial.params, trial.user_attrs) for trial in trials]


def test_a_search_proposes_runs_prunes_those_that_collapse_and_runs_the_best_at_every_seed(undisturbed):
    summary = undisturbed.summary("quest")
    found = {arm["name"]: (arm["runs"][0]["status"], arm["settings"]) for arm in summary["arms"]}
    assert list(found) == ["published", "best", "trial-000", "trial-001", "trial-002", "trial-003", "untrained"]
    states = [found[f"trial-{number:03d}"][0] for number in range(4)]
    assert set(states) == {"finished", "pruned"}
    seeds = {arm["name"]: arm["runs"][0]["seed"] for arm in summary["arms"]}
    assert seeds["best"] == seeds["published"] == 0 and seeds["trial-000"] == 1000  # not the luck of the best of many
    scores = {
        arm["name"]: arm["runs"][0]["validation"]["knn_5"]["top1"]
        for arm in summary["arms"] if arm["name"].startswith("trial") and arm["runs"][0]["validation"]
    }  # fmt: skip
    assert found["best"][1] == found[max(scores, key=scores.get)][1]
    for _, settings in found.values():
        if "pretrain.lambda" in settings:
            assert 0.1 <= settings["pretrain.lambda"] <= 100 and 1 <= settings["pretrain.mu"] <= 1000


@pytest.mark.slow
def test_a_search_that_was_interrupted_takes_the_same_path(project, undisturbed, trained, wait_until):
    started = project.start("--study", "quest", "--workers", "2")
    wait_until(lambda: len(trained()) > 2)  # in its second batch
    started.kill()
    started.wait()
    assert ablate.main(["--study", "quest"]) == 0
    assert project.results("quest") == undisturbed.results("quest")
    assert as_values(project.trials("quest")) == as_values(undisturbed.trials("quest"))


@pytest.mark.parametrize("found", ["best", "a trial"])
def test_the_command_that_results_give_for_an_arm_a_search_found_runs_it_again(finished, command, found):
    names = [name for name, (status,) in finished.statuses("quest").items() if status == "finished" and name[:5] == "trial"]
    given = finished.arm("quest", "best" if found == "best" else names[0])["command"]
    status, output, _ = command(ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count(": identical; ") == 1


@pytest.mark.slow
def test_a_search_can_be_made_longer_or_shorter(finished, inline, trained):
    assert ablate.main(["--study", "quest", "--trials", "3"]) == 0
    assert trained() == []
    assert ablate.main(["--study", "quest", "--trials", "5"]) == 0
    assert 1 <= len({digest for digest, _ in trained()}) <= 2  # the fifth trial, and it as the best if it is


# ---- Optuna


def test_every_cell_is_one_trial_that_carries_its_run_and_its_metrics(finished):
    trials = finished.trials("tiny")
    assert sorted(trial.params["arm"] for trial in trials) == ["nu-1", "nu-2", "untrained"]
    for trial in trials:
        (run,) = finished.arm("tiny", trial.params["arm"])["runs"]
        assert trial.state.name == "COMPLETE" and trial.value == run["validation"]["knn_5"]["top1"]
        assert trial.user_attrs["run"] == run["digest"] and trial.user_attrs["status"] == "finished"
        assert trial.user_attrs["validation_knn_20"] == run["validation"]["knn_20"]["top1"]
        assert trial.user_attrs["rankme_embeddings"] == run["collapse"]["embeddings"]["rankme"]
        assert trial.user_attrs["verdict"] == run["verdict"]["name"]


def test_two_arms_that_are_one_run_are_two_trials_of_it_and_trained_once(project, inline, trained):
    path = project.studies / "tiny.yaml"
    path.write_text(path.read_text().replace("{pretrain.nu: 2}", "{pretrain.nu: 1.0}"))
    assert ablate.main(["--study", "tiny"]) == 0
    trials = {trial.params["arm"]: trial for trial in project.trials("tiny")}
    assert set(trials) == {"nu-1", "nu-2", "untrained"} and len(trained()) == 2
    assert trials["nu-1"].user_attrs["run"] == trials["nu-2"].user_attrs["run"]
