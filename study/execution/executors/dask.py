"""Dask as an engine: worker processes on this host, or the workers of a scheduler that runs already."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dask
from dask._task_spec import Task
from distributed import Client, Future
from distributed.utils import get_mp_context

from study.execution.executors import starting
from study.execution.executors.dask_answer import answer_of
from study.execution.executors.dask_cluster import LocalWorkersCluster
from study.execution.executors.engine import Answer
from study.execution.job import run_job
from study.execution.machine import describe_host
from study.runs.locking import to_stderr
from study.runs.outcomes import KILLED
from vicreg.errors import InputError

RESENT = 3  # times that a job is sent again whose worker has died; a scheduler's default, too
CONNECT, JOIN = 20, 60  # seconds for a scheduler to answer, and for a first worker to join it
COUNT_EVERY = 2.0  # seconds for which the number of a scheduler's workers is taken to stay

_SETTINGS: Mapping[str, Any] = {
    "distributed.scheduler.allowed-failures": RESENT,
    # A job waits with the scheduler for a free worker. One that waited with a busy worker would be counted as lost with it.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    # On a busy host a process may not answer for minutes. One that dies is noticed by its closed connection.
    "distributed.scheduler.worker-ttl": None,
    "distributed.deploy.lost-worker-timeout": "365 days",
    "distributed.comm.timeouts.connect": "300s",
    "distributed.worker.daemon": True,
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.http.routes": [],  # its pages would show runs and logs to any user of this host
    "distributed.worker.http.routes": [],
    # Dask's default of one OpenMP thread would stand above `pretrain.threads`.
    "distributed.nanny.pre-spawn-environ": {},
}


class DaskEngine:
    """Sends jobs to Dask's workers and hears how they end. A job whose worker died is sent again by the scheduler."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._futures: dict[str, Future] = {}  # a job whose future is forgotten is cancelled
        self._sent, self._ended = 0, 0

    def _connect(self, stack: ExitStack) -> Client:
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many jobs it has room for."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(_silenced())
            self._client = self._connect(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def send(self, job: dict[str, Any], answer: Callable[[Answer], None]) -> None:
        """Begin a job, and call `answer` once when it has ended."""
        self._send(job, answer, lost=0)

    def _send(self, job: dict[str, Any], answer: Callable[[Answer], None], *, lost: int) -> None:
        """Send a job, again where its answers were `lost` with their workers: it finds in the store what has run."""
        self._sent += 1
        key = f"{job['digest']}-{os.getpid()}-{time.time_ns()}-{self._sent}"  # it is executed, whatever was before
        task = Task(key, run_job, job, _data_producer=True)  # such a task waits with the scheduler while all are busy
        (future,) = self._client.get({key: task}, [key], sync=False)
        self._futures[key] = future

        def end(one: Future) -> None:
            try:
                found = answer_of(one)
            except TimeoutError:
                self._futures.pop(key, None)
                if lost < RESENT:
                    self._send(job, answer, lost=lost + 1)
                    return
                found = {"status": KILLED, "reason": f"its answer was lost {lost + 1} times; start again to go on"}
            answer(found)
            self._futures.pop(key, None)
            self._ended += 1

        future.add_done_callback(end)

    def ask(self, question: Callable[[], Any]) -> dict[str, Any]:
        """Return each worker's answer to a function without arguments, by the worker's address."""
        answers: dict[str, Any] = self._client.run(question)
        return answers


class LocalWorkers(DaskEngine):
    """Worker processes on this host, on loopback alone, which end with this process.

    Each is started when there is a job for it, and replaced when it dies.
    """

    def __init__(self, number: int, *, log: Path, environments: Sequence[Mapping[str, str]] = ({},)) -> None:
        """Start nothing yet.

        Args:
            number: of workers at most.
            log: what they print is added to this file.
            environments: variables of a worker's environment, dealt out in turn: the GPU that it sees.
        """
        super().__init__()
        self._number, self._log, self._environments = number, log.absolute(), environments
        self._started, self._lost, self._ended_before = 0, 0, 0

    @property
    def size(self) -> int:
        """How many workers there can be.

        Raises:
            InputError: where they end again and again before they have begun.
        """
        if self._ended != self._ended_before:  # a worker that its first job kills at once counts as one that did not start
            self._ended_before, self._lost = self._ended, 0
        lost = self._cluster.replace_lost()
        self._lost += lost
        if self._lost > 2 * (RESENT + 1) * self._number:
            raise InputError(f"no worker process could be started; {self._log} says why.")
        if lost:
            self._cluster.scale(self._started)
        return self._number

    def send(self, job: dict[str, Any], answer: Callable[[Answer], None]) -> None:
        """Begin a job, and call `answer` once when it has ended; it waits until a worker has started for it."""
        super().send(job, answer)
        needed = min(self._number, len(self._futures))
        if needed > self._started:
            self._started = needed
            self._cluster.scale(needed)

    def _connect(self, stack: ExitStack) -> Client:
        stack.enter_context(
            dask.config.set({**_SETTINGS, "distributed.worker.multiprocessing-method": starting.START_METHOD})
        )
        stack.enter_context(_hidden_main())
        get_mp_context()  # the first call names modules of its own for a fork server
        starting.start_fork_server()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._cluster = LocalWorkersCluster(log=self._log, environments=self._environments)
        stack.callback(self._close)
        self._client = Client(self._cluster, set_as_default=False)
        return self._client

    def _close(self) -> None:
        self._cluster.kill()
        with suppress(AttributeError):  # it was not connected yet
            self._client.close(timeout=2)
        with suppress(Exception):  # its processes are gone, whatever is left to say
            self._cluster.close(timeout=10)


class SchedulerWorkers(DaskEngine):
    """The workers of a scheduler that runs already. They stay when this process ends."""

    def __init__(self, address: str, *, workers: int | None = None) -> None:
        """Connect to nothing yet.

        Args:
            address: of the scheduler, `tcp://HOST:PORT`, or `tls://HOST:PORT` with Dask's own configuration of TLS.
            workers: runs to hand out at a time; None for as many as there are workers, which may change.
        """
        super().__init__()
        self._address, self._workers, self._counted, self._found = address, workers, float("-inf"), 1
        self._seen: float | None = time.monotonic()  # when there was a worker last; None once it is told that there is none

    @property
    def size(self) -> int:
        """How many runs are handed out at a time.

        Raises:
            InputError: where the scheduler is gone.
        """
        if self._client.status not in ("running", "connecting"):
            raise InputError(
                f"the Dask scheduler at {self._address} is gone; what was finished is kept, start again to go on."
            )
        if time.monotonic() - self._counted > COUNT_EVERY:
            self._count()
        return self._workers or self._found

    def _count(self) -> None:
        """Count the workers, and say so where there has been none for a while: the runs wait, and nothing else shows it."""
        found = self._client.scheduler_info(n_workers=0)["n_workers"]  # without what the scheduler knows of each
        self._counted, self._found = time.monotonic(), max(1, found)
        if found:
            self._seen = self._counted
        elif self._seen is not None and self._counted - self._seen >= JOIN:
            self._seen = None
            to_stderr(f"the Dask scheduler at {self._address} has no worker any more; runs wait until one joins it.")

    def describe(self) -> list[dict[str, Any]]:
        """Return what each worker says of its host (`describe_host`).

        Raises:
            InputError: where no worker joins, one has several threads (a run has its process to itself), or one cannot
                answer.
        """
        remedy = f"start one with `dask worker {self._address} --nthreads 1`"
        try:
            self._client.wait_for_workers(1, timeout=JOIN)
        except TimeoutError:
            raise InputError(f"no worker has joined the Dask scheduler at {self._address} in {JOIN} s; {remedy}.") from None
        for worker, threads in self._client.nthreads().items():
            if threads != 1:
                raise InputError(f"a worker must have one thread, but {worker} has {threads}; {remedy}.")
        try:
            return list(self.ask(describe_host).values())
        except Exception as error:  # of a worker that lacks the project or has other versions, or has just died
            remedy = "start it in the project's folder with PYTHONPATH=., or install the project there"
            why = (str(error) or type(error).__name__).splitlines()[-1]
            raise InputError(
                f"a worker of the Dask scheduler at {self._address} does not answer ({why}); {remedy}."
            ) from None

    def _connect(self, stack: ExitStack) -> Client:
        try:
            client = Client(self._address, set_as_default=False, timeout=CONNECT)
        except Exception as error:  # of the network, of TLS, or of an address that is none
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            remedy = "start one there with `dask scheduler`, or leave --executor out"
            raise InputError(f"no Dask scheduler can be reached at {self._address} ({why}); {remedy}.") from None
        stack.callback(client.close, timeout=2)
        return client


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep Dask's loggers from printing here: what befalls a run is its ending's to say."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("distributed", "tornado")]
    loggers = [logging.getLogger(name) for name in (*names, "asyncio")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Hide the main module from multiprocessing, which would import the command anew in every worker."""
    main = sys.modules["__main__"]
    spec, file = main.__spec__, vars(main).pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
