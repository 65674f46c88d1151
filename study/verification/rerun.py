"""Runs cells again in an empty store and compares their results."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from study.config.values import flatten
from study.execution.scheduler import Runner
from study.execution.session import Session
from study.results.json_values import to_values
from study.results.runs import RunResults, run_results
from study.runs.outcomes import DIVERGED, FINISHED, PRUNED
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from vicreg.errors import InputError

# Keys of a result that come out alike wherever and whenever it is run: not its commit, nor its speed.
_DECIDED = ("seed", "status", "reason", "effective_coefficients", "history", "validation", "test", "collapse", "verdict")

_PREFIX = "again-"  # of a store for a moment, before the number of its process


def rerun_plan(plan: Plan, session: Session) -> int:
    """Run every cell of a plan again from nothing, and print what became of each.

    Return 0 where each ends as it did with the same numbers, else 1. A run that was never finished cannot be the same. What
    a search has pruned is pruned by its rule again.

    Raises:
        InputError: where the plan waits for runs that there are not.
    """
    if plan.pending:
        one = plan.pending[0]
        raise InputError(f"--again compares with runs there are, but {one.name} waits for {one.after}; run it first.")
    before = {cell.run.digest: run_results(session.store.result(cell.run)) for cell in plan.cells}
    search = session.study.search
    pruned = [cell for cell in plan.cells if search is not None and before[cell.run.digest].status == PRUNED]
    differing = 0
    with run_afresh(plan.cells, session, pruned=pruned) as fresh:
        for cell in plan.cells:
            old, new = before[cell.run.digest], run_results(fresh.result(cell.run))
            if old.status not in (FINISHED, PRUNED, DIVERGED):
                said = f"now {new.status}; this store has no finished run to compare with ({old.status}); "
                said += "give another by --store"
                differing += 1
            else:
                said = _comparison(old, differences := differing_keys(old, new))
                differing += bool(differences)
            said = "; ".join(filter(None, (said, _accuracies(new))))
            print(f"{cell.label}, seed {cell.seed}, run {cell.run.digest}: {said}")
    return 1 if differing else 0


@contextmanager
def run_afresh(cells: Sequence[Cell], session: Session, *, pruned: Sequence[Cell] = ()) -> Iterator[Store]:
    """Run cells in an empty store and yield it; it is gone afterwards.

    Args:
        cells: to be run.
        session: has their data and device.
        pruned: those of the cells that a search may prune, as it did.
    """
    # Workers on other hosts see the store, and not the temporary files of this one.
    beside = None if session.request.executor is None else session.store.root.absolute()
    if beside is None:
        _remove_leftovers(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", dir=beside) as folder:
        fresh = replace(session, store=Store(Path(folder)))
        with Runner(fresh, shares_training=False) as runner:  # each by itself: what was shared is checked too
            runner.finish_batch([cell for cell in cells if cell not in pruned], total=len(cells))
            if pruned:
                assert session.study.search is not None, "a search alone prunes"
                prune_after = session.study.search.prune_after
                runner.finish_batch(pruned, total=len(cells), done=len(cells) - len(pruned), prune_after=prune_after)
        yield fresh.store


def _remove_leftovers(folder: Path) -> None:
    """Delete the stores of commands that were killed: those whose process is no more."""
    for left in folder.glob(f"{_PREFIX}*-*"):
        number = left.name.removeprefix(_PREFIX).partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def differing_keys(before: RunResults, after: RunResults) -> list[str]:
    """Return the keys whose values differ between two results of one run, of all that its identity decides."""
    left, right = (_decided(result) for result in (before, after))
    return [key for key in sorted({*left, *right}) if left.get(key) != right.get(key)]


def _decided(result: RunResults) -> dict[str, str]:
    """Return dotted key -> its value as JSON, in which nan equals nan."""
    values = to_values(result)
    return {key: json.dumps(value) for key, value in flatten({key: values[key] for key in _DECIDED}).items()}


def _comparison(old: RunResults, differences: Sequence[str]) -> str:
    if differences:
        return "DIFFERS in " + ", ".join(differences[:3])
    return "identical" if old.status == FINISHED else f"identical; {old.status} as before ({old.reason})"


def _accuracies(result: RunResults) -> str:
    return ", ".join(f"{probe} {100 * measured.top1:.2f} %" for probe, measured in result.test.items())
