"""Times the executor's look at the store for epochs of many active runs."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

from benchmarks.measure import foreign_share, processor_time
from benchmarks.scale.made_up import one_real_run, runs_like, write_checkpoints
from study.config.values import parse_settings
from study.execution.executors.engine import LOOK, LOOK_SHARE, Answer, EngineExecutor
from study.runs.store import Store


class Idle:
    """An engine that takes jobs and never answers."""

    def __init__(self, size: int) -> None:
        self.size = size

    def send(self, job: dict[str, Any], answer: Callable[[Answer], None]) -> None:
        """Take a job."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


def measure_looks(numbers: Sequence[int], *, settings: Sequence[str], epochs: int = 100, rounds: int = 7) -> dict[str, Any]:
    """Return, for each number of active runs, seconds of a look that finds nothing, and of one that finds an epoch of each.

    Args:
        numbers: of active runs.
        settings: of the run whose log they have, `KEY=VALUE`.
        epochs: that logs have.
        rounds: of looks, of which the median counts.
    """
    before, found = processor_time(), {}
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            found[str(number)] = _looks(number, Path(folder), settings, epochs, rounds)
    return {"epochs": epochs, "runs": found, "foreign_load": foreign_share(before, processor_time())}


def _looks(number: int, folder: Path, settings: Sequence[str], epochs: int, rounds: int) -> dict[str, float]:
    store = Store(folder / "store")
    real, data = one_real_run(store, parse_settings(settings))
    runs = runs_like(real, number)
    write_checkpoints(runs, like=real, store=store, epochs=epochs)
    executor = EngineExecutor(Idle(number), data=data, store=store, device="cpu")
    submitted, nothing, news = [], [], []
    with executor:
        for run in runs:
            submitted.append(_seconds(lambda run=run: executor.submit(run)))  # type: ignore[misc]
        for place in range(rounds):
            nothing.append(_seconds(lambda: _look(executor)))
            write_checkpoints(runs, like=real, store=store, epochs=epochs + place + 1)
            news.append(_seconds(lambda: _look(executor)))
    return {"submit": median(submitted), "nothing_new": median(nothing), "an_epoch_each": median(news)}


def _look(executor: EngineExecutor) -> None:
    list(executor._look())


def _seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def look_rows(results: dict[str, Any]) -> list[dict[str, str]]:
    """Return a row for each number of active runs; looks follow one another as `EngineExecutor` spaces them."""
    return [
        {
            "active runs": number,
            "submit one, ms": f"{1000 * one['submit']:.2f}",
            "look, nothing new, ms": f"{1000 * one['nothing_new']:.1f}",
            "look, an epoch of each, ms": f"{1000 * one['an_epoch_each']:.1f}",
            "s from look to look": f"{max(LOOK, one['an_epoch_each'] * (1 / LOOK_SHARE - 1)):.1f}",
        }
        for number, one in results["runs"].items()
    ]
