"""Shows a study while it runs: a live table, or lines."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.live import Live
from rich.table import Table

from study.cli.console import Console
from study.runs.outcomes import REPEATABLE
from study.spec.plan import Cell

LINE_EVERY_S = 600.0  # at least, between lines on runs in training where there is no terminal to draw a table on


class Progress:
    """Counts runs, shows rank and std of the active ones, and estimates the time left."""

    def __init__(
        self, *, name: str, total: int, done: int, epochs: int, workers: int, console: Console | None = None
    ) -> None:
        """Show nothing yet.

        Args:
            name: of the study.
            total: runs in all.
            done: of these, ended before.
            epochs: that are left to train, in all.
            workers: runs at a time.
            console: where to print; None for standard output.
        """
        self._name, self._total, self._done = name, total, done
        self._epochs_left, self._workers = epochs, workers
        self._epochs_seen = 0
        self._started = time.monotonic()
        self._active: dict[str, tuple[Cell, Mapping[str, Any] | None]] = {}
        self._console = console or Console(markup=False, emoji=False)  # a name is no markup
        self._live = Live(console=self._console, refresh_per_second=4) if self._console.is_terminal else None
        self._told: dict[str, float] = {}  # digest -> when a run in training last had a line, or began

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
            self._live.update(self._table())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.update(self._table())
            self._live.stop()

    def started(self, cell: Cell) -> None:
        """Show a run that has begun."""
        self._active[cell.run.digest] = (cell, None)
        self._told[cell.run.digest] = time.monotonic()
        self._refresh()

    def epoch(self, cell: Cell, record: Mapping[str, Any]) -> None:
        """Show the log record of a run's last epoch."""
        self._active[cell.run.digest] = (cell, record)
        self._epochs_seen += 1
        self._epochs_left -= 1
        self._refresh()
        if self._live is None and time.monotonic() - self._told.get(cell.run.digest, self._started) >= LINE_EVERY_S:
            self._told[cell.run.digest] = time.monotonic()
            of = f"epoch {record['epoch']} of {cell.run.config.pretrain.trained_epochs}"
            self._print(f"{cell.label}, seed {cell.seed}: {of}; {_numbers(record)}{self._time_left()}")

    def ended(self, cell: Cell, status: str, reason: str | None) -> None:
        """Print a line on how a run ended."""
        _, record = self._active.pop(cell.run.digest, (cell, None))
        self._done += status in REPEATABLE  # the others have to be run again
        what = f"{cell.label}, seed {cell.seed}: {status}" + (f" ({reason})" if reason else "")
        numbers = "" if record is None else f"; {_numbers(record)}"
        self._print(f"[{self._done}/{self._total}] {what}{numbers}{self._time_left()}")
        self._refresh()

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _refresh(self) -> None:
        if self._live:
            self._live.update(self._table())

    def _table(self) -> Table:
        table = Table(title=f"{self._name}: {self._done} of {self._total} runs{self._time_left()}", title_justify="left")
        for column in ("arm", "seed", "epoch", "RankMe of embeddings", "std of embeddings", "loss"):
            table.add_column(column, justify="left" if column == "arm" else "right")
        for cell, record in self._active.values():
            epochs = cell.run.config.pretrain.trained_epochs
            if record is None:
                table.add_row(cell.label, str(cell.seed), f"0/{epochs}", "", "", "")
                continue
            trace = record["embeddings"]
            table.add_row(
                cell.label, str(cell.seed), f"{record['epoch']}/{epochs}",
                f"{trace['rankme']:.1f}" if "rankme" in trace else "", f"{trace['std_mean']:.3f}", f"{record['total']:.3f}",
            )  # fmt: skip
        return table

    def _time_left(self) -> str:
        if self._epochs_seen < 2 * self._workers or self._epochs_left <= 0:
            return ""
        seconds = (time.monotonic() - self._started) / self._epochs_seen * self._epochs_left
        return f"; about {format_duration(seconds)} left"


def _numbers(record: Mapping[str, Any]) -> str:
    trace = record["embeddings"]
    rank = f", RankMe {trace['rankme']:.1f}" if "rankme" in trace else ""  # a GPU does not measure it in every epoch
    knn = f", k-NN {100 * record['knn']:.1f} %" if record.get("knn") is not None else ""
    return f"loss {record['total']:.3f}{rank}, std {trace['std_mean']:.3f}{knn}"


def format_duration(seconds: float) -> str:
    """Return seconds in the unit a person would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
