"""Jobs by submitit: each ends or is sent again, and nothing is left in the queue."""

import os
import queue
import signal
from pathlib import Path

import pytest

from benchmarks.torture import is_alive
from study.config.slurm import SlurmSettings
from study.execution.executors import queues, slurm
from study.execution.executors.queues import LocalQueue, NotNow
from study.execution.executors.slurm import RESENT, STALLED, ResumableRun, SubmititEngine, newest_checkpoint
from tests.study.execution.executors import deeds
from vicreg.errors import InputError

ROOT = Path(__file__).parents[4]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where submitit's files are; its processes find the project's packages and are looked at often."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(slurm, "LOOK", 0.05)
    return tmp_path / "jobs"


def local(folder, *works):
    """An engine on this machine whose jobs do these deeds in turn, the last one from then on."""
    queue_, left = LocalQueue(SlurmSettings(options=(("time", 5),)), folder=folder), list(works)
    return SubmititEngine(queue_, size=2, folder=folder, work=lambda: left.pop(0) if len(left) > 1 else left[0])


def ended(engine, *jobs):
    """The answers to jobs, in their order."""
    answers = [queue.Queue() for _ in jobs]
    for job, answer in zip(jobs, answers, strict=True):
        engine.send(job, answer.put)
    return [answer.get(timeout=120) for answer in answers]


def test_every_job_has_its_answer_and_no_file_is_left(folder):
    with local(folder, deeds.double) as engine:
        answers = ended(engine, {"number": 1}, {"number": 2})
        assert [answer["doubled"] for answer in answers] == [2, 4]
        assert engine.jobs == []
    assert not folder.exists()


def test_a_job_whose_process_dies_is_sent_again_and_ends(folder, tmp_path):
    with local(folder, deeds.die_once) as engine:
        (answer,) = ended(engine, {"number": 4, "signs": str(tmp_path / "signs")})
    assert (answer["status"], answer["doubled"]) == ("finished", 8)
    assert folder.exists(), "what the dead one printed is worth reading"


def test_a_job_that_kills_every_process_is_given_up_and_the_others_end(folder, tmp_path):
    signs = tmp_path / "signs"
    with local(folder, *[deeds.die] * (1 + RESENT), deeds.double) as engine:
        (answer,) = ended(engine, {"signs": str(signs)})
        assert answer["status"] == "killed"
        assert answer["reason"] == f"its process ended without a result, {1 + RESENT} times; see {folder}"
        assert len(signs.read_text().splitlines()) == 1 + RESENT
        assert ended(engine, {"number": 1})[0]["doubled"] == 2


def test_an_error_outside_of_the_run_is_told_with_its_last_line(folder, monkeypatch):
    monkeypatch.setattr(slurm, "RESENT", 1)
    with local(folder, deeds.fail) as engine:
        (answer,) = ended(engine, {})
    assert answer["status"] == "killed"
    assert answer["reason"].startswith("ImportError: no module of that name here, 2 times; see ")


def test_on_leaving_the_engine_for_whatever_reason_no_process_is_left(folder, tmp_path, wait_until):
    signs = tmp_path / "signs"
    with pytest.raises(ZeroDivisionError), local(folder, deeds.wait_for_ever) as engine:
        engine.send({"signs": str(signs)}, lambda answer: None)
        wait_until(lambda: signs.exists() and signs.read_text(), seconds=120)
        raise ZeroDivisionError
    wait_until(lambda: not is_alive(int(signs.read_text())))  # it was sent SIGKILL; a busy machine takes its time
    assert not folder.exists()


def test_no_process_is_left_by_a_command_in_the_background_of_a_script_which_ignores_an_interrupt(
    folder, tmp_path, wait_until, monkeypatch
):
    monkeypatch.setattr(queues, "ENDS_WITHIN", 0.5)
    signs, before = tmp_path / "signs", signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with local(folder, deeds.wait_for_ever) as engine:
            engine.send({"signs": str(signs)}, lambda answer: None)
            wait_until(lambda: signs.exists() and signs.read_text(), seconds=120)
            watching = int(engine.jobs[0].job_id)
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: not is_alive(int(signs.read_text())) and not is_alive(watching))


def test_a_job_that_is_told_to_end_is_queued_again_with_what_it_remembers(folder, tmp_path, wait_until):
    signs, answers = tmp_path / "signs", queue.Queue()
    with local(folder, deeds.Interrupted()) as engine:
        engine.send({"number": 3, "signs": str(signs)}, answers.put)
        wait_until(lambda: signs.exists() and signs.read_text(), seconds=120)
        os.kill(int(signs.read_text()), signal.SIGUSR2)
        answer = answers.get(timeout=120)
    assert (answer["doubled"], answer["interrupted"]) == (6, 1)


class Counter:
    """A queue that takes nothing the first time, or refuses."""

    look_every = 0.0

    def __init__(self, error, under):
        self.error, self.under, self.asked = error, under, 0

    def submit(self, work, job):
        self.asked += 1
        if self.asked == 1:
            raise self.error
        return self.under.submit(work, job)

    def lost(self, jobs):
        return self.under.lost(jobs)

    def cancel(self, jobs):
        self.under.cancel(jobs)


def test_what_a_queue_does_not_take_now_is_queued_later(folder):
    queue_ = Counter(NotNow("busy"), LocalQueue(SlurmSettings(options=()), folder=folder))
    with SubmititEngine(queue_, size=1, folder=folder, work=lambda: deeds.double) as engine:
        assert ended(engine, {"number": 1})[0]["doubled"] == 2
    assert queue_.asked == 2


class Unseen(Counter):
    """A queue that cannot be looked at so many times."""

    def __init__(self, times, under):
        super().__init__(NotNow("busy"), under)
        self.asked, self.times, self.cancelled = 1, times, 0

    def lost(self, jobs):
        self.times -= 1
        if self.times >= 0:
            raise OSError("Cannot allocate memory")
        return self.under.lost(jobs)

    def cancel(self, jobs):
        self.cancelled += len(jobs)
        self.under.cancel(jobs)


@pytest.mark.parametrize(("times", "status", "cancelled"), [(RESENT, "finished", 0), (10**6, "failed", 1)])
def test_a_queue_that_cannot_be_looked_at_for_a_moment_loses_no_job_and_for_long_leaves_none(
    folder, tmp_path, times, status, cancelled
):
    queue_ = Unseen(times, LocalQueue(SlurmSettings(options=()), folder=folder))
    work, job = (
        (deeds.double, {"number": 1}) if status == "finished" else (deeds.wait_for_ever, {"signs": str(tmp_path / "s")})
    )
    with SubmititEngine(queue_, size=1, folder=folder, work=lambda: work) as engine:
        (answer,) = ended(engine, job)
        assert answer["status"] == status and engine.jobs == []
        assert status == "finished" or "could not be watched (OSError: Cannot allocate memory)" in answer["reason"]
    assert queue_.cancelled == cancelled


def test_what_a_queue_refuses_is_refused_at_once_and_is_no_job(folder):
    queue_ = Counter(InputError("No such partition."), LocalQueue(SlurmSettings(options=()), folder=folder))
    with SubmititEngine(queue_, size=1, folder=folder) as engine:
        with pytest.raises(InputError, match="No such partition"):
            engine.send({}, lambda answer: None)
        assert engine.jobs == []


def test_a_run_goes_on_in_the_next_job_as_long_as_it_gets_on(tmp_path, monkeypatch):
    job, run = {"store": str(tmp_path), "digest": "abc"}, ResumableRun()

    def interrupted(*, after):
        """Begin a job of the run that saves so many epochs in all before it is told to end."""
        run(job)
        (tmp_path / "runs" / "abc" / f"checkpoint-{after:05d}").mkdir(parents=True, exist_ok=True)
        return run.checkpoint(job)

    monkeypatch.setattr("study.execution.job.run_job", lambda job: {})
    for epochs in (1, 2, 2, 2, 3, *[3] * (STALLED - 1)):
        again = interrupted(after=epochs)
        assert again.function is run and again.args == (job,)
    with pytest.raises(InputError, match=r"ended before a checkpoint was due; raise ablate\.slurm\.time\.$"):
        interrupted(after=3)


def test_a_checkpoint_of_an_attempt_on_another_host_is_progress_too(tmp_path):
    folder = tmp_path / "runs" / "abc"
    job = {"store": str(tmp_path), "digest": "abc"}
    assert newest_checkpoint(job) is None
    (folder / "checkpoint-0010").mkdir(parents=True)
    assert newest_checkpoint(job) == "checkpoint-0010"
    (folder / "attempt-1" / "checkpoint-0020").mkdir(parents=True)
    assert newest_checkpoint(job) == "checkpoint-0020"
