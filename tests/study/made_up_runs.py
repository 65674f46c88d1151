"""Studies whose runs are made up, by the commands that run real ones: no training, and no database of trials."""

import random
import textwrap
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from study.execution.executors.base import Event
from study.runs.outcomes import DIVERGED, FINISHED
from study.runs.run import Run
from study.runs.store import Store
from tests.study.made_up import finished
from vicreg.files import to_json, write_atomically

Accuracies = Mapping[float, float]  # nu -> mean accuracy
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

    def submit(self, run: Run, *, prune_after: int | None = None, keep: Sequence[int] = ()) -> None:
        self._waiting.append(run)

    def events(self) -> Iterator[Event]:
        while self._waiting:
            run = self._waiting.pop()  # the last first: no order is promised
            self.before(run)
            self.ran.append(run.digest)
            yield Event(run=run, kind="end", status=self.write(run))

    def write(self, run: Run) -> str:
        settings, nu = run.config.pretrain, run.config.by_key["pretrain.nu"]
        if not settings.epochs:
            nu = 0
        mean = {0: 0.3, **self.accuracies}.get(nu)
        if mean is None:
            return self.end(run, DIVERGED, "the loss was not finite")
        return self.finish(run, mean + random.Random(f"39 {nu} {settings.seed}").gauss(0, SPREAD))

    def end(self, run: Run, status: str, reason: str) -> str:
        """Record that a run came to nothing."""
        self.store.record_ending(run, status, reason)
        return status

    def finish(self, run: Run, value: float, history: Sequence[Mapping[str, Any]] = ()) -> str:
        """Write what a run leaves that ends with this accuracy."""
        folder = self.store.folder(run.digest)
        told: dict[str, Any] = finished(value, knn=value)
        measured = {key: told[key] for key in ("validation", "test", "collapse", "verdict")}
        write_atomically(folder / "history.json", to_json([*history]))
        write_atomically(self.store.evaluation_path(run), to_json(measured))
        self.store.record_ending(run, FINISHED, None)
        return FINISHED


# nu 2 is far below nu 1, nu 3 a little and nu 4 less than eight seeds tell; nu 5 diverges.
ACCURACIES = {1: 0.9, 2: 0.6, 3: 0.87, 4: 0.897}
SETTLE = """
    question: Does the weight of the covariance matter?
    hypothesis: It does.
    baseline: nu-1
    seeds: until-decided
    looks: [3, 5, 8]
    arms:
      nu-1: {pretrain.nu: 1}
      nu-2: {pretrain.nu: 2}
      nu-3: {pretrain.nu: 3}
      nu-4: {pretrain.nu: 4}
"""


class Workshop:
    """A project whose runs are made up: what was run, and what happens before a run."""

    def __init__(self, project) -> None:
        self.project = project
        self.opened: list[MadeUp] = []
        self.before: Callable[[Run], None] = lambda run: None
        self.write()

    def open_executor(self, *, workers, data, store, device, devices_each=1) -> MadeUp:
        self.opened.append(MadeUp(store, ACCURACIES, workers=workers, before=lambda run: self.before(run)))
        return self.opened[-1]

    @property
    def ran(self) -> list[str]:
        return [digest for executor in self.opened for digest in executor.ran]

    def write(self, *changes: tuple[str, str], name: str = "settle") -> None:
        """Write the study, with some of its text replaced."""
        text = textwrap.dedent(SETTLE)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.project.studies / f"{name}.yaml").write_text(text)

    def seeds(self, name: str = "settle") -> dict[str, int]:
        """Arm -> at how many seeds it was run, from 0 on, in the results."""
        runs = {arm["name"]: [run["seed"] for run in arm["runs"]] for arm in self.project.summary(name)["arms"]}
        assert all(seeds == list(range(len(seeds))) for seeds in runs.values())
        return {name: len(seeds) for name, seeds in runs.items()}


class Unshown:
    """A database of trials that shows nothing: Optuna's takes longer than all else here."""

    def __init__(self, path, *, address=None) -> None:
        pass

    def show(self, study) -> None:
        pass

    def close(self) -> None:
        pass


def faraway(device: Any, *, precision: str) -> dict[str, str]:
    """The machinery of a machine that none of the tests' hosts is."""
    return {"torch": "9.1", "torchvision": "1.2", "device": "cpu (FARAWAY)"}
