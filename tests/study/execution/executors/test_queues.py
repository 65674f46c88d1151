"""What a SLURM cluster says of its queue, and what is made of it."""

import os
import stat
from types import SimpleNamespace

import pytest

from study.config.slurm import SlurmSettings
from study.execution.executors import queues
from study.execution.executors.queues import NotNow, SlurmQueue, last_line, read_queue
from vicreg.errors import InputError


def test_a_queue_is_read_as_squeue_prints_it():
    printed = (
        "2|PENDING|BeginTime\n3|RUNNING|None\n4|COMPLETING|None\n5|CANCELLED|None\n6|TIMEOUT|TimeLimit\n"
        "7|PENDING|launch failed requeued held\n\n"
    )
    assert read_queue(printed) == {"2": "BeginTime", "3": "None", "4": "None", "7": "launch failed requeued held"}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """SLURM's commands as scripts: squeue prints a file, scancel and sbatch write down what they are given."""
    commands = tmp_path / "bin"
    commands.mkdir()
    scripts = {
        "squeue": f"cat {tmp_path}/queue",
        "scancel": f'echo "$@" >> {tmp_path}/cancelled',
        "sbatch": f'env > {tmp_path}/environment; cat "$1" > {tmp_path}/script; . {tmp_path}/sbatch',
        "srun": "exit 1",
    }
    for name, body in scripts.items():
        (commands / name).write_text(f"#!/bin/sh\n{body}\n")
        (commands / name).chmod(stat.S_IRWXU)
    (tmp_path / "sbatch").write_text("echo Submitted batch job 7")
    (tmp_path / "queue").write_text("")
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    return tmp_path


def opened(folder, **options):
    return SlurmQueue(SlurmSettings(options=(("time", 90), *options.items())), folder=folder / "jobs")


def jobs(*names):
    return [SimpleNamespace(job_id=name) for name in names]


def test_what_is_absent_twice_is_lost_and_what_waits_or_ends_is_not(cluster):
    queue = opened(cluster)
    (cluster / "queue").write_text("1|PENDING|Priority\n2|COMPLETING|None\n")
    assert queue.lost(jobs("1", "2", "3")) == {}
    (cluster / "queue").write_text("1|RUNNING|None\n")
    assert queue.lost(jobs("1", "2", "3")) == {"3": "its job 3 left SLURM's queue without a result"}
    (cluster / "queue").write_text("1|RUNNING|None\n2|PENDING|BeginTime\n")  # it was queued again in between
    assert queue.lost(jobs("1", "2")) == {}


def test_what_slurm_holds_is_lost(cluster):
    (cluster / "queue").write_text("1|PENDING|launch failed requeued held\n")
    assert opened(cluster).lost(jobs("1")) == {"1": "SLURM holds its job (launch failed requeued held)"}


def test_a_controller_that_does_not_answer_says_nothing_of_jobs(cluster):
    queue = opened(cluster)
    (cluster / "queue").unlink()
    assert queue.lost(jobs("1")) == queue.lost(jobs("1")) == {}


def test_a_job_asks_for_what_is_set_and_for_as_many_processors_as_its_run_has_threads(cluster):
    queue = opened(cluster, partition="gpu", gpus=1, account="vision")
    job = queue.submit(print, {"digest": "0123", "values": {"pretrain": {"threads": 3}}})
    assert job.job_id == "7"
    script = (cluster / "script").read_text().splitlines()
    asked = {line.removeprefix("#SBATCH --") for line in script if line.startswith("#SBATCH")}
    wanted = {"time=90", "partition=gpu", "gpus=1", "account=vision", "cpus-per-task=3", "requeue", "job-name=vicreg-0123"}
    assert wanted <= asked and "job-name=submitit" not in asked
    assert "signal=USR2@30" in asked and not any(line.startswith("wckey") for line in asked)
    (command,) = [line for line in script if line.startswith("srun")]
    assert "--cpus-per-task=3" in command


def test_a_job_does_not_inherit_that_of_the_command(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    monkeypatch.setenv("SLURM_CONF", "/somewhere/slurm.conf")
    opened(cluster).submit(print, {})
    environment = (cluster / "environment").read_text()
    assert "SLURM_MEM_PER_CPU" not in environment and "SLURM_CONF=/somewhere" in environment
    assert os.environ["SLURM_MEM_PER_CPU"] == "100"


def test_what_sbatch_refuses_is_told_in_one_sentence_and_printed_nowhere_else(cluster, capfd):
    said = "sbatch: error: invalid partition specified: x\nsbatch: error: Invalid partition name specified"
    (cluster / "sbatch").write_text(f'echo "{said}" >&2; exit 1')
    with pytest.raises(InputError) as raised:
        opened(cluster).submit(print, {})
    refused = "sbatch refuses the job of a run (invalid partition specified: x); change ablate.slurm in params.yaml."
    assert str(raised.value) == refused
    assert capfd.readouterr() == ("", "")


def test_a_busy_controller_is_asked_later(cluster):
    (cluster / "sbatch").write_text("echo sbatch: error: Batch job submission failed: Socket timed out >&2; exit 1")
    with pytest.raises(NotNow, match="Socket timed out"):
        opened(cluster).submit(print, {})


def test_jobs_are_cancelled_by_their_names(cluster):
    opened(cluster).cancel(jobs("1", "2"))
    assert (cluster / "cancelled").read_text() == "1 2\n"


def test_a_host_without_slurm_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"^--executor slurm needs SLURM's sbatch, which is not here; run it on a login node"
    ):
        opened(tmp_path)


@pytest.mark.parametrize("executor", ["slurm", "submitit-local"])
def test_without_submitit_the_sentence_says_how_to_get_it(tmp_path, monkeypatch, executor):
    monkeypatch.setattr(queues, "submitit", None)
    kind = {"slurm": SlurmQueue, "submitit-local": queues.LocalQueue}[executor]
    with pytest.raises(InputError, match=rf"--executor {executor} needs submitit, .* pip install 'vicreg-study\[slurm\]'"):
        kind(SlurmSettings(options=()), folder=tmp_path)


def test_the_last_line_of_a_trace_is_what_went_wrong():
    trace = (
        "Job (task=0) failed during processing with trace:\n-----\nTraceback:\n  x\nValueError: no\n\n-----\nYou can check"
    )
    assert last_line(f"{trace} full logs with ...") == "ValueError: no"
    assert last_line("") == "no reason was given"


def test_a_reason_to_wait_that_does_not_pass_by_itself_is_said_once_and_waited_for(cluster, capsys):
    (cluster / "queue").write_text("1|PENDING|AssocGrpCpuLimit\n2|PENDING|Priority\n")
    queue = opened(cluster)
    assert queue.lost(jobs("1", "2")) == queue.lost(jobs("1", "2")) == {}
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "SLURM lets jobs of this study wait (AssocGrpCpuLimit)" in said
