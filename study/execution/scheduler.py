"""The order of things: which cell is run next, on which worker, and what Optuna is told."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from study.execution.pool import Pool
from study.execution.progress import Progress
from study.execution.session import Session
from study.execution.trials import Trials
from study.runs.store import DIVERGED, FINISHED, OUT_OF_MEMORY, PRUNED, Store
from study.spec.objectives import objective_values
from study.spec.plan import Cell

OPTUNA = "optuna.db"
# Endings that say something of the settings. What was killed or failed has to be run before anything is chosen by it.
OUTCOMES = (FINISHED, DIVERGED, PRUNED, OUT_OF_MEMORY)


class Lookup:
    """Stands where a `Runner` does and runs nothing: a design then unfolds as far as the store's results reach."""

    def __init__(self, session: Session) -> None:
        self._store = session.store
        self.trials: None = None  # where Optuna's trials are kept: in memory

    def finish(self, cells: Sequence[Cell], *, stage: str = "") -> bool:
        """Whether all cells have an outcome."""
        return have_outcomes(cells, self._store)

    def finish_batch(self, cells: Sequence[Cell], *, total: int, done: int, prune_after: int | None) -> bool:
        """Whether all trials of a batch have an outcome."""
        return have_outcomes(cells, self._store)


class Runner:
    """Brings cells to their outcomes, with one pool of workers for as long as it lasts. Use it as a context manager."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pool: Pool | None = None
        self.trials = session.store.root / OPTUNA

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.__exit__(kind, error, trace)

    def finish(self, cells: Sequence[Cell], *, stage: str = "") -> bool:
        """Runs every cell of a design, or of one stage of it, that has no outcome yet, each a trial of Optuna's queue;
        returns whether all have one then."""
        session, store = self._session, self._session.store
        config = session.config
        trials = Trials(
            path=self.trials, name=f"{session.study.name}{stage and f'-{stage}'}@{config.profile}",
            question=session.study.question, cells=cells, directions=("maximize",),
            values=lambda cell, result: objective_values((config.primary,), cell, result, session.dataset),
        )  # fmt: skip
        waiting = []
        for cell in cells:
            if store.status(cell.run)[0] in (FINISHED, DIVERGED):
                trials.add_finished(cell, store.result(cell.run))
            else:
                waiting.append(cell)
        different = _once_each(waiting)
        trials.enqueue(different)
        by_digest = {cell.run.digest: cell for cell in different}
        asked: dict[str, Any] = {}

        def next_cell() -> Cell:
            trial, digest = trials.ask()
            asked[digest] = trial
            return by_digest[digest]

        def told(cell: Cell, result: Mapping[str, Any]) -> None:
            trials.tell(asked[cell.run.digest], cell, result)

        self._run(different, total=len(cells), done=len(cells) - len(different), next_cell=next_cell, told=told)
        for cell in waiting:
            if cell not in different:
                trials.add_finished(cell, store.result(cell.run))
        return have_outcomes(cells, store)

    def finish_batch(
        self, cells: Sequence[Cell], *, total: int, done: int = 0, prune_after: int | None = None
    ) -> bool:
        """Runs those of some cells that have no outcome yet, in order; returns whether all have one then. What was killed
        has none: told of it, a search would go another way than when it is called again and hears what becomes of it."""
        keep = (FINISHED, DIVERGED)  # a pruned run is judged again, by today's rule: from its log, which takes no time
        waiting = _once_each([cell for cell in cells if self._session.store.status(cell.run)[0] not in keep])
        queue = iter(waiting)
        self._run(
            waiting, total=total, done=done + len(cells) - len(waiting), next_cell=lambda: next(queue),
            told=lambda cell, result: None, prune_after=prune_after,
        )  # fmt: skip
        return have_outcomes(cells, self._session.store)

    def _run(
        self,
        cells: Sequence[Cell],
        *,
        total: int,
        done: int,
        next_cell: Callable[[], Cell],
        told: Callable[[Cell, Mapping[str, Any]], None],
        prune_after: int | None = None,
    ) -> None:
        """Keeps every worker busy until all cells have been run, whatever becomes of each."""
        if not cells:
            return
        session, started = self._session, 0
        if self._pool is None:
            self._pool = Pool(
                workers=session.workers, data=session.data_folder, store=session.store, device=str(session.device)
            )
        pool, epochs = self._pool, sum(cell.run.config.pretrain.trained_epochs for cell in cells)
        workers = min(session.workers, len(cells))
        with Progress(name=session.study.name, total=total, done=done, epochs=epochs, workers=workers) as progress:

            def fill() -> None:
                nonlocal started
                while started < len(cells) and pool.free:
                    cell = next_cell()
                    progress.started(cell)
                    pool.submit(cell, prune_after=prune_after)
                    started += 1

            fill()
            for event in pool.events():
                if event.kind == "epoch":
                    progress.epoch(event.cell, event.record)
                    continue
                result = session.store.result(event.cell.run)
                told(event.cell, result)
                progress.ended(event.cell, result["status"], result["reason"])
                fill()


def have_outcomes(cells: Sequence[Cell], store: Store) -> bool:
    """Whether every cell's run ended in a way that says something of its settings."""
    return all(store.status(cell.run)[0] in OUTCOMES for cell in cells)


def _once_each(cells: Sequence[Cell]) -> list[Cell]:
    """Two arms can be one run (the same settings by two names): it is run once."""
    return list({cell.run.digest: cell for cell in cells}.values())
