"""Studies whose runs are jobs in a queue: the results of any other executor, whatever befalls a job."""

import os

import pytest

from study import ablate
from study.config.load import load_config
from study.config.slurm import SlurmSettings
from study.execution.executors import queues
from study.execution.executors.queued import ask_queue
from study.execution.machine import describe_host
from tests.study.conftest import Forked
from tests.study.execution.executors.deeds import die


@pytest.fixture
def started(monkeypatch):
    """The ids of the jobs that submitit has started here; their processes are copies of this one."""
    from submitit.core import submission
    from submitit.local import local

    ids = []

    def start(folder, **named):
        def body():
            named_here = {"JOB_ID": os.getpid(), "NTASKS": 1, "JOB_NUM_NODES": 1, "NODEID": 0, "GLOBALID": 0, "LOCALID": 0}
            os.environ.update({f"SUBMITIT_LOCAL_{name}": str(value) for name, value in named_here.items()})
            os.environ["SUBMITIT_EXECUTOR"] = "local"
            submission.process_job(folder)

        with open(os.devnull, "r+b") as nothing:
            process = Forked(body, stdin=nothing.fileno(), stdout=nothing.fileno(), stderr=nothing.fileno())
        ids.append(process.pid)
        return process

    monkeypatch.setattr(local, "start_controller", start)
    return ids


def weights(project):
    return {path.parent.name: path.read_bytes() for path in project.store.root.glob("runs/*/model.safetensors")}


@pytest.mark.slow
def test_a_study_in_a_queue_has_the_results_of_one_worker_bit_for_bit_though_a_job_is_killed(
    project, undisturbed, trained, started, befall, command, tmp_path
):
    befall(lambda: die({"signs": tmp_path / "signs"}), nu=1)
    status, output, errors = command(ablate.main, "--study", "tiny", "--executor", "submitit-local")
    assert (status, errors) == (0, "") and output.count("seed 0: finished") == 3
    assert len(started) == 4 and len(trained()) == 4, "two runs, the control, and one of them again"
    assert project.results("tiny") == undisturbed.results("tiny")
    kept = weights(undisturbed)
    assert len(weights(project)) == 3
    assert weights(project) == {digest: kept[digest] for digest in weights(project)}


def test_hosts_are_asked_by_one_job_and_again_only_for_other_settings(project, started, monkeypatch, capsys):
    monkeypatch.setattr(queues, "SlurmQueue", queues.LocalQueue)
    usual = load_config().ablate.slurm
    other = SlurmSettings(options=(*usual.options, ("constraint", "a100")))
    longer = SlurmSettings(options=(("time", 90),))
    hosts = [describe_host()]
    assert ask_queue("slurm", usual, store=project.store) == hosts and len(started) == 1
    assert capsys.readouterr().err == "waiting for a first job on SLURM, which tells what its hosts are\n"
    assert ask_queue("slurm", longer, store=project.store) == hosts and len(started) == 1
    assert capsys.readouterr().err == ""
    assert ask_queue("slurm", other, store=project.store) == hosts and len(started) == 2


def test_a_place_that_is_none_is_refused_with_those_there_are(project, command):
    status, _, errors = command(ablate.main, "--study", "tiny", "--executor", "pbs")
    assert status == 2
    assert "must be slurm, submitit-local, tcp://HOST:PORT or tls://HOST:PORT, but got 'pbs'" in errors
