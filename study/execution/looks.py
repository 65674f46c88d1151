"""Keeps which numbers of seeds of a study were looked at.

The store has a file a study, `looks/<study>.json`. It maps the baseline's first run, whose digest stands for code, data and
settings, to numbers of seeds in the order in which they were first summarised, each with the looks that were declared then:

    {"1a2b...": [{"seeds": 3, "planned": [3]}, {"seeds": 5, "planned": [5]}]}

So seeds that are added after a look have the price of an undeclared look, however they are asked for: by `--add-seeds`, by a
larger `--seeds`, by a larger number in the study's file, or by looks that are declared only then. Other code, data or
settings are another study. What is damaged is passed over, and nothing fails for it. Without the file `--add-seeds` still
counts the look that it adds to; that is all that can be known then.
"""

from pathlib import Path
from typing import Any

from study.config.seeds import LEAST_AT_LOOK
from study.execution.session import Session
from study.runs.store import Store
from study.runs.stored_json import stored_object
from study.spec.looks import Look, look_at, look_of
from study.spec.plan import Plan
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

Taken = tuple[int, tuple[int, ...]]  # a number of seeds, and the looks that were planned when it was summarised


def current_look(session: Session, plan: Plan, *, number: int | None = None) -> Look | None:
    """Return which look at a study a plan is, with its price; None for the only one.

    Args:
        session: of the study.
        plan: has the baseline's runs.
        number: of the look among those planned; None for the one that the request or the config names.
    """
    if number is None:
        asked = session.request
        number = 1 if asked.seeds else look_of(session.study, session.config, asked.look)
    return look_at(planned_looks(session), number, earlier=earlier_looks(session, plan))


def planned_looks(session: Session) -> tuple[int, ...]:
    """Return the numbers of seeds that are looked at: those declared, or the one that is asked for."""
    if session.request.seeds is None and session.configured.declared:
        return session.configured.looks
    return (len(session.seeds),)


def earlier_looks(session: Session, plan: Plan) -> tuple[int, ...]:
    """Return the numbers of seeds that were summarised before these looks were planned: an addition is to fewer seeds."""
    planned, taken = planned_looks(session), _taken(session.store, plan)
    first = next((place for place, (_, known) in enumerate(taken) if known == planned), len(taken))
    earlier = {n for n, _ in taken[:first] if n < planned[-1]}
    if session.request.add_seeds:
        earlier.add(session.configured.looks[0])
    return tuple(sorted(earlier))


def note_look(session: Session, plan: Plan, *, seeds: int | None = None) -> None:
    """Note that the results of a plan's seeds are looked at; a store that cannot be written keeps no note.

    Args:
        session: of the study; where it asks for some arms alone, nothing is noted.
        plan: has the baseline's runs.
        seeds: so many of the baseline's have a result; None for all. Fewer than are planned cost those nothing.
    """
    if session.request.arms:
        return
    planned, taken = planned_looks(session), _taken(session.store, plan)
    seeds = sum(cell.arm == plan.study.baseline for cell in plan.cells) if seeds is None else seeds
    key = _key(plan)
    if seeds < LEAST_AT_LOOK or key is None or (seeds, planned) in taken:
        return
    every = stored_object(_path(session.store, plan))
    every[key] = [{"seeds": n, "planned": list(looks)} for n, looks in (*taken, (seeds, planned))]
    try:
        write_atomically(_path(session.store, plan), to_json(every))
    except InputError:
        return  # a note is not worth a run


def _taken(store: Store, plan: Plan) -> list[Taken]:
    """Return what was summarised of the plan's study, in order; entries that are none are passed over."""
    entries = stored_object(_path(store, plan)).get(_key(plan) or "")
    found = []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and _is_number(entry.get("seeds")) and _are_numbers(entry.get("planned")):
            found.append((entry["seeds"], tuple(entry["planned"])))
    return found


def _are_numbers(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(_is_number(one) for one in given)


def _is_number(given: Any) -> bool:
    return type(given) is int and given > 0


def _key(plan: Plan) -> str | None:
    """Return the digest of the baseline's run at the first seed; None where it waits for its tuning."""
    cells = [cell for cell in plan.cells if cell.arm == plan.study.baseline]
    return min(cells, key=lambda cell: cell.seed).run.digest if cells else None


def _path(store: Store, plan: Plan) -> Path:
    return store.root / "looks" / f"{plan.study.name}.json"
