"""Executes jobs by submitit, one process a run: on SLURM, or on this machine.

A job that SLURM preempts or whose time is up is queued again, and its run goes on from its last checkpoint in the store. A
job that outlives this process ends in the store as well.
"""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import submitit

from study.execution.executors.queues import NotNow, Queue, last_line
from study.runs.outcomes import FAILED, KILLED
from vicreg.errors import InputError

RESENT = 3  # times that a job is sent again after its death
STALLED = 3  # jobs in a row that may end without an epoch more in the store
LOOK = 0.5  # seconds from one look for results to the next

Answer = Mapping[str, Any]


class ResumableRun:
    """A run as submitit's job: what is interrupted is queued again, as long as it gets on."""

    def __init__(self) -> None:
        self._began: str | None = None  # the checkpoint it went on from
        self._stalled = 0

    def __call__(self, job: dict[str, Any]) -> dict[str, Any]:
        """Bring a run to its end; see `run_job`."""
        self._began = newest_checkpoint(job)
        print(f"run {job['digest']} begins from {self._began or 'its start'}", flush=True)
        from study.execution.job import run_job  # not above: a signal is heard from here on, and torch takes its time

        return run_job(job)

    def checkpoint(self, job: dict[str, Any]) -> submitit.helpers.DelayedSubmission:
        """Return what is queued in this job's place; submitit calls it when SLURM says that the job must end.

        Raises:
            InputError: where several in a row got no further, which ends the run as failed.
        """
        self._stalled = self._stalled + 1 if newest_checkpoint(job) == self._began else 0
        if self._stalled >= STALLED:
            raise InputError(f"{STALLED} jobs in a row ended before a checkpoint was due; raise ablate.slurm.time.")
        return submitit.helpers.DelayedSubmission(self, job)


def newest_checkpoint(job: Mapping[str, Any]) -> str | None:
    """Return the name of the newest checkpoint of a job's run; None where it has none, or needs none any more.

    It imports nothing: a signal may come in the middle of an import.
    """
    folder = Path(job["store"]) / "runs" / job["digest"]
    places = ("checkpoint-*", "attempt-*/checkpoint-*")  # where a run is trained on another host than its first
    return max((path.name for place in places for path in folder.glob(place)), default=None)


@dataclass
class _Sent:
    """A job, what it is known by where it waits, and how often it was lost."""

    content: dict[str, Any]
    answer: Callable[[Answer], None]
    handle: "submitit.Job[Any] | None" = None  # None while the queue takes none
    lost: int = 0


class SubmititEngine:
    """An engine on a queue: what leaves it without a result is sent again. On leaving it, what is queued is cancelled."""

    def __init__(
        self, queue: Queue, *, size: int, folder: Path, work: Callable[[], Callable[..., Any]] = ResumableRun
    ) -> None:
        """Start nothing yet.

        Args:
            queue: that takes the jobs.
            size: jobs at a time, those that wait among them.
            folder: of submitit's files, which is removed at the end unless a job was lost.
            work: makes what one job is given to.
        """
        self._queue, self._size, self._folder, self._work = queue, size, folder, work
        self._sent: list[_Sent] = []
        self._any_lost = False
        self._guard = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="submitit")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._queue.cancel(self.jobs)
        self._sent.clear()
        if not self._any_lost:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def size(self) -> int:
        """How many jobs it has room for, those that it has among them."""
        return self._size

    @property
    def jobs(self) -> "list[submitit.Job[Any]]":
        """The jobs that wait or run."""
        with self._guard:
            return [one.handle for one in self._sent if one.handle is not None]

    def send(self, job: dict[str, Any], answer: Callable[[Answer], None]) -> None:
        """Queue a job, and call `answer` once when it has ended, from another thread.

        Raises:
            InputError: where the queue refuses it, which it then would any other.
        """
        with self._guard:
            sent = _Sent(content=job, answer=answer)
            self._queue_it(sent)
            self._sent.append(sent)

    def _queue_it(self, sent: _Sent) -> None:
        try:
            sent.handle = self._queue.submit(self._work(), sent.content)
        except NotNow:
            sent.handle = None

    def _watch(self) -> None:
        """Tell what has ended, and send again what was lost, until the engine is left."""
        next_look, failed = time.monotonic() + self._queue.look_every, 0
        while not self._stop.wait(LOOK):
            try:
                self._collect()
                if time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + self._queue.look_every
                failed = 0
            except Exception as error:  # nobody else would hear of it, and wait for ever
                failed += 1  # of a file system or a host that is short of memory it may be the only time
                if failed > RESENT:
                    self._give_up(f"its job could not be watched ({type(error).__name__}: {last_line(str(error))})")

    def _give_up(self, reason: str) -> None:
        """End every job as failed, and leave none in the queue that nobody watches."""
        with self._guard:
            with suppress(Exception):
                self._queue.cancel(self.jobs)
            for one in list(self._sent):
                self._end(one, FAILED, reason)

    def _collect(self) -> None:
        with self._guard:
            for one in list(self._sent):
                if one.handle is None or not one.handle.paths.result_pickle.exists():
                    continue
                error = one.handle.exception()
                if error is None:
                    self._sent.remove(one)
                    one.answer(one.handle.result())
                else:  # outside of the run, such as a host on which nothing can be imported; another may do
                    self._send_again(one, last_line(str(error)))

    def _look(self) -> None:
        """Send again what was lost, and what the queue did not take before."""
        with self._guard:
            lost = self._queue.lost(self.jobs)
            for one in list(self._sent):
                if one.handle is None:
                    self._try_again(one)
                elif (name := one.handle.job_id) in lost and not one.handle.paths.result_pickle.exists():
                    self._send_again(one, lost[name])

    def _send_again(self, sent: _Sent, reason: str) -> None:
        self._any_lost, sent.lost = True, sent.lost + 1
        assert sent.handle is not None
        self._queue.cancel([sent.handle])  # one that is held would stay for ever
        if sent.lost > RESENT:
            self._end(sent, KILLED, f"{reason}, {sent.lost} times; see {self._folder}")
        else:
            self._try_again(sent)

    def _try_again(self, sent: _Sent) -> None:
        try:
            self._queue_it(sent)
        except InputError as error:
            self._end(sent, FAILED, str(error))

    def _end(self, sent: _Sent, status: str, reason: str) -> None:
        self._sent.remove(sent)
        sent.answer({"status": status, "reason": reason})
