"""What can befall a run, its process or the whole command: the rest goes on, nothing is left behind, and the next call ends
as if nothing had been."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from benchmarks import torture
from study import ablate
from study.config.load import load_config
from study.execution.executors.local import LocalExecutor
from study.runs.prepared_data import obtain_dataset
from study.spec.plan import make_plan
from study.spec.study_file import load_study
from vicreg.training import loop as loop

CPU = torch.device("cpu")


def test_a_run_that_diverges_is_recorded_the_others_go_on_and_the_status_says_so(project, trained, command):
    status, output, _ = command(ablate.main, "--study", "rough")
    assert status == 1
    assert project.statuses("rough") == {"wild": ["diverged"], "calm": ["finished"], "untrained": ["finished"]}
    assert re.search(r"not finished: .*seed 0: diverged \(the (loss|network) stopped being finite in epoch 1 of 3\)", output)
    assert project.arm("rough", "wild")["verdict"]["name"] == "diverged"
    states = {trial.params["arm"]: (trial.state.name, trial.value) for trial in project.trials("rough")}
    assert states["wild"] == ("FAIL", None) and states["calm"][0] == "COMPLETE"
    count, written = len(trained()), project.results("rough")
    assert command(ablate.main, "--study", "rough", "--allow-diverged")[0] == 0
    assert len(trained()) == count, "it would diverge again"
    assert project.results("rough") == written


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    raise RuntimeError("something of its own\nwith details")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "workers", "ending", "reason"),
    [
        (die, "2", "killed", "its process was ended by SIGKILL; a killed worker often means that memory ran out"),
        (fail, "1", "failed", "RuntimeError: something of its own"),
        (lambda: os._exit(3), "1", "failed", "its process ended with status 3; see store/workers.log"),
    ],
)
def test_what_befalls_one_run_is_recorded_the_others_go_on_and_the_next_call_makes_it_good(
    project, undisturbed, command, befall, what, workers, ending, reason
):
    befall(what, nu=1)
    status, output, errors = command(ablate.main, "--study", "tiny", "--workers", workers)
    assert (status, errors) == (1, "")
    assert project.statuses("tiny") == {"nu-1": [ending], "nu-2": ["finished"], "untrained": ["finished"]}
    assert f"not finished: ν 1, seed 0: {ending} ({reason})" in output
    digest = project.arm("tiny", "nu-1")["runs"][0]["digest"]
    assert (project.store.folder(digest) / "error.txt").exists() == (what is fail)
    status, output, _ = command(ablate.main, "--study", "tiny")
    assert status == 0 and output.count("seed 0: finished") == 1
    assert project.results("tiny") == undisturbed.results("tiny")


@pytest.mark.slow
def test_a_worker_that_dies_with_nothing_to_do_is_replaced(project):
    config = load_config().with_settings({"pretrain.epochs": 16})
    dataset, folder = obtain_dataset(config, store=project.store.root)
    study = load_study("tiny", folder=project.studies)
    untrained, other, long = make_plan(study, config, data=dataset.digest, device=torch.device("cpu"), seeds=[0]).cells
    arms = {cell.run.digest: cell.arm for cell in (untrained, other, long)}
    ended = {}
    with LocalExecutor(workers=2, data=folder, store=project.store, device="cpu") as executor:
        executor.submit(untrained.run)
        executor.submit(long.run)
        for event in executor.events():
            if event.kind == "end":
                ended[arms[event.run.digest]] = event.status
            if event.run is untrained.run:
                idle, _ = executor.processes
                idle.kill()
                idle.wait()
            elif event.kind == "epoch" and event.record["epoch"] == 12:  # its death has long been heard of
                executor.submit(other.run)
    assert ended == {"untrained": "finished", "nu-1": "finished", "nu-2": "finished"}


def test_on_leaving_the_executor_for_whatever_reason_no_worker_is_left(project):
    config = load_config()
    dataset, folder = obtain_dataset(config, store=project.store.root)
    study = load_study("tiny", folder=project.studies)
    cells = make_plan(study, config, data=dataset.digest, device=torch.device("cpu"), seeds=[0]).cells
    executor = LocalExecutor(workers=2, data=folder, store=project.store, device="cpu")
    with pytest.raises(ZeroDivisionError), executor:
        for cell in cells[1:]:
            executor.submit(cell.run)
        assert executor.free == 0 and executor.active == [cell.run for cell in cells[1:]]
        processes = list(executor.processes)
        raise ZeroDivisionError
    assert all(process.returncode == -signal.SIGKILL for process in processes)


class Ticking:
    """A device that uses a joule between any two looks at its counter."""

    def joules(self):
        return 1.0


def test_energy_is_noted_of_every_run_however_it_ended_and_of_those_the_executor_was_left_with(project, befall):
    befall(die, nu=1)
    dataset, folder = obtain_dataset(load_config(), store=project.store.root)
    study = load_study("tiny", folder=project.studies)
    untrained, killed, stopped = make_plan(study, load_config(), data=dataset.digest, device=CPU, seeds=[0]).cells
    noted = {}

    def energy():
        return {cell.arm: project.store.result(cell.run)["joules"] for cell in (untrained, killed, stopped)}

    with pytest.raises(ZeroDivisionError):
        with LocalExecutor(workers=1, data=folder, store=project.store, device="cpu", meter=Ticking()) as executor:
            for cell in (untrained, killed, stopped):
                executor.submit(cell.run)
                for event in executor.events():
                    if cell is stopped and event.kind == "epoch":
                        noted = energy()
                        raise ZeroDivisionError
    assert noted["untrained"] >= 1 and noted["nu-1"] >= 3 and noted["nu-2"] is None  # two epochs and its death
    assert energy() == {**noted, "nu-2": 2.0}  # an epoch, and the end of the executor


@pytest.mark.slow
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGKILL, "2"), (signal.SIGINT, "2"), (signal.SIGTERM, "1")])
def test_a_command_that_is_stopped_leaves_no_worker_and_the_next_call_ends_as_if_it_had_not_been(
    project, undisturbed, trained, wait_until, number, workers, monkeypatch, request
):
    # A shell starts what it runs in the background with Ctrl-C ignored, and the command would inherit that from the tests.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    train_epoch = loop.train_epoch

    def unhurried(*arguments, **named):  # or the study may have ended before the signal comes
        time.sleep(0.2)
        return train_epoch(*arguments, **named)

    monkeypatch.setattr(loop, "train_epoch", unhurried)
    started = project.start("--study", "tiny", "--workers", workers)
    wait_until(project.checkpoints)
    processes = {process for _, process in trained()}
    started.send_signal(number)
    status, (_, errors) = started.wait(), project.said()
    if number == signal.SIGINT:
        assert (status, errors) == (130, "stopped; what was finished is kept, start again to go on\n")
    else:
        assert (status, errors) == (-number, "")
    wait_until(lambda: not any(map(torture.is_alive, processes)), seconds=10)
    assert ablate.main(["--study", "tiny"]) == 0
    assert project.results("tiny") == undisturbed.results("tiny")
    assert_nothing_is_duplicated(project)
    # Optuna's trials are made anew from the store: none is left running
    assert [trial.state.name for trial in project.trials("tiny")] == ["COMPLETE"] * 3


def assert_nothing_is_duplicated(project):
    for folder in (project.folder / "store" / "runs").iterdir():
        assert not list(folder.glob("checkpoint-*")) and len(list(folder.glob("evaluation-*.json"))) == 1
    assert len(list((project.folder / "store" / "runs").iterdir())) == 3


def test_a_worker_in_the_middle_of_a_long_epoch_does_not_outlive_the_command(project, befall, trained, wait_until):
    befall(lambda: time.sleep(60), nu=1)
    started = project.start("--study", "tiny", "--arm", "nu-1")
    wait_until(lambda: (project.folder / "it-has-happened").exists())
    ((_, process),) = trained()
    assert torture.is_alive(process)
    started.kill()
    started.wait()
    wait_until(lambda: not torture.is_alive(process), seconds=10)


@pytest.mark.slow
def test_a_study_killed_again_and_again_ends_as_if_it_had_not_been(project, monkeypatch):
    def start(place):
        monkeypatch.chdir(place.folder)
        return project.start("--study", place.study, "--workers", str(place.workers))

    monkeypatch.setattr(torture.Place, "start", start)  # as copies of this process: those start at once
    said = []
    settings = {section: dict(values) for section, values in torture.TINY.items()}
    settings["pretrain"]["epochs"] = 6
    wrong = torture.torture(
        kills=4, study="tiny", workers=2, seed=0, folder=project.folder / "torture", settings=settings, say=said.append
    )
    assert wrong == [] and len(said) == 5
    assert sum("it had 2 workers" in line for line in said) >= 2, said


@pytest.mark.slow
def test_the_command_and_its_workers_as_processes_of_their_own_come_to_the_same(project, undisturbed):
    (project.folder / "studies" / "tiny.yaml").rename(project.folder / "tiny.yaml")
    script = (
        "from functools import partial; from pathlib import Path; from study import ablate;"
        "from study.execution import session; from study.spec.study_file import load_study;"
        "session.load_study = partial(load_study, folder=Path('.')); ablate.main(['--study', 'tiny'])"
    )
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(torture.ROOT)},
                           capture_output=True, text=True)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert project.results("tiny") == undisturbed.results("tiny")
    # elsewhere than on a terminal, progress is one plain line a run
    lines = ended.stdout.splitlines()
    assert [line[:5] for line in lines[:3]] == ["[1/3]", "[2/3]", "[3/3]"] and len(lines) == 5
    assert re.fullmatch(r"\[2/3\] ν 1, seed 0: finished; loss [\d.]+, RankMe [\d.]+, std [\d.]+.*", lines[1])
    assert lines[3].startswith("Run at least three seeds: ") and "results/ablate/tiny" in lines[4]
    assert "\x1b" not in ended.stdout
