"""Plans the runs that results report anew, under today's code and parameters."""

import dataclasses
from collections import defaultdict

from study.execution.session import Session
from study.results.schema import StudyResults
from study.spec.plan import Cell
from study.spec.study_file import Arm


def replan(results: StudyResults, session: Session) -> dict[tuple[str, int], Cell]:
    """Return (arm, seed) -> its cell under the session's code and data, for every run the results report.

    Cells follow from the settings that results record of each arm. A control is left out where no arm is of its
    architecture.
    """
    at_seed: dict[int, list[Arm]] = defaultdict(list)
    for arm in results.arms:
        if not arm.is_control:
            for run in arm.runs:
                at_seed[run.seed].append(Arm(name=arm.name, settings=arm.settings))
    planned = {
        (cell.arm, cell.seed): cell
        for seed, arms in sorted(at_seed.items())
        for cell in session.plan(arms=arms, seeds=(seed,)).cells
    }
    return {key: planned[key] for key in results.runs_by_cell() if key in planned}


def is_same_run(cell: Cell, digest: str, results: StudyResults) -> bool:
    """Return whether a cell is the run of this digest, leaving aside the machine that results were made on."""
    identity = cell.run.identity
    recorded = results.identity.machinery if results.identity else None
    if recorded is not None and identity.digest != digest:
        identity = dataclasses.replace(identity, machinery=recorded)
    return identity.digest == digest


def changes_since(results: StudyResults, cell: Cell) -> list[str]:
    """Return in words what has changed since the results, of what they record: code, data, machinery."""
    recorded, today = results.identity, cell.run.identity
    if recorded is None:
        return []
    before = dataclasses.replace(
        today,
        # Results of earlier versions have a digest a module here: any such code is another.
        code=recorded.code if isinstance(recorded.code, str) else "",
        data=today.data if recorded.data is None else recorded.data,
        machinery=today.machinery if recorded.machinery is None else recorded.machinery,
        definitions=recorded.definitions or {},
    )
    return today.differences(before)
