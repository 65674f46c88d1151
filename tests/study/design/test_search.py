"""What searches look for, where they look, and what of it is confirmed."""

import itertools
import json
import shlex
import shutil

import pytest

from study import ablate
from study.design import search
from study.design.search import TRIAL_SEED, pareto_front, spread


def edit(project, name, old, new):
    path = project.studies / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def of_role(plan, role):
    return [cell for cell in plan.cells if cell.role == role]


# ---- fronts


def test_a_front_is_what_no_other_betters_in_every_objective():
    values = {"a": (0.9, 10), "b": (0.8, 5), "c": (0.8, 6), "d": (0.5, 1), "e": (0.4, 1), "f": (0.7, 20)}
    assert pareto_front(values, ["knn_5", "cost"]) == ["a", "b", "d"]  # accuracy is maximised, cost minimised
    assert pareto_front(values, ["knn_5", "rankme_embeddings"]) == ["a", "f"]  # both maximised


def test_equal_trials_are_on_the_front_together_and_of_one_objective_it_is_the_first_best():
    values = {"a": (0.5, 2), "b": (0.5, 2), "c": (0.4, 2)}
    assert pareto_front(values, ["knn_5", "cost"]) == ["a", "b"]
    assert pareto_front({"a": (0.4,), "b": (0.9,), "c": (0.9,)}, ["knn_5"]) == ["b"]
    assert pareto_front({}, ["knn_5", "cost"]) == []


@pytest.mark.parametrize(("count", "chosen"), [(1, "a"), (2, "ae"), (3, "ace"), (5, "abcde"), (9, "abcde")])
def test_what_is_confirmed_of_a_front_is_spread_over_it_its_ends_first(count, chosen):
    assert "".join(spread("abcde", count)) == chosen


# ---- several objectives


def test_a_search_by_several_objectives_confirms_some_of_its_front_at_the_studys_seeds(designed, plan_of):
    plan = plan_of("--study", "front")
    trials = of_role(plan, "trial")
    assert len(trials) == 6 and plan.pending == ()
    points = {}
    for cell in trials:
        width, expander = cell.settings["pretrain.width"], cell.settings["pretrain.expander"]
        assert type(width) is int and 2 <= width <= 8 and expander in ([], [16, 16])
        points[cell.arm] = (designed.store.result(cell.run)["validation"]["knn_5"]["top1"], costs(designed)[cell.run.digest])
    better = {
        one for one, (accuracy, cost) in points.items()
        if any(a >= accuracy and c <= cost and (a, c) != (accuracy, cost) for a, c in points.values())
    }  # fmt: skip
    assert set(plan.front) == set(points) - better
    confirmed = [name for name in plan.by_arm() if name.startswith("pareto-")]
    assert confirmed == [f"pareto-{number}" for number in range(1, 1 + min(2, len(plan.front)))]
    first = plan.by_arm()["pareto-1"]
    assert [cell.seed for cell in first] == [0] and first[0].role == "arm"
    assert points[plan.front[0]][0] == max(accuracy for accuracy, _ in points.values())
    assert first[0].settings == next(cell.settings for cell in trials if cell.arm == plan.front[0])


def costs(project):
    """Digest of the run -> its cost as Optuna was told it."""
    return {trial.user_attrs["run"]: trial.values[1] for trial in project.trials("front") if trial.values}


def test_optuna_is_told_the_value_of_each_objective(designed, plan_of):
    trials = designed.trials("front")
    assert len(trials) == 6
    for trial in trials:
        assert trial.values[0] == trial.user_attrs["validation_knn_5"] and trial.values[1] > 0
    params = [(trial.params["pretrain.expander"], trial.params["pretrain.width"], trial.values[1]) for trial in trials]
    by_width = sorted(params)
    for (one, _, cheap), (other, _, dear) in itertools.pairwise(by_width):
        assert one != other or cheap <= dear  # a wider network of one expander costs more


@pytest.fixture
def searched(finished, inline):
    """A project in which `quest` has been run; what is changed of it finds the runs that it has in common in the store."""
    (finished.folder / "store" / "optuna.db").unlink()
    return finished


@pytest.mark.slow
def test_collapsed_trials_of_a_search_by_several_objectives_are_pruned(searched, plan_of, command):
    edit(searched, "quest", "objective: knn_5", "objective: [knn_5, rankme_embeddings]")
    assert command(ablate.main, "--study", "quest")[0] == 0
    states = {trial.state.name: trial.values for trial in searched.trials("quest")}
    assert set(states) == {"COMPLETE", "PRUNED"} and states["PRUNED"] is None
    pruned = {name for name, status in searched.statuses("quest").items() if status == ["pruned"]}
    assert pruned and not pruned & set(plan_of("--study", "quest").front)


@pytest.mark.parametrize("arm", ["pareto-1", "trial-001"])
def test_the_command_that_results_give_for_a_trial_or_what_confirms_it_runs_it_again(designed, command, arm):
    given = designed.arm("front", arm)["command"]
    status, output, _ = command(ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count(": identical; ") == 1


# ---- trials that were killed, and trials that others ran


def as_values(trials):
    return [(trial.number, trial.state.name, trial.value, trial.params, trial.user_attrs) for trial in trials]


@pytest.mark.slow
def test_a_search_stops_where_a_trial_was_killed_and_then_takes_the_path_it_would_have_taken(
    searched, undisturbed, command, killed_once
):
    (first,) = searched.arm("quest", "trial-000")["runs"]
    shutil.rmtree(searched.store.folder(first["digest"]))
    killed_once(nu=1)
    status, output, _ = command(ablate.main, "--study", "quest")
    assert status == 1 and "not run: trials, which waits for the trials before them" in output
    statuses = searched.statuses("quest")
    assert statuses["trial-000"] == ["killed"] and "trial-002" not in statuses and "best" not in statuses
    assert command(ablate.main, "--study", "quest")[0] == 0
    assert searched.results("quest") == undisturbed.results("quest")
    assert as_values(searched.trials("quest")) == as_values(undisturbed.trials("quest"))


def pruned_of(project):
    """The name of a trial of `quest` that was pruned, and the command that its results give for it."""
    name = next(name for name, (status,) in project.statuses("quest").items() if status == "pruned")
    return name, shlex.split(project.arm("quest", name)["command"])[3:]


@pytest.mark.slow
def test_a_trial_that_another_command_has_run_to_its_end_changes_nothing_of_the_path(searched, undisturbed, command):
    name, given = pruned_of(searched)
    assert command(ablate.main, *given[:-1])[0] == 0  # without --again
    (searched.folder / "store" / "optuna.db").unlink()  # with the study of that one arm in it
    assert command(ablate.main, "--study", "quest")[0] == 0
    assert searched.statuses("quest")[name] == ["pruned"], "results show what the search heard"
    (run,) = searched.arm("quest", name)["runs"]
    ended = json.loads((searched.store.folder(run["digest"]) / "status.json").read_bytes())
    assert ended["status"] == "finished", "the run in the store is what it is"
    assert as_values(searched.trials("quest")) == as_values(undisturbed.trials("quest"))


def test_the_command_that_results_give_for_a_pruned_trial_prunes_it_again(finished, inline, command):
    name, given = pruned_of(finished)
    status, output, _ = command(ablate.main, *given)
    assert status == 0 and ": identical; pruned as before (complete collapse for 1 epoch, at epoch " in output
    path = finished.store.folder(finished.arm("quest", name)["runs"][0]["digest"]) / "history.json"
    history = json.loads(path.read_bytes())
    history[0]["total"] += 1
    path.write_text(json.dumps(history))
    status, output, _ = command(ablate.main, *given)
    assert status == 1 and "DIFFERS in history" in output


# ---- seeds, samplers, workers


def test_trials_take_turns_at_their_seeds(designed, plan_of):
    assert [cell.seed for cell in of_role(plan_of("--study", "front"), "trial")] == [TRIAL_SEED, TRIAL_SEED + 1] * 3


def test_trials_have_no_control_for_none_is_run_at_their_seeds(designed, plan_of):
    plan = plan_of("--study", "front")
    assert {cell.control for cell in of_role(plan, "trial")} == {None}
    assert {cell.seed for cell in of_role(plan, "control")} == {0}


@pytest.mark.slow
def test_a_search_by_gaussian_processes_takes_the_same_path_twice(searched, command):
    edit(searched, "quest", "prune_after: 1", "sampler: gp")
    assert command(ablate.main, "--study", "quest")[0] == 0
    first = [(trial.params, trial.values) for trial in searched.trials("quest")]
    assert len(first) == 4 and len({str(params) for params, _ in first}) == 4
    assert command(ablate.main, "--study", "quest")[0] == 0
    assert [(trial.params, trial.values) for trial in searched.trials("quest")] == first


# ---- what is known of it


def test_a_search_half_done_says_how_much_of_it_is_left(designed, trained, command, plan_of):
    # The sampler may propose again what has run; which it does depends on the runs' digests, by which results are drawn.
    for count in range(7, 30):
        trials = of_role(plan_of("--study", "front", "--trials", str(count)), "trial")
        if left := [cell for cell in trials if designed.store.status(cell.run)[0] == "missing"]:
            break
    _, output, _ = command(ablate.main, "--study", "front", "--trials", str(count), "--dry-run")
    assert left and f"trials: {count} runs, {len(left)} to run" in output
    assert "confirmation: 2 runs at most, after the trials" in output
    _, output, _ = command(ablate.main, "--study", "front", "--dry-run")
    assert "trials: 6 runs, 0 to run" in output and "nothing is left to train" in output
    _, output, _ = command(ablate.main, "--study", "front", "--status")
    assert "runs are finished\n" in output and "never run" not in output and trained() == []


def test_a_search_that_has_not_begun_shows_its_first_batch(project, trained, command):
    _, output, _ = command(ablate.main, "--study", "front", "--dry-run")
    assert "trials: 3 runs, 3 to run" in output and "trials: 3 runs at most, after the trials before them" in output
    assert trained() == [] and not (project.folder / "store" / "optuna.db").exists()


# ---- what is refused


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ("knn", "must be one of knn_5, knn_20, rankme_representations, rankme_embeddings, cost, but got 'knn'."),
        ("[knn_5, linear]", "but got 'linear'."),
        ("cost", "search.objective may not be cost alone; add an accuracy, such as [linear_cached, cost]."),
    ],
)
def test_a_search_by_what_is_not_measured_is_refused(project, command, objective, said):
    edit(project, "quest", "objective: knn_5", f"objective: {objective}")
    status, _, errors = command(ablate.main, "--study", "quest")
    assert status == 2 and errors.startswith("error: ") and errors.endswith(f"{said}\n") and errors.count("\n") == 1


def test_a_range_whose_ends_no_run_can_have_is_refused_before_anything_is_run(project, command):
    edit(project, "front", "low: 2, high: 8", "low: -2, high: 8")
    status, _, errors = command(ablate.main, "--study", "front")
    assert status == 2 and "search.parameters of study 'front': pretrain.width must be" in errors


# ---- proposals that no run can have


@pytest.mark.slow
def test_a_proposal_that_no_run_can_have_is_told_as_failed_and_another_is_asked_for(searched, plan_of, command):
    ranges = "pretrain.mu: {low: 1, high: 1000, log: true}"
    epochs = "pretrain.epochs: {low: 2, high: 4, int: true}\n    pretrain.warmup_epochs: {low: 0, high: 3, int: true}"
    edit(searched, "quest", ranges, epochs)
    edit(searched, "quest", "pretrain.lambda: {low: 0.1, high: 100, log: true}", "pretrain.lambda: {low: 24, high: 26}")
    edit(searched, "quest", "trials: 4", "trials: 12")
    assert command(ablate.main, "--study", "quest")[0] == 0
    states = [trial.state.name for trial in searched.trials("quest")]
    assert "FAIL" in states and len([state for state in states if state != "FAIL"]) == 12
    assert len(of_role(plan_of("--study", "quest"), "trial")) == 12
    again = searched.results("quest")
    assert command(ablate.main, "--study", "quest")[0] == 0 and searched.results("quest") == again


def test_a_space_without_room_for_a_run_is_refused(project, monkeypatch, command):
    monkeypatch.setattr(search, "MOST_REFUSED", 3)
    edit(project, "quest", "pretrain.lambda: {low: 0.1, high: 100, log: true}", "pretrain.epochs: {choices: [1, 2, 9]}")
    edit(project, "quest", "pretrain.mu: {low: 1, high: 1000, log: true}", "pretrain.warmup_epochs: {choices: [0, 40, 1]}")
    monkeypatch.setattr(search, "_setting", lambda value, given: 40 if 40 in given["choices"] else value)
    status, _, errors = command(ablate.main, "--study", "quest", "--status")
    assert status == 2 and "must leave room for runs, but 3 proposals in a row are none (" in errors
