"""Runs computed once more in an empty store, and compared with the numbers that were reported."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.config import flatten
from study.plan import Cell, Plan
from study.runs import FINISHED, Store
from study.schedule import Runner
from study.session import Session

# Of a result, what comes out alike wherever and whenever it is run: not its commit, nor its speed.
_DECIDED = ("seed", "status", "reason", "effective_coefficients", "history", "validation", "test", "collapse", "verdict")


def run_again(plan: Plan, session: Session) -> int:
    """`--again`: runs every cell of the plan from nothing; 0 where all finish, with the very numbers there were, else 1."""
    differing = 0
    with run_afresh(plan.cells, session) as fresh:
        for cell in plan.cells:
            before, after = session.store.result(cell.run), fresh.result(cell.run)
            if before["status"] != FINISHED:
                verdict = f"now {after['status']}; this store has no finished run to compare with ({before['status']})"
                differing += after["status"] != FINISHED
            else:
                differences = compare(before, after)
                verdict = "identical" if not differences else "DIFFERS in " + ", ".join(differences[:3])
                differing += bool(differences)
            print(f"{cell.label}, seed {cell.seed}, run {cell.run.digest}: {verdict}; {_accuracies(after)}")
    return 1 if differing else 0


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
