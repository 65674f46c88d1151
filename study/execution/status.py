"""`--status`: how each run stands, and why one is stale."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from study.cli.console import Console
from study.runs.identity import Identity
from study.runs.ledger import ledger_path, merged, read_ledger, write_ledger
from study.runs.outcomes import FINISHED, MISSING
from study.runs.store import Store
from study.spec.plan import Cell, Plan


def print_status(plan: Plan, store: Store) -> int:
    """Print a line for each run and how many are finished; return 0, for it is a question."""
    known = dict(store.identities())
    remembered = read_ledger(_path(plan, store))
    table = Table(title=f"{plan.study.name} on profile {plan.config.profile}", title_justify="left")
    for column in ("arm", "seed", "run", "status", "why"):
        table.add_column(column, overflow="fold")
    finished = 0
    for cell in plan.cells:
        status, reason = store.status(cell.run)
        finished += status == FINISHED
        if status == MISSING:
            why = staleness(cell, known, remembered.get(f"{cell.arm}/{cell.seed}", ()))
            status, reason = ("stale", why) if why else (status, "never run")
        table.add_row(cell.label, str(cell.seed), cell.run.digest[:8], status, reason or "")
    for one in plan.pending:
        table.add_row(one.name, "", "", "awaited", f"after {one.after}; {one.runs} runs at most")
    Console(markup=False, emoji=False).print(table)
    pending = sum(one.runs for one in plan.pending)
    more = f"; at most {pending} more follow from them" if pending else ""
    print(f"{finished} of {len(plan.cells)} runs are finished{more}")
    return 0


def staleness(cell: Cell, known: dict[str, Identity], remembered: Sequence[str]) -> str | None:
    """Return why a run that was computed before has to be computed again, or None if it never was.

    It is compared with the run that this arm and seed stood for last, and with those of the same settings.

    Args:
        cell: whose run is missing.
        known: every run that was ever started, by digest.
        remembered: digests of the runs that the cell has stood for, the last one last.
    """
    identity = cell.run.identity
    candidates = [known[digest] for digest in remembered[-1:] if digest in known]
    candidates += [other for other in known.values() if dict(other.settings) == dict(identity.settings)]
    if not candidates:
        return None
    shortest = min([identity.differences(other) for other in candidates], key=len)
    return "; ".join(shortest)


def remember(plan: Plan, store: Store) -> None:
    """Note which run each arm and seed stands for: `--status` says later what has changed, and `sync --study` finds them."""
    now = {f"{cell.arm}/{cell.seed}": (cell.run.digest,) for cell in plan.cells}
    write_ledger(_path(plan, store), merged(read_ledger(_path(plan, store)), now))


def _path(plan: Plan, store: Store) -> Path:
    return ledger_path(store.root, plan.study.name, plan.config.profile)
