"""The command from end to end, in a folder of its own: what it writes, what it never does twice, and what can befall it."""

import json
import os
import re
import shlex
import signal
import sys

import optuna
import pytest
from filelock import FileLock

from study import ablate, identity, pretrain, runs
from study.command import run_command


def command(capsys, main, *argv) -> tuple[int, str, str]:
    """Exit status, output and errors of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: main(list(argv)) if argv else main())
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def arm_of(summary, name):
    (arm,) = [arm for arm in summary["arms"] if arm["name"] == name]
    return arm


def statuses(project, name="tiny"):
    summary = json.loads(project.results(name))
    return {arm["name"]: [run["status"] for run in arm["runs"]] for arm in summary["arms"]}


# ---- what it writes, and that it writes it once


def test_a_study_is_run_and_its_results_are_written(finished):
    summary = json.loads(finished.results("tiny"))
    assert [arm["name"] for arm in summary["arms"]] == ["nu-1", "nu-2", "untrained"]
    assert statuses(finished) == {"nu-1": ["finished"], "nu-2": ["finished"], "untrained": ["finished"]}
    for arm in summary["arms"]:
        (run,) = arm["runs"]
        assert len(run["history"]) == (0 if arm["is_control"] else 3)
        assert arm["summary"]["knn_5"]["mean"] == run["test"]["knn_5"]["top1"]
        assert run["verdict"] and run["commit"] == "unknown"
    assert len(list((finished.folder / "store" / "runs").iterdir())) == 3 + 4 + 1  # of both studies: they share `untrained`
    metrics = json.loads((finished.folder / "results/ablate/tiny/metrics.json").read_bytes())
    assert set(metrics) == {"nu-1", "nu-2", "untrained"} and metrics["nu-1"]["knn_20"] <= 1
    lines = (finished.folder / "results/ablate/tiny/history.csv").read_text().splitlines()
    assert lines[0].startswith("arm,seed,epoch,") and len(lines) == 1 + 2 * 3


def test_a_second_call_trains_nothing_and_writes_the_same_bytes(finished, trained, capsys):
    written = {path: path.read_bytes() for path in (finished.folder / "results").rglob("*") if path.is_file()}
    assert command(capsys, ablate.main, "--study", "tiny")[0] == 0
    assert command(capsys, ablate.main, "--study", "quest")[0] == 0
    assert trained() == []
    assert {path: path.read_bytes() for path in (finished.folder / "results").rglob("*") if path.is_file()} == written


def test_the_results_hold_no_clock_time_and_no_place_on_a_disk(finished):
    for name in ("tiny", "quest"):
        text = finished.results(name).decode()
        assert str(finished.folder) not in text and sys.prefix not in text
        assert not re.search(r'"/|/home|/tmp|/root|seconds|\d\d:\d\d:\d\d|20\d\d-\d\d-\d\d', text)


@pytest.mark.parametrize("name", ["tiny", "quest"])
def test_the_number_of_workers_changes_no_byte_of_the_results(project, undisturbed, trained, name):
    assert ablate.main(["--study", name, "--workers", "2"]) == 0
    assert project.results(name) == undisturbed.results(name)
    digests = [digest for digest, _ in trained()]
    assert len(digests) == len(set(digests))
    assert len({process for _, process in trained()}) >= 2


def test_a_study_that_grows_trains_only_what_is_new(finished, trained):
    before = {path.name for path in (finished.folder / "store" / "runs").iterdir()}
    assert ablate.main(["--study", "tiny", "--seeds", "2"]) == 0
    digests = {digest for digest, _ in trained()}
    assert len(digests) == 3 and not digests & before  # two arms and their control, at seed 1


def test_runs_are_shared_by_studies_that_ask_for_the_same(finished, trained):
    text = (finished.studies / "tiny.yaml").read_text()
    (finished.studies / "another.yaml").write_text(text.replace("nu-1", "the-usual").replace("{pretrain.nu: 2}", "{pretrain.nu: 1.0}"))
    assert ablate.main(["--study", "another"]) == 0
    assert trained() == []
    of_tiny, of_another = (json.loads(finished.results(name)) for name in ("tiny", "another"))
    assert arm_of(of_another, "the-usual")["runs"] == arm_of(of_tiny, "nu-1")["runs"] == arm_of(of_another, "nu-2")["runs"]


def test_other_probes_are_measured_of_the_same_runs(finished, trained):
    assert ablate.main(["--study", "tiny", "--set", "ablate.probes=[knn, linear_cached]"]) == 0
    assert trained() == []
    (name,) = [path.name for path in (finished.folder / "results" / "custom").iterdir()]
    summary = json.loads(finished.results(name, folder="results/custom"))
    assert summary["primary"] == "linear_cached" and "linear_cached" in arm_of(summary, "nu-1")["summary"]


@pytest.mark.parametrize("asked", [["--seeds", "1"], ["--set", "pretrain.nu=1"]])
def test_what_differs_from_params_yaml_has_results_of_its_own(finished, asked):
    before = finished.results("tiny")
    assert ablate.main(["--study", "tiny", *asked]) == 0
    assert finished.results("tiny") == before
    (folder,) = (finished.folder / "results" / "custom").iterdir()
    assert folder.name.startswith("tiny-")
    assert ablate.main(["--study", "tiny", *asked, "--out", "elsewhere"]) == 0
    assert (finished.folder / "elsewhere" / "study.json").read_bytes() == (folder / "study.json").read_bytes()


def test_one_arm_alone_is_run_and_leaves_the_results_alone(project, trained, capsys):
    assert command(capsys, ablate.main, "--study", "tiny", "--arm", "nu-2")[0] == 0
    assert len(trained()) == 1 and not (project.folder / "results").exists()
    # and of a search, without searching
    assert command(capsys, ablate.main, "--study", "quest", "--arm", "published")[0] == 0
    assert len(trained()) == 2


def test_elsewhere_than_on_a_terminal_progress_is_one_plain_line_a_run(project, capsys):
    status, output, errors = command(capsys, ablate.main, "--study", "tiny")
    lines = output.splitlines()
    assert (status, errors) == (0, "")
    assert [line[:5] for line in lines[:3]] == ["[1/3]", "[2/3]", "[3/3]"] and len(lines) == 5
    assert re.fullmatch(r"\[2/3\] ν 1, seed 0: finished; loss [\d.]+, RankMe [\d.]+, std [\d.]+.*", lines[1])
    assert lines[3].startswith("Best on validation is ") and "results/ablate/tiny" in lines[4]
    assert "\x1b" not in output


# ---- questions that train nothing


def test_status_says_what_is_finished(finished, trained, capsys):
    status, output, _ = command(capsys, ablate.main, "--study", "tiny", "--status")
    assert status == 0 and "3 of 3 runs are finished" in output
    assert output.count(" finished ") == 3 and trained() == []


def test_status_says_what_was_never_run_and_what_is_half_done(project, capsys, wait_until):
    _, output, _ = command(capsys, ablate.main, "--study", "tiny", "--status")
    assert "0 of 3 runs are finished" in output and output.count("never run") == 3
    half = project.start("--study", "tiny", "--arm", "nu-1", "--set", "pretrain.epochs=200")
    wait_until(project.checkpoints)
    half.send(signal.SIGKILL)
    half.wait()
    _, output, _ = command(capsys, ablate.main, "--study", "tiny", "--status", "--set", "pretrain.epochs=200")
    assert re.search(r"partial +│ stopped after \d+ of 200 epochs", output)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"pretrain.mu": 7}, "setting mu changed from 25.0 to 7.0"),
        ({"pretrain.base_lr": 0.1, "pretrain.width": 8}, "setting base_lr changed from 0.05 to 0.1; setting width changed from 4 to 8"),
        ({"prepare.split_seed": 3}, "data changed from"),
    ],
)
def test_status_says_why_a_run_is_stale(finished, capsys, settings, why):
    finished.set(settings)
    _, output, _ = command(capsys, ablate.main, "--study", "tiny", "--status")
    rows = [line for line in output.splitlines() if "│ ν" in line]
    assert len(rows) == 2 and all("stale" in row and why in row for row in rows)


def test_status_says_which_code_a_run_is_stale_for_and_the_numbers_are_not_served(finished, capsys, monkeypatch, trained):
    real = identity.code_digests
    monkeypatch.setattr(identity, "code_digests", lambda module: {**real(module), "vicreg.losses": "edited"})
    _, output, _ = command(capsys, ablate.main, "--study", "tiny", "--status")
    assert output.count("stale") == 3 and output.count("code changed in vicreg/losses.py") == 3
    assert "0 of 3 runs are finished" in output
    assert command(capsys, ablate.main, "--study", "tiny")[0] == 0
    assert len(trained()) == 3


def test_a_dry_run_prints_what_would_be_run_and_its_cost(project, trained, capsys):
    status, output, _ = command(capsys, ablate.main, "--study", "tiny", "--dry-run")
    lines = output.splitlines()
    assert status == 0 and trained() == [] and not (project.folder / "store" / "runs").exists()
    assert re.fullmatch(r"nu-1: 1 runs, 1 to run, \d+ s", lines[0]) and lines[2] == "untrained: 1 runs, 1 to run"
    assert re.match(r"in all about \d+ s with 1 at a time on cpu", lines[-1])


def test_a_dry_run_of_what_is_finished_costs_nothing(finished, capsys):
    _, output, _ = command(capsys, ablate.main, "--study", "tiny", "--dry-run")
    assert "nu-1: 1 runs, 0 to run" in output and "in all about 0 s" in output
    _, output, _ = command(capsys, ablate.main, "--study", "quest", "--dry-run")
    assert "search: 5 runs at most" in output  # four trials, and the best of them at one seed


def test_again_computes_the_numbers_once_more_and_finds_them_identical(finished, trained, capsys):
    stored = {path: path.read_bytes() for path in (finished.folder / "store" / "runs").rglob("*.json")}
    status, output, _ = command(capsys, ablate.main, "--study", "tiny", "--again")
    assert status == 0 and output.count(": identical; knn_") == 3 and len(trained()) == 3
    assert {path: path.read_bytes() for path in (finished.folder / "store" / "runs").rglob("*.json")} == stored


def test_again_names_a_number_that_differs(finished, capsys):
    summary = json.loads(finished.results("tiny"))
    digest = arm_of(summary, "nu-2")["runs"][0]["digest"]
    (path,) = finished.store.folder(digest).glob("evaluation-*.json")
    measured = json.loads(path.read_bytes())
    measured["test"]["knn_5"]["top1"] += 0.01
    path.write_text(json.dumps(measured))
    status, output, _ = command(capsys, ablate.main, "--study", "tiny", "--arm", "nu-2", "--again")
    assert status == 1 and "DIFFERS in test.knn_5.top1" in output


def test_the_command_that_results_give_for_an_arm_runs_it_again(finished, capsys):
    given = arm_of(json.loads(finished.results("tiny")), "nu-2")["command"]
    assert given.startswith("python -m study.ablate ")
    status, output, _ = command(capsys, ablate.main, *shlex.split(given)[3:])
    assert status == 0 and output.count("identical") == 1


# ---- what can befall a run


def test_a_run_that_diverges_is_recorded_the_others_go_on_and_the_status_says_so(project, trained, capsys):
    status, output, _ = command(capsys, ablate.main, "--study", "rough")
    assert status == 1
    assert statuses(project, "rough") == {"wild": ["diverged"], "calm": ["finished"], "untrained": ["finished"]}
    assert re.search(r"not finished: .*seed 0: diverged \(the (loss|network) stopped being finite in epoch 1 of 3\)", output)
    assert arm_of(json.loads(project.results("rough")), "wild")["verdict"]["name"] == "diverged"
    count, written = len(trained()), project.results("rough")
    assert command(capsys, ablate.main, "--study", "rough", "--allow-diverged")[0] == 0
    assert len(trained()) == count, "it would diverge again"
    assert project.results("rough") == written


def befall(monkeypatch, project, what, *, arm_nu, epoch=2):
    """Lets something happen to the run of one nu at the end of an epoch, the first time it gets there."""
    train, flag = runs.pretrain, project.folder / "it-has-happened"

    def fateful(settings, *args, on_epoch, **named):
        def watch(record):
            on_epoch(record)
            if settings.nu == arm_nu and settings.epochs and record["epoch"] == epoch and not flag.exists():
                flag.touch()
                what()

        return train(settings, *args, on_epoch=watch, **named)

    monkeypatch.setattr(runs, "pretrain", fateful)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    raise RuntimeError("something of its own\nwith details")


@pytest.mark.parametrize(
    ("what", "workers", "ending", "reason"),
    [
        (die, "2", "killed", "its process was ended by SIGKILL; a killed worker often means that memory ran out"),
        (fail, "1", "failed", "RuntimeError: something of its own"),
        (lambda: os._exit(3), "1", "failed", "its process ended with status 3; see store/workers.log"),
    ],
)
def test_what_befalls_one_run_is_recorded_the_others_go_on_and_the_next_call_makes_it_good(
    project, undisturbed, capsys, monkeypatch, what, workers, ending, reason
):
    befall(monkeypatch, project, what, arm_nu=1)
    status, output, errors = command(capsys, ablate.main, "--study", "tiny", "--workers", workers)
    assert (status, errors) == (1, "")
    assert statuses(project) == {"nu-1": [ending], "nu-2": ["finished"], "untrained": ["finished"]}
    assert f"not finished: ν 1, seed 0: {ending} ({reason})" in output
    digest = arm_of(json.loads(project.results("tiny")), "nu-1")["runs"][0]["digest"]
    assert (project.store.folder(digest) / "error.txt").exists() == (what is fail)
    status, output, _ = command(capsys, ablate.main, "--study", "tiny")
    assert status == 0 and output.count("seed 0: finished") == 1
    assert project.results("tiny") == undisturbed.results("tiny")


def test_a_worker_that_dies_with_nothing_to_do_holds_nothing_up(project, undisturbed, monkeypatch):
    execute = runs.execute

    def execute_and_die_later(run, **named):
        status = execute(run, **named)
        if run.config.pretrain.epochs == 0:
            import threading

            threading.Timer(0.2, die).start()
        return status

    from study import worker

    monkeypatch.setattr(worker, "execute", execute_and_die_later)
    while ablate.main(["--study", "tiny", "--workers", "2"]):
        pass
    assert project.results("tiny") == undisturbed.results("tiny")


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGKILL, "2"), (signal.SIGINT, "2"), (signal.SIGTERM, "1")])
def test_a_command_that_is_stopped_leaves_no_worker_and_the_next_call_ends_as_if_it_had_not_been(
    project, undisturbed, trained, wait_until, number, workers
):
    started = project.start("--study", "tiny", "--workers", workers)
    wait_until(project.checkpoints)
    processes = {process for _, process in trained()}
    started.send(number)
    ended = started.wait()
    if number == signal.SIGINT:
        assert (ended.status, ended.errors) == (130, "stopped; what was finished is kept, start again to go on\n")
    else:
        assert (ended.status, ended.errors) == (-number, "")
    wait_until(lambda: not any(alive(process) for process in processes), seconds=10)
    assert ablate.main(["--study", "tiny"]) == 0
    assert project.results("tiny") == undisturbed.results("tiny")
    assert_nothing_is_duplicated(project)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def assert_nothing_is_duplicated(project):
    for folder in (project.folder / "store" / "runs").iterdir():
        assert not list(folder.glob("checkpoint-*")) and len(list(folder.glob("evaluation-*.json"))) == 1
    assert len(list((project.folder / "store" / "runs").iterdir())) == 3


def test_two_commands_on_one_study_do_not_run_at_once(finished, capsys):
    with FileLock(finished.folder / "store" / "locks" / "tiny.lock"):
        status, _, errors = command(capsys, ablate.main, "--study", "tiny")
        assert status == 2
        assert errors == "error: study 'tiny' is being run by another command on this store; wait for it to end.\n"
        assert command(capsys, ablate.main, "--study", "quest")[0] == 0  # another study may
        assert command(capsys, ablate.main, "--study", "tiny", "--status")[0] == 0  # and one may ask
    assert command(capsys, ablate.main, "--study", "tiny")[0] == 0


# ---- a search


def trials_of(project, name):
    """The trials of the one Optuna study of this name: number, state, value and parameters."""
    storage = f"sqlite:///{project.folder / 'store' / 'optuna.db'}"
    (found,) = [one for one in optuna.get_all_study_names(storage) if one.startswith(f"{name}@")]
    return optuna.load_study(study_name=found, storage=storage).trials


def as_values(trials):
    return [(trial.number, trial.state.name, trial.value, trial.params, trial.user_attrs) for trial in trials]


def test_a_search_proposes_runs_prunes_those_that_collapse_and_runs_the_best_at_every_seed(undisturbed):
    summary = json.loads(undisturbed.results("quest"))
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


def test_a_search_that_was_interrupted_takes_the_same_path(project, undisturbed, trained, wait_until):
    started = project.start("--study", "quest", "--workers", "2")
    wait_until(lambda: len(trained()) > 2)  # in its second batch
    started.send(signal.SIGKILL)
    started.wait()
    assert ablate.main(["--study", "quest"]) == 0
    assert project.results("quest") == undisturbed.results("quest")
    assert as_values(trials_of(project, "quest")) == as_values(trials_of(undisturbed, "quest"))


def test_a_search_can_be_made_longer_or_shorter(finished, trained):
    assert ablate.main(["--study", "quest", "--trials", "3"]) == 0
    assert trained() == []
    assert ablate.main(["--study", "quest", "--trials", "5"]) == 0
    assert 1 <= len({digest for digest, _ in trained()}) <= 2  # the fifth trial, and it as the best if it is


def test_a_search_of_what_is_not_measured_is_refused(project, capsys):
    path = project.studies / "quest.yaml"
    path.write_text(path.read_text().replace("objective: knn_5", "objective: knn"))
    status, _, errors = command(capsys, ablate.main, "--study", "quest")
    assert status == 2 and errors == "error: search.objective must be one of knn_5, knn_20, but got 'knn'.\n"


# ---- Optuna


def test_every_cell_is_one_trial_that_carries_its_run_and_its_metrics(finished):
    summary, trials = json.loads(finished.results("tiny")), trials_of(finished, "tiny")
    assert sorted(trial.params["arm"] for trial in trials) == ["nu-1", "nu-2", "untrained"]
    for trial in trials:
        (run,) = arm_of(summary, trial.params["arm"])["runs"]
        assert trial.state.name == "COMPLETE" and trial.value == run["validation"]["knn_5"]["top1"]
        assert trial.user_attrs["run"] == run["digest"] and trial.user_attrs["status"] == "finished"
        assert trial.user_attrs["validation_knn_20"] == run["validation"]["knn_20"]["top1"]
        assert trial.user_attrs["rankme_embeddings"] == run["collapse"]["embeddings"]["rankme"]
        assert trial.user_attrs["verdict"] == run["verdict"]["name"]


def test_trials_are_made_anew_from_the_store_so_none_is_orphaned_or_doubled(project, trained, wait_until):
    started = project.start("--study", "tiny")
    wait_until(lambda: len(trained()) > 1)
    started.send(signal.SIGKILL)
    started.wait()
    assert ablate.main(["--study", "tiny"]) == 0
    assert ablate.main(["--study", "tiny"]) == 0
    assert [trial.state.name for trial in trials_of(project, "tiny")] == ["COMPLETE"] * 3


def test_two_arms_that_are_one_run_are_two_trials_of_it_and_trained_once(project, trained):
    path = project.studies / "tiny.yaml"
    path.write_text(path.read_text().replace("{pretrain.nu: 2}", "{pretrain.nu: 1.0}"))
    assert ablate.main(["--study", "tiny"]) == 0
    trials = {trial.params["arm"]: trial for trial in trials_of(project, "tiny")}
    assert set(trials) == {"nu-1", "nu-2", "untrained"} and len(trained()) == 2
    assert trials["nu-1"].user_attrs["run"] == trials["nu-2"].user_attrs["run"]


def test_a_run_that_diverged_is_a_failed_trial_without_a_value(project):
    ablate.main(["--study", "rough"])
    states = {trial.params["arm"]: (trial.state.name, trial.value) for trial in trials_of(project, "rough")}
    assert states["wild"] == ("FAIL", None) and states["calm"][0] == "COMPLETE"


# ---- bad input: one sentence, exit status 2, and nothing trained


def write(name, content):
    def do(project):
        path = project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return do


def spoil_data(project):
    ablate.main(["--study", "tiny", "--status"])  # prepares them
    (path,) = (project.folder / "store" / "datasets").glob("*/dataset.safetensors")
    path.write_bytes(path.read_bytes()[:-100])


def nothing(project):
    pass


@pytest.mark.parametrize(
    ("argv", "prepare", "said"),
    [
        (["--study", "tinny"], nothing, "there is no study 'tinny'; did you mean 'tiny'?"),
        (["--set", "pretrain.lamda=1"], nothing, "'pretrain.lamda' is not a parameter; did you mean 'pretrain.lambda'?"),
        (["--set", "pretrain.nu=-1"], nothing, "pretrain.nu must be a finite number of at least 0, but got -1"),
        (["--set", "pretrain.width=wide"], nothing, "pretrain.width must be a whole number, but got 'wide'"),
        (["--set", "pretrain.nu"], nothing, "--set takes key=value"),
        (["--profile", "tony"], nothing, "profile must be one of"),
        (["--arm", "nu-3"], nothing, "study 'tiny' has no arm 'nu-3'; it has nu-1, nu-2, untrained"),
        (["--trials", "3"], nothing, "--trials is for a search, but study 'tiny' has mode arms; use --seeds"),
        (["--device", "cuda"], nothing, "device cuda needs a GPU"),
        (["--store", "a-file"], write("a-file", b""), "a-file"),
        ([], write("params.yaml", b"profile: ["), "params.yaml is not valid YAML"),
        ([], lambda project: (project.folder / "params.yaml").unlink(), "params.yaml does not exist here"),
        ([], write("studies/tiny.yaml", b"question: 5"), "tiny.yaml must give question as text"),
        ([], spoil_data, "is damaged"),
        (["--set", "prepare.dataset=imagefolder"], nothing, "data/raw"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_status_2(project, capsys, trained, monkeypatch, argv, prepare, said):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    prepare(project)
    argv = argv if "--study" in argv else ["--study", "tiny", *argv]
    status, _, errors = command(capsys, ablate.main, *argv)
    assert (status, trained()) == (2, []), errors
    assert errors.startswith("error: ") and errors.count("\n") == 1 and said in errors


def test_settings_that_do_not_fit_the_data_fail_their_runs_in_one_sentence(project, capsys):
    status, output, _ = command(capsys, ablate.main, "--study", "tiny", "--set", "pretrain.batch_size=4000")
    said = "failed (pretrain.batch_size must not exceed the number of training images, but got 4000 and 160"
    assert status == 1 and output.count(f"not finished: ν 1, seed 0: {said}") == 1


@pytest.mark.parametrize("name", ["status.json", "history.json"])
def test_a_damaged_run_is_one_sentence_and_costs_no_other(finished, capsys, name):
    digest = arm_of(json.loads(finished.results("tiny")), "nu-1")["runs"][0]["digest"]
    (finished.store.folder(digest) / name).write_text("{")
    status, _, errors = command(capsys, ablate.main, "--study", "tiny")
    assert status == 2 and errors.count("\n") == 1
    assert errors.startswith(f"error: store/runs/{digest}/{name} is damaged") and "delete its folder" in errors


def test_a_corrupt_checkpoint_fails_its_run_alone_and_says_what_to_do(project, undisturbed, capsys, monkeypatch):
    befall(monkeypatch, project, die, arm_nu=1)
    ablate.main(["--study", "tiny"])
    (path,) = project.folder.glob("store/runs/*/checkpoint-*/model.safetensors")
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    status, output, errors = command(capsys, ablate.main, "--study", "tiny")
    assert (status, errors) == (1, "") and re.search(r"failed \(.*model.safetensors is corrupt.*delete .*\)", output)
    path.write_bytes(good)  # nothing was lost
    assert ablate.main(["--study", "tiny"]) == 0
    assert project.results("tiny") == undisturbed.results("tiny")


@pytest.mark.parametrize("argv", [["--workers", "0"], ["--seeds", "x"], ["--trials", "-1"], ["--status", "--again"], ["--nonsense"]])
def test_arguments_that_mean_nothing_are_refused(project, capsys, argv):
    status, _, errors = command(capsys, ablate.main, "--study", "tiny", *argv)
    assert status == 2 and "error: " in errors.splitlines()[-1]


def test_a_stage_ends_in_one_sentence_where_its_checkpoint_is_corrupt(project, capsys, monkeypatch):
    befall(monkeypatch, project, lambda: (_ for _ in ()).throw(KeyboardInterrupt), arm_nu=1)
    status, _, errors = command(capsys, pretrain.main)
    assert (status, errors) == (130, "stopped; what was finished is kept, start again to go on\n")
    (path,) = project.folder.glob("store/runs/*/checkpoint-*/manifest.json")
    path.write_text("{")
    status, _, errors = command(capsys, pretrain.main)
    assert status == 2 and errors.startswith("error: the checkpoint store/runs/") and errors.count("\n") == 1


def test_a_stage_ends_in_one_sentence_where_the_baseline_diverges(project, capsys):
    project.set({"pretrain.base_lr": 1e30, "pretrain.optimizer": "sgd"})
    status, _, errors = command(capsys, pretrain.main)
    assert status == 2 and errors.startswith("error: the baseline must train to its end, but ended as diverged")
    assert not (project.folder / "models").exists()
