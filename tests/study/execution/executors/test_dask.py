"""What can befall a run, its process or the whole command: the rest goes on, nothing is left behind, and the next call ends
as if nothing had been."""

import functools
import json
import logging
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

import psutil
import pytest
import torch
from distributed import Client, LocalCluster, Security
from distributed.cli import dask_scheduler, dask_worker

from benchmarks import torture
from study import ablate
from study.config.load import load_config
from study.execution.executors.dask import RESENT, LocalWorkers, SchedulerWorkers
from study.execution.executors.engine import EngineExecutor
from study.runs import execute as executing
from study.runs.prepared_data import obtain_dataset
from study.spec.plan import make_plan
from study.spec.study_file import load_study
from tests.study.conftest import Forked
from vicreg.errors import InputError
from vicreg.training import loop as loop

CPU = torch.device("cpu")


def test_a_run_that_diverges_is_recorded_the_others_go_on_and_the_status_says_so(project, inline, trained, command):
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


def contents(project):
    """Digest -> weights, log without speeds, and evaluations of every run in a project's store, as they are compared."""
    found = {}
    for folder in (path.parent for path in (project.store.root / "runs").glob("*/model.safetensors")):  # not pruned
        log = json.loads((folder / "history.json").read_bytes())
        log = [{key: value for key, value in record.items() if key != "images_per_second"} for record in log]
        measured = {path.name: path.read_bytes() for path in folder.glob("evaluation-*.json")}
        found[folder.name] = ((folder / "model.safetensors").read_bytes(), log, measured)
    return found


def assert_bit_identical(project, undisturbed, *, runs=None):
    """Compare the runs that both have: all of the project's, or so many."""
    one, two = contents(project), contents(undisturbed)
    shared = one.keys() & two.keys()
    assert len(shared) == (runs or len(one)) and {key: one[key] for key in shared} == {key: two[key] for key in shared}


@pytest.mark.slow
def test_a_defect_of_one_run_is_recorded_the_others_go_on_and_the_next_call_makes_it_good(
    project, undisturbed, command, befall
):
    befall(fail, nu=1)
    status, output, errors = command(ablate.main, "--study", "tiny")
    assert (status, errors) == (1, "")
    assert project.statuses("tiny") == {"nu-1": ["failed"], "nu-2": ["finished"], "untrained": ["finished"]}
    assert "not finished: ν 1, seed 0: failed (RuntimeError: something of its own)" in output
    digest = project.arm("tiny", "nu-1")["runs"][0]["digest"]
    assert (project.store.folder(digest) / "error.txt").exists()
    status, output, _ = command(ablate.main, "--study", "tiny")
    assert status == 0 and output.count("seed 0: finished") == 1
    assert project.results("tiny") == undisturbed.results("tiny")


@pytest.mark.slow
def test_a_run_whose_worker_dies_is_sent_again_and_nothing_shows(project, undisturbed, trained, command, befall):
    befall(die, nu=1)
    status, output, errors = command(ablate.main, "--study", "tiny", "--workers", "2")
    assert (status, errors) == (0, "") and output.count("seed 0: finished") == 3
    assert len(trained()) == 4, "two runs, the control, and one of them again"
    assert project.results("tiny") == undisturbed.results("tiny")
    assert_bit_identical(project, undisturbed)


@pytest.mark.slow
def test_a_run_that_kills_every_worker_is_recorded_and_the_others_go_on(project, command, monkeypatch):
    train = executing.pretrain

    def poison(settings, *arguments, **named):
        if settings.epochs and settings.method_settings.nu == 1:
            die()
        return train(settings, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(executing, "pretrain", poison)
        status, output, errors = command(ablate.main, "--study", "tiny", "--workers", "2")
    assert (status, errors) == (1, "")
    assert project.statuses("tiny") == {"nu-1": ["killed"], "nu-2": ["finished"], "untrained": ["finished"]}
    reason = "its process died 4 times; a killed worker often means that memory ran out"
    assert f"not finished: ν 1, seed 0: killed ({reason})" in output
    assert command(ablate.main, "--study", "tiny")[0] == 0


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_study_whose_every_run_loses_its_worker_ends_as_if_none_had_died(project, undisturbed, command, monkeypatch):
    train = executing.pretrain

    def mortal(settings, *arguments, identity, on_epoch, **named):
        flag = project.folder / f"died-{identity}"

        def watch(record):
            on_epoch(record)
            if record["epoch"] == 2 and not flag.exists():
                flag.touch()
                die()

        return train(settings, *arguments, identity=identity, on_epoch=watch, **named)

    monkeypatch.setattr(executing, "pretrain", mortal)
    assert command(ablate.main, "--study", "tiny", "--seeds", "2", "--workers", "1")[0] == 0
    assert len(list(project.folder.glob("died-*"))) == 4 > RESENT, "one that had begun is not one that cannot be started"
    assert_bit_identical(project, undisturbed, runs=3)


@pytest.fixture
def by_hand(project):
    """The address of a scheduler on loopback with two workers, each started by Dask's own commands."""
    file, started = project.folder / "scheduler.json", []

    def start(main, *arguments):
        with open(os.devnull, "r+b") as nothing:
            null = nothing.fileno()
            started.append(Forked(lambda: main([*arguments], standalone_mode=False), stdin=null, stdout=null, stderr=null))

    start(dask_scheduler.main, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    for _ in range(2):
        start(dask_worker.main, "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--no-dashboard",
              "--host", "127.0.0.1", "--memory-limit", "0")  # fmt: skip
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text().endswith("}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield json.loads(file.read_text())["address"]
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_workers_and_a_cluster_given_by_its_address_come_to_the_results_of_one_worker_bit_for_bit(
    project, undisturbed, trained, command, by_hand
):
    assert command(ablate.main, "--study", "tiny", "--executor", by_hand)[0] == 0
    assert project.results("tiny") == undisturbed.results("tiny")
    remote, processes = contents(project), {process for _, process in trained()}
    assert len(remote) == 3
    assert_bit_identical(project, undisturbed)
    assert os.getpid() not in processes and all(map(torture.is_alive, processes)), "a cluster of others stays"
    shutil.rmtree(project.store.root)
    assert command(ablate.main, "--study", "tiny", "--workers", "2")[0] == 0
    assert contents(project) == remote


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_told_of_in_one_sentence(project, command, monkeypatch):
    monkeypatch.setattr("study.execution.executors.dask.CONNECT", 1)
    status, output, errors = command(ablate.main, "--study", "tiny", "--executor", "tcp://127.0.0.1:9")
    assert (status, output) == (2, "")
    assert errors.startswith("error: no Dask scheduler can be reached at tcp://127.0.0.1:9 (") and errors.count("\n") == 1


@pytest.fixture
def far():
    """`far(workers, threads=1)`: a scheduler of this process with so many workers, and an engine on it."""
    with ExitStack() as stack:

        def open_one(workers, *, threads=1):
            place = stack.enter_context(
                LocalCluster(n_workers=workers, threads_per_worker=threads, processes=False, protocol="tcp",
                             host="127.0.0.1", dashboard_address=None, silence_logs=logging.CRITICAL,
                             scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"})
            )  # fmt: skip
            return place, stack.enter_context(SchedulerWorkers(place.scheduler_address))

        yield open_one


def test_a_scheduler_without_workers_is_told_of_once_while_runs_wait_and_its_end_ends_the_study(far, monkeypatch, capsys):
    for name in ("JOIN", "COUNT_EVERY"):  # seconds
        monkeypatch.setattr(f"study.execution.executors.dask.{name}", 0.01)
    place, engine = far(0)
    for _ in range(5):
        assert engine.size == 1
        time.sleep(0.02)
    said = f"note: the Dask scheduler at {place.scheduler_address} has no worker any more; runs wait until one joins it.\n"
    assert capsys.readouterr().err == said
    with pytest.raises(InputError, match="no worker has joined the Dask scheduler at .*; start one with `dask worker"):
        engine.describe()


def test_a_worker_with_several_threads_is_refused(far):
    with pytest.raises(InputError, match="a worker must have one thread, but .* has 2; start one with `dask worker"):
        far(1, threads=2)[1].describe()


def test_a_worker_that_lacks_the_project_is_told_of_in_one_sentence(far, monkeypatch):
    def fail():
        raise ModuleNotFoundError("No module named 'study'")

    monkeypatch.setattr("study.execution.executors.dask.describe_host", fail)
    with pytest.raises(
        InputError, match=r"does not answer \(.*No module named 'study'.*\); start it in the project's folder"
    ):
        far(1)[1].describe()


def begin_and_die(job):
    with open(job["store"], "a", encoding="utf-8") as file:
        file.write(f"{job['digest']}\n")
    die()


@pytest.mark.slow
def test_a_job_is_given_up_after_four_deaths_of_its_own_however_many_workers_die_beside_it(
    tmp_path, monkeypatch, wait_until
):
    monkeypatch.setattr("study.execution.executors.starting.START_METHOD", "fork")
    monkeypatch.setattr("study.execution.executors.dask.run_job", begin_and_die)
    begun, answers = tmp_path / "begun", queue.Queue()
    with LocalWorkers(2, log=tmp_path / "workers.log") as engine:
        for number in range(4):
            engine.send({"digest": str(number), "store": str(begun)}, answers.put)
        # An executor asks for the size now and then, which replaces workers that Dask does not start again.
        wait_until(lambda: engine.size == 2 and answers.qsize() == 4, seconds=120)
        said = [answers.get()["reason"] for _ in range(4)]
    assert all(reason.startswith("its process died 4 times; ") for reason in said)
    assert Counter(begun.read_text().split()) == {str(number): 4 for number in range(4)}


@pytest.fixture
def opened(project):
    """`opened()`: an executor on two workers of this host, its engine, and the cells of the study `tiny`."""

    def open_two():
        dataset, folder = obtain_dataset(load_config(), store=project.store.root)
        study = load_study("tiny", folder=project.studies)
        cells = make_plan(study, load_config(), data=dataset.digest, device=CPU, seeds=[0]).cells
        engine = LocalWorkers(2, log=project.store.root / "workers.log")
        return EngineExecutor(engine, data=folder, store=project.store, device="cpu"), engine, cells

    return open_two


@pytest.mark.slow
def test_a_worker_that_dies_with_nothing_to_do_is_replaced(opened, wait_until):
    executor, engine, (untrained, *trained) = opened()
    with executor:
        executor.submit(untrained.run)
        list(executor.events())
        ((_, first),) = engine.ask(os.getpid).items()
        os.kill(first, signal.SIGKILL)
        for cell in trained:
            executor.submit(cell.run)
        ended = [event.status for event in executor.events() if event.kind == "end"]
        assert len(set(engine.ask(os.getpid).values()) - {first}) == 2
    assert ended == ["finished"] * 2


@pytest.mark.slow
def test_on_leaving_the_executor_for_whatever_reason_no_worker_is_left(opened, wait_until):
    executor, engine, (_, *cells) = opened()
    with pytest.raises(ZeroDivisionError), executor:
        for cell in cells:
            executor.submit(cell.run)
        assert executor.free == 0 and executor.active == [cell.run for cell in cells]
        wait_until(lambda: len(engine.ask(os.getpid)) == 2)
        processes = list(engine.ask(os.getpid).values())
        assert all(map(torture.is_alive, processes))
        raise ZeroDivisionError
    assert not any(map(torture.is_alive, processes))


@pytest.mark.slow
def test_each_worker_sees_the_gpu_of_its_environment_and_listens_on_loopback_alone(tmp_path, monkeypatch, wait_until):
    monkeypatch.setattr("study.execution.executors.starting.START_METHOD", "fork")
    seen = [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "GPU-abc"}]
    with LocalWorkers(4, log=tmp_path / "workers.log", environments=seen) as engine:
        for number in range(4):
            engine.send({"digest": f"{number}", "store": "/nowhere", "data": "", "device": "cpu"}, lambda answer: None)
        wait_until(lambda: len(engine.ask(os.getpid)) == 4)
        answers = engine.ask(functools.partial(os.getenv, "CUDA_VISIBLE_DEVICES"))
        assert sorted(answers.values()) == ["3", "3", "GPU-abc", "GPU-abc"]
        here = psutil.Process()
        listening = [
            one.laddr.ip
            for process in (here, *here.children(recursive=True))
            for one in process.net_connections()
            if one.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}
        # Another user of this host could make a scheduler execute what he likes: only who has this one's key may connect.
        (scheduler,) = set(engine.ask(lambda dask_worker: dask_worker.scheduler.address).values())
        assert scheduler.startswith("tls://127.0.0.1:")
        with pytest.raises(OSError, match="TLS certificate does not match"):
            Client(scheduler, security=Security.temporary(), timeout=1, set_as_default=False)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGKILL, "2"), (signal.SIGINT, "1")])
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
    wait_until(lambda: not any(map(torture.is_alive, processes)), seconds=8)
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
    wait_until(lambda: not torture.is_alive(process), seconds=8)


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
        kills=2, study="tiny", workers=2, seed=0, folder=project.folder / "torture", settings=settings, say=said.append
    )
    assert wrong == [] and len(said) == 3
    assert any("it had 2 workers" in line for line in said), said


@pytest.mark.slow
def test_the_command_and_its_workers_as_processes_of_their_own_come_to_the_same(project, undisturbed):
    (project.folder / "studies" / "tiny.yaml").rename(project.folder / "tiny.yaml")
    script = (
        "from functools import partial; from pathlib import Path; from study import ablate;"
        "from study.execution import session; from study.spec.study_file import load_study;"
        "session.load_study = partial(load_study, folder=Path('.')); import sys; assert 'distributed' not in sys.modules;"
        "ablate.main(['--study', 'tiny'])"
    )
    ended = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(torture.ROOT)},
                           capture_output=True, text=True)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert project.results("tiny") == undisturbed.results("tiny")
    # elsewhere than on a terminal, progress is one plain line a run
    lines = ended.stdout.splitlines()
    assert [line[:5] for line in lines[:3]] == ["[1/3]", "[2/3]", "[3/3]"] and len(lines) == 5
    assert re.fullmatch(r"\[2/3\] ν 1, seed 0: finished; loss [\d.]+, RankMe [\d.]+, std [\d.]+.*", lines[1])
    assert "Run at least three seeds: " in lines[3] and "results/ablate/tiny" in lines[4]
    assert "\x1b" not in ended.stdout
