"""`--again`: runs computed once more in an empty store, and compared with the numbers that were reported."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.config import flatten
from study.plan import Plan
from study.runs import FINISHED, Store
from study.schedule import run_listed
from study.session import Session


def run_again(plan: Plan, session: Session) -> int:
    """Runs every cell of the plan from nothing; 0 where all finish, with the very numbers there were, 1 otherwise."""
    differing = 0
    with tempfile.TemporaryDirectory(prefix="again-") as folder:
        fresh = replace(session, store=Store(Path(folder)))
        run_listed(fresh, plan.cells, total=len(plan.cells), done=0)
        for cell in plan.cells:
            before, after = session.store.result(cell.run), fresh.store.result(cell.run)
            if before["status"] != FINISHED:
                verdict = f"now {after['status']}; this store has no finished run to compare with ({before['status']})"
                differing += after["status"] != FINISHED
            else:
                differences = compare(before, after)
                verdict = "identical" if not differences else "DIFFERS in " + ", ".join(differences[:3])
                differing += bool(differences)
            print(f"{cell.label}, seed {cell.seed}, run {cell.run.digest}: {verdict}; {_accuracies(after)}")
    return 1 if differing else 0


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The keys whose values are not equal between two results of one run, its commit aside."""
    left, right = flatten({**before, "commit": None}), flatten({**after, "commit": None})
    return [key for key in sorted({*left, *right}) if left.get(key) != right.get(key)]


def _accuracies(result: dict[str, Any]) -> str:
    return ", ".join(f"{probe} {100 * measured['top1']:.2f} %" for probe, measured in result["test"].items())
