"""An executor that makes runs up: it writes at once what a run of seconds would leave in the store."""

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from study.execution.executors.base import Event
from study.runs.outcomes import DIVERGED, FINISHED
from study.runs.run import Run
from study.runs.store import Store
from tests.study.made_up import finished
from vicreg.files import to_json, write_atomically

Accuracies = Mapping[float, float]  # nu -> mean accuracy; None diverges
SPREAD = 0.02


class MadeUp:
    """Runs of these accuracies by nu, which spread over seeds; those of a nu that is not named diverge.

    `before` is called with each run before it is written, and may raise: then the command dies there.
    """

    def __init__(
        self, store: Store, accuracies: Accuracies, *, workers: int = 1, before: Callable[[Run], None] = lambda run: None
    ) -> None:
        self.store, self.accuracies, self.workers, self.before = store, accuracies, workers, before
        self.ran: list[str] = []
        self._waiting: deque[Run] = deque()

    def __enter__(self) -> "MadeUp":
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting.clear()

    @property
    def free(self) -> int:
        return self.workers - len(self._waiting)

    @property
    def active(self) -> list[Run]:
        return list(self._waiting)

    def submit(self, run: Run, *, prune_after: int | None = None) -> None:
        self._waiting.append(run)

    def events(self) -> Iterator[Event]:
        while self._waiting:
            run = self._waiting.pop()  # the last first: no order is promised
            self.before(run)
            self.ran.append(run.digest)
            yield Event(run=run, kind="end", status=self._write(run))

    def _write(self, run: Run) -> str:
        settings = run.config.pretrain
        mean = self.accuracies.get(settings.method_settings.nu) if settings.epochs else 0.3
        if mean is None:
            self.store.record_ending(run, DIVERGED, "the loss was not finite")
            return DIVERGED
        folder = self.store.folder(run.digest)
        value = mean + random.Random(f"{settings.method_settings.nu if settings.epochs else 0} {settings.seed}").gauss(
            0, SPREAD
        )
        told: dict[str, Any] = finished(value, knn=value)
        measured = {key: told[key] for key in ("validation", "test", "collapse", "verdict")}
        write_atomically(folder / "history.json", to_json([]))
        write_atomically(self.store.evaluation_path(run), to_json(measured))
        self.store.record_ending(run, FINISHED, None)
        return FINISHED
