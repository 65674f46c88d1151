"""`seeds: until-decided`: arms that are decided stop, and the others get the seeds of the next look."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from study import ablate, index, report, verify
from study.design.run_study import run_studies
from study.execution import scheduler
from study.execution.request import Request
from study.results.files import read_results
from study.verification.freshness import freshness
from tests.study.conftest import QUICK, Project, enter
from tests.study.made_up_runs import Unshown, Workshop

pytestmark = pytest.mark.slow  # half a minute in all

LOOKS = ("looks: [3, 5, 8]\n", "")


def decisions(project, name="settle"):
    found = {arm["name"]: arm["summary"].get("knn_5", {}).get("difference") for arm in project.summary(name)["arms"]}
    return {arm: difference["decision"] for arm, difference in found.items() if difference and difference.get("decision")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_config):
    """The study, run to its end: its project, what ran, and what the command printed. To be looked at alone."""
    project = Project(tmp_path_factory.mktemp("whole"), tiny_config(QUICK))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        enter(project, patch)
        made = Workshop(project)
        patch.setattr(scheduler, "open_local", made.open_executor)
        patch.setattr(scheduler, "TrialDatabase", Unshown)
        assert ablate.main(["--study", "settle"]) == 0
    return project, made.ran, said.getvalue()


@pytest.fixture
def settled(project, workshop, whole):
    """A project of one's own in which the study has been run to its end, and what the command printed."""
    for name in ("store", "results"):
        shutil.copytree(whole[0].folder / name, project.folder / name)
    return whole[2]


# ---- who goes on


def test_arms_stop_at_the_look_that_decides_them_and_the_baseline_goes_on_with_the_others(project, workshop, settled, whole):
    assert workshop.seeds() == {"nu-1": 8, "nu-2": 3, "nu-3": 5, "nu-4": 8, "untrained": 8}
    assert decisions(project) == {"nu-2": "worse", "nu-3": "worse", "nu-4": "undecided"}
    looks = project.summary("settle")["looks"]
    assert {key: looks[key] for key in looks if key != "note"} == {
        "look": 3, "planned": [3, 5, 8], "declared": True, "price": 3, "until_decided": True,
        "stopped": {"nu-2": 1, "nu-3": 2},
    }  # fmt: skip
    assert len(whole[1]) == len(set(whole[1])) == 8 + 3 + 5 + 8 + 8


def test_the_command_says_what_each_look_decided_and_who_remains(settled):
    lines = settled.splitlines()
    assert "look 3 of 3, at 8 seeds: p-values are times 3, intervals at 98.33 %" in lines
    assert "decided at look 1, 3 seeds: ν 2 worse" in lines and "decided at look 2, 5 seeds: ν 3 worse" in lines
    assert "Undecided after 8 seeds: ν 4." in lines


def test_the_page_is_told_who_remains_undecided(project, settled):
    assert "Undecided after 8 seeds: ν 4." in project.summary("settle")["notes"]


def test_a_decision_stands_as_it_was_made_whatever_later_seeds_of_others_say(project, workshop, settled):
    after = project.arm("settle", "nu-2")
    workshop.write(("seeds: until-decided\nlooks: [3, 5, 8]", "seeds: [3, 5, 8]"), name="first")
    assert ablate.main(["--study", "first"]) == 0  # look 1 of three, of the same runs
    before = project.arm("first", "nu-2")
    assert before["summary"] == after["summary"] and before["summary"]["knn_5"]["difference"]["n"] == 3


def test_a_study_whose_arms_are_all_decided_ends_before_its_last_look(project, workshop, command):
    workshop.write(("  nu-4: {pretrain.nu: 4}\n", ""))
    _, output, _ = command(ablate.main, "--study", "settle")
    assert workshop.seeds() == {"nu-1": 5, "nu-2": 3, "nu-3": 5, "untrained": 5} and "ndecided" not in output


def test_an_arm_within_the_margin_is_decided_too(project, workshop, command):
    project.set({"ablate.margin": 0.08})
    command(ablate.main, "--study", "settle")
    assert decisions(project)["nu-4"] == "equivalent" and workshop.seeds()["nu-4"] < 8


def test_an_arm_that_diverges_at_every_seed_gets_no_more(project, workshop, command):
    workshop.write(("arms:\n", "arms:\n  nu-5: {pretrain.nu: 5}\n"))
    status, output, _ = command(ablate.main, "--study", "settle", "--allow-diverged")
    assert status == 0 and workshop.seeds()["nu-5"] == 3 and "ν 5" not in output.partition("look 3 of 3")[2]


def test_another_name_of_the_baselines_runs_goes_with_it(project, workshop, command):
    workshop.write(("arms:\n", "arms:\n  again: {pretrain.nu: 1.0}\n"))
    assert command(ablate.main, "--study", "settle")[0] == 0
    assert workshop.seeds()["again"] == 8 and "again" not in decisions(project)


def test_a_grid_stops_as_arms_do(project, workshop, command):
    text = (project.studies / "settle.yaml").read_text().partition("arms:")[0]
    text = text.replace("baseline: nu-1", "mode: grid\nbaseline: ν1") + "grid: {pretrain.nu: [1, 2, 3, 4]}\n"
    (project.studies / "settle.yaml").write_text(text)
    assert command(ablate.main, "--study", "settle")[0] == 0
    assert workshop.seeds() == {"ν1": 8, "ν2": 3, "ν3": 5, "ν4": 8, "untrained": 8}


def test_tuned_arms_keep_what_was_chosen_at_every_look(project, workshop, plan_of, command):
    workshop.write(("baseline:", "nuisance: {pretrain.base_lr: [0.01, 0.1]}\nbaseline:"))
    assert command(ablate.main, "--study", "settle")[0] == 0
    plan = plan_of("--study", "settle")
    cells = [cell for cell in plan.cells if cell.role == "arm"]
    assert {cell.arm: sum(one.arm == cell.arm for one in cells) for cell in cells} == {
        "nu-1": 8, "nu-2": 3, "nu-3": 5, "nu-4": 8,
    }  # fmt: skip
    assert all(len({str(one.tuned) for one in cells if one.arm == cell.arm}) == 1 and cell.tuned for cell in cells)
    assert plan.pending == () and sum(cell.role == "tuning" for cell in plan.cells) == 8


def test_params_yaml_lets_any_study_of_arms_stop(project, workshop, command):
    workshop.write(("seeds: until-decided\n", ""), LOOKS)
    project.set({"ablate.seeds": "until-decided"})
    assert command(ablate.main, "--study", "settle")[0] == 0
    assert project.summary("settle")["looks"]["planned"] == [3, 5, 8, 12]


# ---- the budget


@pytest.mark.parametrize(("budget", "seeds"), [(17, 3), (18, 5), (100, 8)])
def test_no_look_is_begun_that_the_budget_does_not_hold(project, workshop, command, budget, seeds):
    workshop.write(("looks: [3, 5, 8]", f"looks: [3, 5, 8]\nbudget: {budget}"))
    status, output, _ = command(ablate.main, "--study", "settle")
    runs = sum(count for arm, count in workshop.seeds().items() if arm != "untrained")
    assert status == 0 and workshop.seeds()["nu-1"] == seeds and runs <= budget
    said = f"The budget of {budget} runs ends here: with look " in output
    assert said == (seeds < 8) and f"Undecided after {seeds} seeds: " in output
    if said:
        assert any("The budget of" in note for note in project.summary("settle")["notes"])


def test_a_budget_that_the_first_look_exceeds_is_refused_before_anything_runs(project, workshop, command):
    workshop.write(("looks: [3, 5, 8]", "looks: [3, 5, 8]\nbudget: 11"))
    status, _, errors = command(ablate.main, "--study", "settle")
    assert (status, workshop.ran) == (2, [])
    assert errors == "error: budget must be at least 12 runs, which the first look of study 'settle' takes, but got 11.\n"


def test_the_budget_of_params_yaml_is_that_of_studies_without_their_own(project, workshop, command):
    project.set({"ablate.budget": 17})
    command(ablate.main, "--study", "settle")
    assert workshop.seeds()["nu-1"] == 3


# ---- killed, resumed, by several workers


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [5, 17])
def test_a_study_that_was_killed_at_any_run_goes_on_and_ends_the_same(project, workshop, whole, command, after):
    def kill(run):
        if len(workshop.ran) == after:
            raise Killed

    workshop.before = kill
    with pytest.raises(Killed):
        ablate.main(["--study", "settle"])
    assert not (project.folder / "results").exists()
    workshop.before = lambda run: None
    assert ablate.main(["--study", "settle"]) == 0
    assert len(workshop.ran) == len(set(workshop.ran)) == 32
    assert project.results("settle") == whole[0].results("settle")


def test_the_number_of_workers_changes_nothing(project, workshop, whole):
    assert ablate.main(["--study", "settle", "--workers", "3"]) == 0
    assert project.results("settle") == whole[0].results("settle")


def test_what_is_settled_runs_nothing_again(project, workshop, settled, command):
    before = project.results("settle")
    assert command(ablate.main, "--study", "settle")[0] == 0
    assert workshop.ran == [] and project.results("settle") == before


# ---- what it would do, how it stands, and doing it again


def test_a_dry_run_says_what_the_first_look_takes_and_what_all_may_take(project, workshop, command):
    status, output, _ = command(ablate.main, "--study", "settle", "--dry-run")
    assert (status, workshop.ran) == (0, [])
    assert "nu-1: 3 runs, 3 to run" in output and re.search(r"looks 2 to 3: 20 runs at most, after look 1, \d+ s", output)
    assert "controls of looks 2 to 3: 5 runs at most, after look 1, 0 s" in output
    assert re.search(r"in all about \d+ s for what is known, at most \d+ s with what follows, with 1 at a time", output)


@pytest.mark.parametrize(("budget", "runs"), [(12, None), (20, 8), (90, 20)])
def test_a_dry_run_counts_no_more_than_the_budget(project, workshop, command, budget, runs):
    workshop.write(("looks: [3, 5, 8]", f"looks: [3, 5, 8]\nbudget: {budget}"))
    _, output, _ = command(ablate.main, "--study", "settle", "--dry-run")
    assert (f"\nlooks 2 to 3: {runs} runs at most" in output) if runs else ("looks 2 to 3" not in output)


def test_status_says_how_many_runs_may_follow(project, workshop, command):
    _, output, _ = command(ablate.main, "--study", "settle", "--status")
    assert "0 of 15 runs are finished; at most 25 more follow from them" in output and "after look 1" in output


def test_afterwards_nothing_waits(project, workshop, settled, command):
    _, output, _ = command(ablate.main, "--study", "settle", "--dry-run")
    assert "nu-2: 3 runs, 0 to run" in output and "nu-4: 8 runs, 0 to run" in output and "nothing is left to train" in output
    _, output, _ = command(ablate.main, "--study", "settle", "--status")
    assert "32 of 32 runs are finished\n" in output


def test_results_are_fresh_and_can_be_verified(project, workshop, settled, command):
    found = freshness(read_results(project.folder / "results/ablate/settle"), store=project.store.root)
    assert (found.groups, found.count, found.unchecked) == ((), 0, "")
    status, output, _ = command(verify.main, "--study", "settle", "--runs", "32")
    assert status == 0 and "32 of 32 ended runs were run again" in output


@pytest.mark.parametrize(("arm", "runs"), [("nu-2", 3), ("nu-4", 8), ("untrained", 8)])
def test_the_command_of_an_arm_runs_it_again_at_its_own_seeds(project, workshop, settled, command, arm, runs):
    given = project.arm("settle", arm)
    status, output, _ = command(ablate.main, *shlex.split(given["command"])[3:])
    assert status == 0 and output.count(": identical; ") == runs
    status, output, _ = command(ablate.main, *shlex.split(given["runs"][-1]["command"])[3:])
    assert status == 0 and output.count(": identical; ") == 1


def test_one_arm_alone_is_run_as_far_as_it_is_known(project, workshop, command):
    assert command(ablate.main, "--study", "settle", "--arm", "nu-4")[0] == 0
    assert len(workshop.ran) == 3 and not (project.folder / "results").exists()


# ---- what is refused


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--look", "2"], "--look 2 has no effect: study 'settle' goes through its looks by itself"),
        (["--add-seeds", "2"], "but study 'settle' stops arms when they are decided; run it without --add-seeds."),
        (["--set", "ablate.look=2"], "--set ablate.look has no effect: study 'settle' has no looks to choose from"),
        (["--set", "ablate.seeds=4"], "--set ablate.seeds has no effect: study 'settle' has its own seeds; use --seeds."),
        (["--seeds", "3", "--set", "ablate.budget=40"], "--set ablate.budget has no effect beside --seeds"),
    ],
)
def test_what_would_have_no_effect_is_refused(project, workshop, command, argv, said):
    status, _, errors = command(ablate.main, "--study", "settle", *argv)
    assert (status, workshop.ran) == (2, []) and said in errors and errors.count("\n") == 1


@pytest.mark.parametrize("name", ["quest", "walk"])
def test_a_search_and_a_path_are_refused(project, workshop, command, name):
    project.set({"ablate.seeds": "until-decided"})
    status, _, errors = command(ablate.main, "--study", name, "--dry-run")
    assert status == 2 and "is for mode arms or grid, but study" in errors and "give it a number of seeds" in errors
    assert command(ablate.main, "--study", name, "--seeds", "1", "--status")[0] == 0


def test_a_plan_that_is_made_after_a_look_costs_more_and_says_so(project, workshop, command):
    workshop.write(("seeds: until-decided\nlooks: [3, 5, 8]", "seeds: 4"))
    command(ablate.main, "--study", "settle")
    workshop.write()
    _, output, _ = command(ablate.main, "--study", "settle")
    looks = project.summary("settle")["looks"]
    assert (looks["planned"], looks["declared"], looks["price"]) == ([3, 5, 8], False, 6)
    assert "not declared before, at " in output
    stopped = {arm: looks["planned"][at - 1] for arm, at in looks["stopped"].items()}
    assert stopped == {arm: count for arm, count in workshop.seeds().items() if arm in stopped} and stopped["nu-2"] == 3
    command(ablate.main, "--study", "settle", "--seeds", "6")
    before = project.results("settle")
    command(ablate.main, "--study", "settle")  # what is looked at afterwards changes nothing
    assert project.results("settle") == before


def test_pages_show_arms_of_different_numbers_of_seeds(project, workshop, settled, command):
    assert command(report.main, "--results", "results/ablate/settle/study.json", "--out", "reports/settle")[0] == 0
    page = (project.folder / "reports/settle/README.md").read_text()
    assert "3 to 8 seeds were run, until arms were decided, look 3 of 3" in page and "Undecided after 8 seeds: ν 4." in page
    assert "98.33 % interval" in page and "its 95 % interval" not in page
    status, _, errors = command(index.main, "--all", "--out", "reports/index.html")
    assert status == 0 and "settle" in (project.folder / "reports/index.html").read_text(), errors


def test_the_stage_of_the_source_paper_runs_such_a_study_as_any_other(project, workshop):
    status, failures = run_studies(["settle"], Request(study=""), out=Path("elsewhere"))
    assert (status, failures) == (0, {}) and read_results(Path("elsewhere/settle")).looks.look == 3
