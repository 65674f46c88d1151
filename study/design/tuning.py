"""Nuisance parameters: tuned for each arm, and chosen on validation.

Each arm is tried at every combination of the values that the study lists for all arms and those that it lists for this arm.

An arm compared at settings that were tuned for another is compared at a handicap (Deep Learning Tuning Playbook, Godbole
et al. 2023, "Scientific, nuisance, and fixed hyperparameters").
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.execution.scheduler import Lookup, Runner, have_outcomes
from study.execution.session import Session
from study.spec.names import grid_name
from study.spec.objectives import best, validation_mean
from study.spec.plan import Cell, Pending, Plan, Role
from study.spec.study_file import Arm
from vicreg.errors import InputError

TUNING_SEED = 2000  # far from the seeds a study lists and from its trials': the luck that chose a value is not reported


def tuned_plan(
    session: Session, arms: Sequence[Arm], runner: Runner | Lookup, *, role: Role = "arm", stage: str = "tuning"
) -> Plan:
    """Return the plan of arms at what was chosen for each, and the runs that it was chosen by.

    An arm is pending while one of its tuning runs has no outcome. An arm without nuisance parameters stays as it is.

    Args:
        session: of the study.
        arms: of the study, or those of a round of its path.
        runner: runs the tuning, or looks its results up.
        role: of the arms.
        stage: what Optuna's study of the tuning is called.
    """
    tried = {arm.name: tuning_cells(session, arm) for arm in arms if session.study.nuisance_of(arm.name)}
    if not tried:
        return session.plan(arms=arms, role=role)
    every = [cell for cells in tried.values() for cell in cells]
    runner.finish(every, stage=stage)
    chosen = {name: chosen_of(session, cells) for name, cells in tried.items() if have_outcomes(cells, session.store)}
    ready = [arm for arm in arms if arm.name in chosen or arm.name not in tried]
    plan = session.plan(arms=ready, role=role, tuned=chosen)
    pending = [
        Pending(name=arm.name, runs=len(session.seeds), after="its tuning", like=tried[arm.name][0].run.config)
        for arm in arms
        if arm not in ready
    ]
    return replace(plan, cells=(*every, *plan.cells), pending=tuple(pending))


def tuning_cells(session: Session, arm: Arm) -> list[Cell]:
    """Return an arm at every combination of its nuisance values: `size-32@baselr0.2`.

    Raises:
        InputError: for values that no run can have, and for nuisance of the arm's own that changes none of its runs.
    """
    arms = [
        Arm(name=f"{arm.name}@{grid_name(values)}", settings={**arm.settings, **values})
        for values in session.study.combinations_of(arm.name)
    ]
    cells = session.plan(arms=arms, seeds=(TUNING_SEED,), role="tuning").cells
    own = math.prod(map(len, arm.nuisance.values()))  # the first so many cells differ in these alone
    if arm.nuisance and len({cell.run.digest for cell in cells[:own]}) < own:
        method = cells[0].run.config.pretrain.method
        raise InputError(
            f"arm {arm.name!r} of study {session.study.name!r} is tuned over {', '.join(arm.nuisance)}, but its runs, of "
            f"method {method}, do not depend on all of it; list settings of this method."
        )
    return [replace(cell, tunes=arm.name) for cell in cells]


def chosen_of(session: Session, cells: Sequence[Cell]) -> Mapping[str, Any]:
    """Return the nuisance values of the arm's best run on validation, of equal ones the first listed.

    A run without an accuracy (it diverged) is not chosen. Where all are, the first listed values stand: the arm then
    diverges at every seed, and its report says so.
    """
    scores = {cell.arm: validation_mean([cell], session.store, session.config.primary) for cell in cells}
    name = best(scores) or cells[0].arm
    assert cells[0].tunes is not None, "these are cells of tuning"
    return dict(zip((cell.arm for cell in cells), session.study.combinations_of(cells[0].tunes), strict=True))[name]
