"""The command from end to end, in a folder of its own: what it writes, and what it never does twice."""

import json
import re
import shlex
import sys

import pytest
from filelock import FileLock

from study import ablate, report
from study.execution import scheduler
from study.execution.executors.opening import open_local

pytestmark = pytest.mark.usefixtures("inline", "untold")

# ---- what it writes, and that it writes it once


def test_a_study_is_run_and_its_results_are_written(finished):
    summary = finished.summary("tiny")
    assert [arm["name"] for arm in summary["arms"]] == ["nu-1", "nu-2", "untrained"]
    assert finished.statuses("tiny") == {"nu-1": ["finished"], "nu-2": ["finished"], "untrained": ["finished"]}
    for arm in summary["arms"]:
        (run,) = arm["runs"]
        assert len(run["history"]) == (0 if arm["is_control"] else 3)
        assert arm["summary"]["knn_5"]["mean"] == run["test"]["knn_5"]["top1"]
        assert run["verdict"] and run["commit"] is None  # timing.json has the commits
    assert len(list((finished.folder / "store" / "runs").iterdir())) == 3 + 4 + 1  # of both studies: they share `untrained`
    metrics = json.loads((finished.folder / "results/ablate/tiny/metrics.json").read_bytes())
    assert set(metrics) == {"nu-1", "nu-2", "untrained"} and metrics["nu-1"]["knn_20"] <= 1
    lines = (finished.folder / "results/ablate/tiny/history.csv").read_text().splitlines()
    assert lines[0].startswith("arm,seed,epoch,") and len(lines) == 1 + 2 * 3


def test_a_second_call_trains_nothing_and_writes_the_same_bytes(finished, trained, command):
    written = {path: path.read_bytes() for path in (finished.folder / "results").rglob("*") if path.is_file()}
    assert command(ablate.main, "--study", "tiny")[0] == 0
    assert command(ablate.main, "--study", "quest")[0] == 0
    assert trained() == []
    assert {path: path.read_bytes() for path in (finished.folder / "results").rglob("*") if path.is_file()} == written


def test_the_results_hold_no_clock_time_and_no_place_on_a_disk(finished):
    for name in ("tiny", "quest"):
        text = finished.results(name).decode()
        assert str(finished.folder) not in text and sys.prefix not in text
        assert not re.search(r'"/|/home|/tmp|/root|seconds|\d\d:\d\d:\d\d|20\d\d-\d\d-\d\d', text)


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte_of_the_results(project, undisturbed, trained, monkeypatch):
    monkeypatch.setattr(scheduler, "open_local", open_local)  # processes, here alone
    assert ablate.main(["--study", "quest", "--workers", "2"]) == 0
    assert project.results("quest") == undisturbed.results("quest")
    digests = [digest for digest, _ in trained()]
    assert len(digests) == len(set(digests)) >= 5
    assert len({process for _, process in trained()}) == 2, "a whole search is run by the same workers"


@pytest.mark.slow
def test_a_study_that_grows_trains_only_what_is_new_and_the_command_says_how_to_keep_it(finished, trained, plan_of, command):
    before = {path.name for path in (finished.folder / "store" / "runs").iterdir()}
    assert ablate.main(["--study", "tiny", "--seeds", "2"]) == 0
    digests = {digest for digest, _ in trained()}
    assert len(digests) == 3 and not digests & before  # two arms and their control, at seed 1
    status, output, _ = command(ablate.main, "--study", "tiny", "--add-seeds", "1", "--out", "added")
    assert status == 0 and "To keep these results, run `python -m study.source_page --keep added`." in output
    finished.track("tiny")
    status, output, _ = command(ablate.main, "--study", "tiny", "--add-seeds", "1", "--out", "added")
    assert status == 0 and "write `seeds: 2` in study/studies/tiny.yaml" in output and len(trained()) == 3
    summary = json.loads(finished.results("added", folder="."))
    assert [run["seed"] for run in summary["arms"][0]["runs"]] == [0, 1]
    assert "--study tiny --profile tiny --add-seeds 1" in summary["arms"][0]["command"]
    finished.set({"ablate.seeds": 2})
    grown = plan_of("--study", "tiny", "--add-seeds", "2")
    assert [cell.seed for cell in grown.cells if cell.arm == "nu-1"] == [0, 1, 2, 3], "added after the largest"


def test_more_seeds_and_other_seeds_exclude_one_another(finished, trained, command):
    for other in (["--seeds", "1"], ["--seeds", "1", "--first-seed", "1"]):
        status, _, errors = command(ablate.main, "--study", "tiny", "--add-seeds", "2", *other)
        assert (status, trained()) == (2, [])
        assert errors == "error: --add-seeds adds to the study's seeds and --seeds replaces them; give one of the two.\n"
    status, _, errors = command(ablate.main, "--study", "tiny", "--add-seeds", "2", "--first-seed", "1")
    assert (status, trained()) == (2, []) and "--first-seed is the first of --seeds, which is not given" in errors


@pytest.mark.parametrize(
    ("study", "key", "said"),
    [
        ("tiny", "pretrain.nu", "study 'tiny' varies it"),
        ("tiny", "pretrain.vicreg.nu", "study 'tiny' varies it"),
        ("quest", "pretrain.mu", "study 'quest' varies it"),
        ("front", "pretrain.width", "study 'front' varies it"),
        ("tuned", "pretrain.base_lr", "study 'tuned' tunes it"),
        ("still", "pretrain.gamma", "study 'still' fixes it"),
        ("tiny", "pretrain.seed", "choose seeds with --seeds and --first-seed"),
    ],
)
def test_a_setting_that_a_study_decides_may_not_be_given_besides(project, trained, command, study, key, said):
    text = (project.studies / "tiny.yaml").read_text() + "\nfixed: {pretrain.gamma: 1}\n"
    (project.studies / "still.yaml").write_text(text)
    status, _, errors = command(ablate.main, "--study", study, "--set", f"{key}=3")
    assert (status, trained()) == (2, []) and f"error: --set {key} has no effect" in errors and said in errors


def test_runs_are_shared_by_studies_that_ask_for_the_same(finished, trained):
    text = (finished.studies / "tiny.yaml").read_text()
    (finished.studies / "another.yaml").write_text(
        text.replace("nu-1", "the-usual").replace("{pretrain.nu: 2}", "{pretrain.nu: 1.0}")
    )
    assert ablate.main(["--study", "another"]) == 0
    assert trained() == []

    def runs(study, arm):  # but for the command, which names the arm
        return [{key: run[key] for key in run if key != "command"} for run in finished.arm(study, arm)["runs"]]

    assert runs("another", "the-usual") == runs("another", "nu-2") == runs("tiny", "nu-1")


@pytest.mark.slow
def test_other_probes_are_measured_of_the_same_runs(finished, trained):
    assert ablate.main(["--study", "tiny", "--set", "ablate.probes=[knn, linear_cached]"]) == 0
    assert trained() == []
    (name,) = [path.name for path in (finished.folder / "results" / "custom").iterdir()]
    summary = json.loads(finished.results(name, folder="results/custom"))
    assert summary["primary"] == "linear_cached" and "linear_cached" in summary["arms"][0]["summary"]


@pytest.mark.slow
@pytest.mark.parametrize("asked", [["--seeds", "1"], ["--set", "pretrain.gamma=1"]])
def test_what_differs_from_params_yaml_has_results_of_its_own(finished, asked):
    before = finished.results("tiny")
    assert ablate.main(["--study", "tiny", *asked]) == 0
    assert finished.results("tiny") == before
    (folder,) = (finished.folder / "results" / "custom").iterdir()
    assert folder.name.startswith("tiny-")
    assert ablate.main(["--study", "tiny", *asked, "--out", "elsewhere"]) == 0
    assert (finished.folder / "elsewhere" / "study.json").read_bytes() == (folder / "study.json").read_bytes()


def test_one_arm_alone_is_run_and_leaves_the_results_alone(project, trained, command):
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-2")[0] == 0
    assert len(trained()) == 1 and not (project.folder / "results").exists()
    # and of a search, without searching
    assert command(ablate.main, "--study", "quest", "--arm", "published")[0] == 0
    assert len(trained()) == 2


# ---- results so far


def test_a_look_at_results_so_far_costs_what_was_planned_nothing_and_more_seeds_its_price(project, command):
    planned, looks = ["--study", "tiny", "--set", "ablate.seeds=4"], project.folder / "store" / "looks" / "tiny.json"
    assert command(ablate.main, "--study", "tiny", "--seeds", "2")[0] == 0
    assert command(ablate.main, *planned, "--so-far", "--out", "two")[0] == 0
    assert not looks.exists(), "nothing is concluded from two seeds"
    assert command(ablate.main, "--study", "tiny", "--seeds", "3", "--arm", "nu-1")[0] == 0
    assert command(ablate.main, *planned, "--so-far", "--out", "three")[0] == 0
    (taken,) = json.loads(looks.read_bytes()).values()
    assert taken == [{"seeds": 3, "planned": [4]}]
    assert command(ablate.main, *planned, "--out", "four")[0] == 0
    assert "looks" not in json.loads((project.folder / "four" / "study.json").read_bytes())
    assert command(ablate.main, "--study", "tiny", "--seeds", "5", "--out", "five")[0] == 0
    looked = json.loads((project.folder / "five" / "study.json").read_bytes())["looks"]
    assert (looked["look"], looked["planned"], looked["price"]) == (3, [3, 4, 5], 12)


def test_results_so_far_are_of_the_runs_that_are_measured_and_of_no_others(project, trained, command):
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-1")[0] == 0
    with FileLock(project.folder / "store" / "locks" / "tiny.lock"):  # while another command is at it
        status, output, _ = command(ablate.main, "--study", "tiny", "--so-far")
    assert status == 0 and len(trained()) == 1 and not (project.folder / "results" / "ablate").exists()
    assert "not finished: ν 2, seed 0: missing" in output and "this look is noted" in output
    summary = json.loads(project.results("tiny-so-far", folder="results/custom"))
    assert {arm["name"]: [run["status"] for run in arm["runs"]] for arm in summary["arms"]} == {
        "nu-1": ["finished"], "nu-2": ["missing"], "untrained": ["missing"],
    }  # fmt: skip
    (path,) = (project.folder / "results" / "custom").iterdir()
    assert report.main(["--results", f"{path}/study.json", "--out", "reports/tiny-so-far"]) == 0


def test_results_so_far_may_lack_the_baseline_and_their_report_is_written_all_the_same(project, command):
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-2")[0] == 0
    assert command(ablate.main, "--study", "tiny", "--so-far", "--out", "so-far")[0] == 0
    assert command(report.main, "--results", "so-far/study.json", "--out", "reports/so-far")[0] == 0
    assert "Finish the baseline ν 1 first: it has no result yet" in (project.folder / "reports/so-far/README.md").read_text()


def test_results_so_far_have_the_probes_that_there_are(project, command):
    assert command(ablate.main, "--study", "tiny", "--set", "ablate.probes=[knn]")[0] == 0
    more = ["--set", "ablate.probes=[knn, linear_cached]"]
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-1", *more)[0] == 0
    status, output, _ = command(ablate.main, "--study", "tiny", "--so-far", "--out", "so-far", *more)
    assert status == 0 and "not finished: ν 2, seed 0: partial" in output
    summary = json.loads((project.folder / "so-far/study.json").read_bytes())
    measured = {arm["name"]: {*arm["summary"]} & {"knn_5", "linear_cached"} for arm in summary["arms"]}
    assert measured == {"nu-1": {"knn_5", "linear_cached"}, "nu-2": {"knn_5"}, "untrained": {"knn_5"}}
    said = " ".join(summary["notes"])
    assert "ν 2 (seed 0) is not measured by the linear probe on cached features yet." in said


def test_an_arm_given_by_its_settings_has_those_of_an_arm_alone(project, command):
    for key in ("prepare.dataset=cifar10", "pretrain.seed=7", "evaluate.knn=[3]"):
        status, _, errors = command(ablate.main, "--study", "tiny", "--status", "--arm", key)
        assert status == 2 and errors.startswith(f"error: --arm {key} may not "), errors


def test_of_a_study_of_which_nothing_is_measured_there_are_no_results_so_far(project, command):
    status, _, errors = command(ablate.main, "--study", "tiny", "--so-far")
    assert status == 2
    assert errors == (
        "error: of study 'tiny' on profile tiny, with these settings, no run is measured yet; `--status` tells how far "
        "each has come.\n"
    )


@pytest.mark.parametrize("beside", [["--arm", "nu-1"], ["--allow-diverged"], ["--workers", "2"], ["--dry-run"]])
def test_what_has_no_effect_beside_so_far_is_refused(project, beside):
    with pytest.raises(SystemExit) as ended:
        ablate.main(["--study", "tiny", "--so-far", *beside])
    assert ended.value.code == 2


def test_results_of_another_machines_runs_are_written_here(elsewhere, project, trained, command):
    assert command(ablate.main, "--study", "tiny", "--so-far")[0] == 2  # here none is measured
    status, output, _ = command(ablate.main, "--study", "tiny", "--status", "--machine", "faraway")
    assert status == 0 and "1 of 3 runs are finished" in output
    assert command(ablate.main, "--study", "tiny", "--so-far", "--machine", "torch 9.1", "--out", "there")[0] == 0
    summary = json.loads((project.folder / "there" / "study.json").read_bytes())
    assert {arm["name"]: arm["runs"][0]["status"] for arm in summary["arms"]}["nu-1"] == "finished"
    assert summary["environment"]["device"] == "cpu (FARAWAY)" and "python" not in summary["environment"]
    assert summary["command"].endswith("--study tiny --profile tiny --device cpu") and trained() == []


def test_a_machine_must_be_one_whose_runs_the_store_has(elsewhere, command):
    status, _, errors = command(ablate.main, "--study", "tiny", "--so-far", "--machine", "H200")
    said = "the store has cpu (FARAWAY), torch 9.1, torchvision 1.2.\n"
    assert status == 2 and errors.startswith("error: --machine must name the machine of runs in ")
    assert errors.endswith(f", but none ran on 'H200'; {said}")
    assert command(ablate.main, "--study", "tiny", "--arm", "nu-1")[0] == 0
    status, _, errors = command(ablate.main, "--study", "tiny", "--so-far", "--machine", "cpu")
    assert status == 2 and "--machine must name one machine, but 'cpu' is part of 2 names; give more of one" in errors


def test_the_name_of_a_machine_may_be_given_whole(elsewhere, project, command):
    record = next((project.folder / "store" / "runs").glob("*/identity.json"))
    written = json.loads(record.read_bytes())
    longer = record.parent.parent / "longer" / "identity.json"
    longer.parent.mkdir()
    longer.write_text(json.dumps(written | {"machinery": written["machinery"] | {"torchvision": "1.2+cpu"}}))
    name = "cpu (FARAWAY), torch 9.1, torchvision 1.2"
    assert command(ablate.main, "--study", "tiny", "--so-far", "--machine", name)[0] == 0
    assert command(ablate.main, "--study", "tiny", "--so-far", "--machine", "faraway")[0] == 2


@pytest.mark.parametrize("beside", [[], ["--dry-run"], ["--again"]])
def test_a_machine_is_named_for_questions_alone(project, beside):
    with pytest.raises(SystemExit) as ended:
        ablate.main(["--study", "tiny", "--machine", "H200", *beside])
    assert ended.value.code == 2


def test_runs_of_another_machine_are_not_asked_for_on_a_device_of_this_one(project, command):
    status, _, errors = command(ablate.main, "--study", "tiny", "--so-far", "--machine", "H200", "--device", "cpu")
    assert status == 2
    assert errors == "error: --machine is of runs that ended and --device of runs to come; give one of the two.\n"
    asked = ("--study", "tiny", "--so-far", "--machine", "H200", "--set", "ablate.device=cpu")
    assert command(ablate.main, *asked)[0] == 2


# ---- one at a time


def test_two_commands_on_one_study_do_not_run_at_once(finished, command):
    with FileLock(finished.folder / "store" / "locks" / "tiny.lock"):
        status, _, errors = command(ablate.main, "--study", "tiny")
        assert status == 2
        assert errors == "error: study 'tiny' is being run by another command on this store; wait for it to end.\n"
        assert command(ablate.main, "--study", "quest")[0] == 0  # another study may
        assert command(ablate.main, "--study", "tiny", "--status")[0] == 0  # and one may ask
    assert command(ablate.main, "--study", "tiny")[0] == 0


# ---- what it would do, and doing it again


def test_a_dry_run_prints_what_would_be_run_and_its_cost(project, trained, command):
    status, output, _ = command(ablate.main, "--study", "tiny", "--dry-run")
    lines = output.splitlines()
    assert status == 0 and trained() == [] and not (project.folder / "store" / "runs").exists()
    assert lines[0] == "digits: 40 of 200 training images held out for choices"
    assert re.fullmatch(r"nu-1: 1 run, 1 to run, \d+ s", lines[1]) and lines[3] == "untrained: 1 run, 1 to run"
    assert re.match(r"in all about \d+ s with 1 at a time on cpu", lines[-1])


def test_a_dry_run_of_what_is_finished_costs_nothing(finished, command):
    _, output, _ = command(ablate.main, "--study", "tiny", "--dry-run")
    assert "nu-1: 1 run, 0 to run" in output and "nothing is left to train" in output
    _, output, _ = command(ablate.main, "--study", "quest", "--dry-run")
    assert "trials: 4 runs, 0 to run" in output and "best: 1 run, 0 to run" in output


def test_again_computes_the_numbers_once_more_and_finds_them_identical(finished, trained, command):
    stored = {path: path.read_bytes() for path in (finished.folder / "store" / "runs").rglob("*.json")}
    status, output, _ = command(ablate.main, "--study", "tiny", "--again")
    assert status == 0 and output.count(": identical; knn_") == 3 and len(trained()) == 3
    assert {path: path.read_bytes() for path in (finished.folder / "store" / "runs").rglob("*.json")} == stored


def test_again_of_a_run_that_was_never_finished_is_no_success(project, command):
    status, output, _ = command(ablate.main, "--study", "tiny", "--arm", "nu-1", "--again")
    assert status == 1 and "this store has no finished run to compare with (missing); give another by --store" in output


def test_again_names_a_number_that_differs(finished, command):
    digest = finished.arm("tiny", "nu-2")["runs"][0]["digest"]
    (path,) = finished.store.folder(digest).glob("evaluation-*.json")
    measured = json.loads(path.read_bytes())
    measured["test"]["knn_5"]["top1"] += 0.01
    path.write_text(json.dumps(measured))
    status, output, _ = command(ablate.main, "--study", "tiny", "--arm", "nu-2", "--again")
    assert status == 1 and "DIFFERS in test.knn_5.top1" in output


def test_the_command_that_results_give_for_an_arm_runs_it_again(finished, command):
    given = finished.arm("tiny", "nu-2")["command"]
    assert given.startswith("python -m study.ablate ")
    status, output, _ = command(ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count("identical") == 1
