"""Decides which cell runs next, and tells Optuna what became of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import optuna

from study.execution.executors.base import Executor
from study.execution.executors.opening import open_local, open_remote
from study.execution.executors.queued import QUEUES, open_queued
from study.execution.order import Order
from study.execution.progress import Progress
from study.execution.session import Session
from study.execution.trial_database import TrialDatabase
from study.execution.trials import Trials
from study.runs.outcomes import DIVERGED, FINISHED, OUTCOMES
from study.runs.store import Store
from study.runs.workspace import clear_workspaces
from study.spec.objectives import objective_values
from study.spec.plan import Cell

OPTUNA = "optuna.db"


class Lookup:
    """Takes the place of a `Runner` and runs nothing: a design then unfolds as far as the store's results reach."""

    def __init__(self, session: Session) -> None:
        self._store = session.store
        self.database: TrialDatabase | None = None  # trials of a question are shown nowhere

    def finish(self, cells: Sequence[Cell], *, stage: str = "") -> bool:
        """Return whether all cells have an outcome."""
        return have_outcomes(cells, self._store)

    def finish_batch(self, cells: Sequence[Cell], *, total: int, done: int = 0, prune_after: int | None = None) -> bool:
        """Return whether all trials of a batch have an outcome."""
        return have_outcomes(cells, self._store)


class Runner:
    """Brings cells to their outcomes, on one executor for as long as it lasts. Use it as a context manager."""

    def __init__(
        self,
        session: Session,
        *,
        open_executor: Callable[[Session], Executor] | None = None,
        shares_training: bool = True,
    ) -> None:
        """Open nothing yet.

        Args:
            session: what is run, on which device and into which store.
            open_executor: makes the executor when the first run needs it; None for the request's.
            shares_training: whether a run that is the beginning of another one takes its training from that.
        """
        self._session, self._shares_training = session, shares_training
        self._open_executor = open_executor or _open_executor
        self._executor: Executor | None = None
        self._stack = ExitStack()
        self.database: TrialDatabase | None = TrialDatabase(
            session.store.root / OPTUNA, address=session.config.ablate.storage
        )
        self._stack.callback(self.database.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)

    def finish(self, cells: Sequence[Cell], *, stage: str = "") -> bool:
        """Run every cell of a design, or of one stage of it, that has no outcome yet, each a trial of Optuna's queue.

        Returns:
            Whether all have an outcome then.
        """
        session, store, config = self._session, self._session.store, self._session.config
        if not cells:  # of arms that all wait for their tuning
            return True
        trials = Trials(
            database=self.database, name=f"{session.study.name}{stage and f'-{stage}'}@{config.profile}",
            question=session.study.question, cells=cells, directions=("maximize",),
            values=lambda cell, result: objective_values((config.primary,), cell, result, session.dataset),
        )  # fmt: skip
        waiting = []
        for cell in cells:
            if store.status(cell.run)[0] in (FINISHED, DIVERGED):
                clear_workspaces(store.folder(cell.run.digest))  # of a worker that was killed between ending and clearing
                trials.add_finished(cell, store.result(cell.run))
            else:
                waiting.append(cell)
        different = deduplicate(waiting)
        if different:
            self._opened()  # its workers start while Optuna is told
        trials.enqueue(different)
        trials.show()
        by_digest = {cell.run.digest: cell for cell in different}
        asked: dict[str, optuna.Trial] = {}

        def next_cell() -> Cell:
            trial, digest = trials.ask()
            asked[digest] = trial
            return by_digest[digest]

        def tell(cell: Cell, result: Mapping[str, Any]) -> None:
            trials.tell(asked[cell.run.digest], cell, result)

        self._run(different, total=len(cells), done=len(cells) - len(different), next_cell=next_cell, tell=tell)
        for cell in waiting:
            if cell not in different:
                trials.add_finished(cell, store.result(cell.run))
        trials.show()
        return have_outcomes(cells, store)

    def finish_batch(self, cells: Sequence[Cell], *, total: int, done: int = 0, prune_after: int | None = None) -> bool:
        """Run those of some cells that have no outcome yet, in order.

        What was killed has no outcome. Told of it, a search would go another way than when it is called again.

        Args:
            cells: of one batch.
            total: cells in all, for the progress that is shown.
            done: how many of these were done before.
            prune_after: epochs of complete collapse in a row that end a run; None for none.

        Returns:
            Whether all have an outcome then.
        """
        keep = (FINISHED, DIVERGED)  # a pruned run is pruned anew by today's rule: from its log, which takes no time
        waiting = deduplicate([cell for cell in cells if self._session.store.status(cell.run)[0] not in keep])
        queue = iter(waiting)
        self._run(
            waiting, total=total, done=done + len(cells) - len(waiting), next_cell=lambda: next(queue),
            tell=lambda cell, result: None, prune_after=prune_after,
        )  # fmt: skip
        return have_outcomes(cells, self._session.store)

    def _run(
        self,
        cells: Sequence[Cell],
        *,
        total: int,
        done: int,
        next_cell: Callable[[], Cell],
        tell: Callable[[Cell, Mapping[str, Any]], None],
        prune_after: int | None = None,
    ) -> None:
        """Keep the executor busy until all cells have been run, whatever becomes of each."""
        if not cells:
            return
        session = self._session
        order = Order(cells, session.store, next_cell=next_cell, early=session.early_stops, is_shared=self._shares_training)
        executor, by_digest = self._opened(), {cell.run.digest: cell for cell in cells}
        epochs = sum(order.epochs_of(cell) for cell in cells)
        workers = min(session.workers, len(cells))
        with Progress(name=session.study.name, total=total, done=done, epochs=epochs, workers=workers) as progress:

            def fill() -> None:
                while executor.free and order.is_ready():
                    cell = order.take()
                    progress.started(cell)
                    executor.submit(cell.run, prune_after=prune_after, keep=order.keep.get(cell.run.digest, ()))

            fill()
            for event in executor.events():
                cell = by_digest[event.run.digest]
                if event.kind == "epoch":
                    progress.epoch(cell, event.record)
                    fill()  # workers may have joined
                    continue
                result = session.store.result(cell.run)
                tell(cell, result)
                progress.ended(cell, result["status"], result["reason"])
                order.end(cell)
                fill()

    def _opened(self) -> Executor:
        if self._executor is None:
            self._executor = self._stack.enter_context(self._open_executor(self._session))
        return self._executor


def have_outcomes(cells: Sequence[Cell], store: Store) -> bool:
    """Return whether every cell's run ended in a way that says something of its settings."""
    return all(store.status(cell.run)[0] in OUTCOMES for cell in cells)


def deduplicate(cells: Sequence[Cell]) -> list[Cell]:
    """Return one cell for each run: two arms can be one run, the same settings by two names."""
    return list({cell.run.digest: cell for cell in cells}.values())


def _open_executor(session: Session) -> Executor:
    data, store, device = session.data_folder, session.store, session.device
    if (address := session.request.executor) in QUEUES:
        settings, workers = session.config.ablate.slurm, session.asked_workers
        return open_queued(address, settings, workers=workers, data=data, store=store, device=device)
    if address:
        return open_remote(address, workers=session.asked_workers, data=data, store=store, device=device)
    return open_local(workers=session.workers, data=data, store=store, device=device, devices_each=session.devices_each)
