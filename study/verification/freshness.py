"""Checks whether results are what today's code and parameters would make."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.config.config import Config
from study.config.load import load_config
from study.config.places import PREPARED
from study.design.unfold import unfold
from study.execution.request import Request
from study.execution.scheduler import Lookup
from study.execution.session import open_session
from study.execution.status import staleness
from study.results.runs import RunResults
from study.results.schema import StudyResults
from study.runs.identity import Identity
from study.runs.outcomes import MISSING, OUTCOMES
from study.runs.store import Store
from study.spec.plan import Cell, Plan
from study.verification.replan import changes_since, is_same_run
from vicreg.data.fingerprint import source_fingerprint
from vicreg.errors import InputError

_MADE_BY_DESIGN = ("step", "trial", "tuning")  # roles of cells that results decide on: what made them may lie elsewhere


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """Groups of (reason, the cells that are not fresh for it), and their count; or why nothing was checked."""

    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    count: int = 0
    unchecked: str = ""


def freshness(results: StudyResults, *, store: Path) -> Freshness:
    """Return how a study's results stand to the runs that it asks for today.

    A cell is fresh where its run is the one that is reported and the store holds its outcome. Nothing is downloaded and
    nothing is run: where the data are not at hand, or the parameters are none a run can have, nothing is checked.
    """
    try:
        config = load_config(profile=results.profile, settings=results.overrides)
        if not is_data_at_hand(config, store=store):
            return Freshness(unchecked=f"the data ({config.prepare.dataset}) are not here, so no plan can be made.")
        request = Request(study=results.study, store=store, profile=results.profile, overrides=results.overrides)
        session = open_session(request)
        plan = unfold(session, Lookup(session))
    except InputError as error:
        return Freshness(unchecked=str(error))
    return _compared(results, plan, session.store)


def is_data_at_hand(config: Config, *, store: Path) -> bool:
    """Return whether a config's data are here, raw or prepared, so that they need no download."""
    if source_fingerprint(dataset=config.prepare.dataset, root=config.data_root) is not None:
        return True
    for path in (PREPARED, *sorted((store / "datasets").glob("*"))):
        try:
            recorded = json.loads((path / "source.json").read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(recorded, dict) and recorded.get("settings") == json.loads(
            json.dumps(dataclasses.asdict(config.prepare))
        ):
            return True
    return False


def _compared(results: StudyResults, plan: Plan, store: Store) -> Freshness:
    before, known = results.runs_by_cell(), dict(store.identities())
    labels = {arm.name: arm.label for arm in results.arms}
    groups: dict[str, list[tuple[str, int]]] = {}
    planned = set()
    for cell in plan.cells:
        planned.add((cell.arm, cell.seed))
        labels.setdefault(cell.arm, cell.label)
        if reason := _reason(cell, before.get((cell.arm, cell.seed)), results, store, known):
            groups.setdefault(reason, []).append((labels[cell.arm], cell.seed))
    for arm, seed in before.keys() - planned:
        awaited = plan.pending and results.arm(arm).role in (*_MADE_BY_DESIGN, "arm")
        reason = "not planned yet: it follows from runs that are not here" if awaited else "no longer asked for"
        groups.setdefault(reason, []).append((labels[arm], seed))
    return Freshness(
        groups=tuple((reason, _by_label(cells)) for reason, cells in sorted(groups.items())),
        count=sum(map(len, groups.values())),
    )


def _reason(
    cell: Cell, before: RunResults | None, results: StudyResults, store: Store, known: dict[str, Identity]
) -> str | None:
    """Return why a cell is not fresh, or None where it is."""
    status, why = store.status(cell.run)
    if before is not None and before.digest == cell.run.digest:
        if status in OUTCOMES:
            return None
        return "its run is no longer in the store" if status == MISSING else f"{status}: {why}"
    if status in OUTCOMES:
        return f"{status}, but not in these results: run the study again to take it in"
    if status != MISSING:
        return f"{status}: {why}"
    if before is None:
        return "never run"
    if is_same_run(cell, before.digest, results):
        return f"reported from another machine: {'; '.join(changes_since(results, cell))}"
    stale = staleness(cell, known, (before.digest,)) or "; ".join(changes_since(results, cell))
    return f"stale: {stale}" if stale else "stale: its settings have changed"


def _by_label(cells: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Return `ν 1, seeds 0, 1, 2`, a text an arm."""
    seeds: dict[str, list[int]] = {}
    for label, seed in cells:
        seeds.setdefault(label, []).append(seed)
    return tuple(
        f"{label}, seed{'' if len(own) == 1 else 's'} {', '.join(map(str, sorted(own)))}"
        for label, own in sorted(seeds.items())
    )
