"""Runs computed once more in an empty store, and compared with the numbers that were reported."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.config.values import flatten
from study.execution.scheduler import Runner
from study.execution.session import Session
from study.runs.store import DIVERGED, FINISHED, PRUNED, Store
from study.spec.plan import Cell, Plan

# Of a result, what comes out alike wherever and whenever it is run: not its commit, nor its speed.
_DECIDED = ("seed", "status", "reason", "effective_coefficients", "history", "validation", "test", "collapse", "verdict")


def run_again(plan: Plan, session: Session) -> int:
    """`--again`: runs every cell of the plan from nothing; 0 where each ends as it did, with the very numbers there were,
    else 1. What a search has pruned is pruned by its rule again."""
    before = {cell.run.digest: session.store.result(cell.run) for cell in plan.cells}
    search = session.study.search
    pruned = [cell for cell in plan.cells if search is not None and before[cell.run.digest]["status"] == PRUNED]
    differing = 0
    with run_afresh(plan.cells, session, pruned=pruned) as fresh:
        for cell in plan.cells:
            old, new = before[cell.run.digest], fresh.result(cell.run)
            if old["status"] not in (FINISHED, PRUNED, DIVERGED):
                verdict = f"now {new['status']}; this store has no finished run to compare with ({old['status']})"
                differing += new["status"] != FINISHED
            else:
                verdict = _verdict(old, differences := compare(old, new))
                differing += bool(differences)
            said = "; ".join(filter(None, (verdict, _accuracies(new))))
            print(f"{cell.label}, seed {cell.seed}, run {cell.run.digest}: {said}")
    return 1 if differing else 0


def _verdict(old: Mapping[str, Any], differences: Sequence[str]) -> str:
    if differences:
        return "DIFFERS in " + ", ".join(differences[:3])
    return "identical" if old["status"] == FINISHED else f"identical; {old['status']} as before ({old['reason']})"


@contextmanager
def run_afresh(cells: Sequence[Cell], session: Session, *, pruned: Sequence[Cell] = ()) -> Iterator[Store]:
    """An empty store in which these cells are run; it is gone afterwards.

    Args:
        pruned: those of the cells that a search may prune, as it did.
    """
    with tempfile.TemporaryDirectory(prefix="again-") as folder:
        fresh = replace(session, store=Store(Path(folder)))
        with Runner(fresh) as runner:
            runner.finish_batch([cell for cell in cells if cell not in pruned], total=len(cells))
            if pruned:
                assert session.study.search is not None, "a search alone prunes"
                prune_after = session.study.search.prune_after
                runner.finish_batch(pruned, total=len(cells), done=len(cells) - len(pruned), prune_after=prune_after)
        yield fresh.store


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The keys, of all that a run's identity decides, whose values are not equal between two results of one run."""
    left, right = (flatten({key: result.get(key) for key in _DECIDED}) for result in (before, after))
    return [key for key in sorted({*left, *right}) if json.dumps(left.get(key)) != json.dumps(right.get(key))]  # nan is nan


def _accuracies(result: dict[str, Any]) -> str:
    return ", ".join(f"{probe} {100 * measured['top1']:.2f} %" for probe, measured in result["test"].items())
