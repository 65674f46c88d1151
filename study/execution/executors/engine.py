"""What executors on any engine have in common: an engine takes jobs and tells how they ended.

Epochs are not sent through the engine. The store has them, in the log of each checkpoint, and is looked at now and then.
"""

import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from study.execution.executors.base import Event
from study.execution.job import make_job
from study.runs.outcomes import FAILED, FINISHED, KILLED, OUTCOMES
from study.runs.run import Run
from study.runs.store import Store, read_log
from study.runs.workspace import furthest_checkpoint
from vicreg.errors import InputError

LOOK = 0.5  # seconds from one look at the store for epochs to the next, at least
LOOK_SHARE = 0.05  # of the time that looks may take: a thousand runs on a network file system are looked at more rarely
SETTLES = 90.0  # seconds after which a network file system shows what another host wrote: NFS keeps attributes for 60

Answer = Mapping[str, Any]  # `status`, `reason`, and the `host` where one is known: what `run_job` returns


class Engine(Protocol):
    """Takes jobs of JSON values and executes `run_job` on each, somewhere. It knows neither runs nor studies.

    It is a context manager: on leaving it, for whatever reason, nothing of its own is left running.
    """

    @property
    def size(self) -> int:
        """How many jobs it has room for now, those that it has among them; it may change while it runs.

        Raises:
            InputError: where it can execute nothing any more.
        """

    def send(self, job: dict[str, Any], answer: Callable[[Answer], None]) -> None:
        """Begin a job, and call `answer` once when it has ended, from any thread.

        A job whose process or host is lost is sent again, at most three times; then its answer has status `killed` and a
        reason in a sentence. What the engine itself cannot do is `failed`. An answer with `connection_lost` ends the command
        with its reason, and nothing is recorded of the run.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EngineExecutor:
    """An executor on an engine. On leaving it nothing of the engine's own is left."""

    def __init__(
        self, engine: Engine, *, data: Path, store: Store, device: str, look: float = LOOK, settles: float = SETTLES
    ) -> None:
        """Start nothing yet.

        Args:
            engine: that executes jobs; it is opened with this executor.
            data: the folder of the prepared data set.
            store: where runs are kept.
            device: that runs are executed on, in torch's words, as the workers name it.
            look: seconds from one look at the store to the next, at least.
            settles: seconds after which the store here must show what a worker wrote.
        """
        self._engine, self._data, self._store, self._device = engine, data, store, device
        self._look_every, self._settles = look, settles
        self._next_look = 0.0
        self._busy: dict[str, Run] = {}
        self._epochs: dict[str, int] = {}  # that were told of
        self._answers: queue.Queue[tuple[str, Answer, float]] = queue.Queue()

    def __enter__(self) -> Self:
        self._store.root.mkdir(parents=True, exist_ok=True)
        self._engine.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._engine.__exit__(kind, error, trace)

    @property
    def free(self) -> int:
        """How many more runs can be submitted now."""
        return max(0, self._engine.size - len(self._busy))

    @property
    def active(self) -> Sequence[Run]:
        """The runs that were submitted and have not ended."""
        return list(self._busy.values())

    def submit(self, run: Run, *, prune_after: int | None = None, keep: Sequence[int] = ()) -> None:
        """Begin a run; call it only while `free` is positive."""
        assert self.free > 0, "submit needs room for a run"
        digest = run.digest
        self._busy[digest] = run
        trained = self._store.ending(digest)[0] == FINISHED  # and not measured: no epoch follows
        self._epochs[digest] = run.config.pretrain.trained_epochs if trained else self._saved_epochs(digest)
        job = make_job(run, store=self._store, data=self._data, device=self._device, prune_after=prune_after, keep=keep)
        self._engine.send(job, lambda answer: self._answers.put((digest, answer, time.monotonic())))

    def events(self) -> Iterator[Event]:
        """Yield epochs as the store shows them and ends as the engine tells them, until nothing is active."""
        while self._busy:
            if time.monotonic() >= self._next_look:
                yield from self._look()
            try:
                digest, answer, since = self._answers.get(timeout=max(0.0, self._next_look - time.monotonic()))
            except queue.Empty:
                continue
            run = self._busy[digest]
            if not self._shows(run, answer) and time.monotonic() - since < self._settles:
                time.sleep(min(self._look_every, 0.05))
                self._answers.put((digest, answer, since))
                continue
            yield from self._end(run, answer)

    def _look(self) -> Iterator[Event]:
        """Yield the epochs that checkpoints of active runs have more than was told of."""
        started = time.monotonic()
        _ = self._engine.size  # raises where nothing can be executed any more
        for digest, run in list(self._busy.items()):
            if self._saved_epochs(digest) > self._epochs[digest]:
                yield from self._new_epochs(run, self._saved_log(digest))
        ended = time.monotonic()
        self._next_look = ended + max(self._look_every, (ended - started) * (1 / LOOK_SHARE - 1))

    def _end(self, run: Run, answer: Answer) -> Iterator[Event]:
        """Record how a run ended where its worker has not, and yield what is left to tell of it."""
        if answer.get("connection_lost"):  # the run may still end where it is executed, and nothing is known of it here
            raise InputError(answer["reason"])
        status, reason = answer["status"], answer.get("reason")
        if not self._shows(run, answer):
            where = f"host {answer['host']}" if answer.get("host") else "its worker"
            place = self._store.root.absolute()
            reason = f"{where} says that it is {status}, but {place} does not show it; give all hosts one store"
            status = FAILED
        if status not in OUTCOMES:
            self._store.record_ending(run, status, reason)
        folder = self._store.folder(run.digest)
        if self._store.ending(run.digest)[0] in OUTCOMES:
            yield from self._new_epochs(run, read_log(folder))
        else:  # the log of an earlier try may lie beside its checkpoint
            yield from self._new_epochs(run, self._saved_log(run.digest))
        del self._busy[run.digest], self._epochs[run.digest]
        yield Event(run=run, kind="end", status=status, reason=reason)

    def _shows(self, run: Run, answer: Answer) -> bool:
        """Whether the store shows what a worker says; what failed or was killed is yet to be recorded here."""
        return answer["status"] in (FAILED, KILLED) or self._store.status(run)[0] == answer["status"]

    def _new_epochs(self, run: Run, history: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
        told = self._epochs[run.digest]
        self._epochs[run.digest] = max(told, len(history))
        for record in history[told:]:
            yield Event(run=run, kind="epoch", record=record)

    def _saved_log(self, digest: str) -> Sequence[Mapping[str, Any]]:
        """Return the log of the newest checkpoint of a run; none where its worker removes it at this moment."""
        checkpoint = furthest_checkpoint(self._store.folder(digest))
        with suppress(InputError):
            return [] if checkpoint is None else read_log(checkpoint)
        return []

    def _saved_epochs(self, digest: str) -> int:
        """Return how many epochs the newest checkpoint of a run has, by its name; 0 without one."""
        checkpoint = furthest_checkpoint(self._store.folder(digest))
        return 0 if checkpoint is None else int(checkpoint.name.split("-")[1])
