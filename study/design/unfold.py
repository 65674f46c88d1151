"""Unfolds a study into its plan, as far as results reach."""

import re
from collections.abc import Sequence
from dataclasses import replace

from study.config.values import parse_settings
from study.design.ablation_path import walk
from study.design.search import search_plan
from study.design.tuning import tuned_plan
from study.design.until_decided import decide
from study.execution.looks import current_look
from study.execution.scheduler import Lookup, Runner
from study.execution.session import Session
from study.spec.keys import settings
from study.spec.plan import Plan
from study.spec.study_file import Arm


def unfold(session: Session, runner: Runner | Lookup) -> Plan:
    """Return the plan that the session's request asks for: of the whole study, or of some of its arms.

    A `Runner` runs all of it. A `Lookup` runs nothing, and the plan reaches as far as results do.

    Raises:
        InputError: for an arm there is not, or not yet, or settings no run can have.
    """
    arms = session.request.arms
    return unfold_arms(session, arms, runner) if arms else unfold_study(session, runner)


def unfold_study(session: Session, runner: Runner | Lookup) -> Plan:
    """Return the plan of the whole study."""
    if session.stops:
        return decide(session, runner)
    if session.study.search is not None:
        plan = search_plan(session, session.study.search, runner)
    else:
        plan = tuned_plan(session, session.study.arms, runner)
        runner.finish([cell for cell in plan.cells if cell.role != "tuning"])
        plan = walk(session, plan, runner) if session.study.path is not None else plan
    return replace(plan, look=current_look(session, plan))


def unfold_arms(session: Session, names: Sequence[str], runner: Runner | Lookup) -> Plan:
    """Return the plan of some arms, by name or as settings (`pretrain.mu=10,pretrain.nu=2`).

    Settings name an arm that a search found. Such an arm is run as it is, and not tuned.

    Raises:
        InputError: for an arm there is not, or not yet, and for a setting that no arm may have.
    """
    # A comma within a value, as in [512, 512], is followed by no key.
    given = [
        Arm(name=name, settings=settings(f"--arm {name}", parse_settings(re.split(r",(?=[\w.]+=)", name), option="--arm")))
        for name in names
        if "=" in name
    ]
    study = session.study
    depends = study.is_tuned or session.stops  # its arms' runs depend on results
    plan = session.plan(arms=given if depends else [*study.arms, *given])
    if not set(names) <= set(plan.by_arm()):
        known = unfold_study(session, Lookup(session))
        pending = [arm for arm in study.arms if arm.name in names and arm.name in [one.name for one in known.pending]]
        if pending and isinstance(runner, Runner):
            tuned = tuned_plan(session, pending, runner)
            left = [one for one in known.pending if one.name not in [arm.name for arm in pending]]
            known = replace(known.with_cells(tuned.cells), pending=(*left, *tuned.pending))
        plan = known.with_cells(plan.cells)
    plan = plan.only(names)
    runner.finish([cell for cell in plan.cells if cell.role != "trial"])
    trials = [cell for cell in plan.cells if cell.role == "trial"]
    runner.finish_batch(trials, total=len(trials), done=0, prune_after=study.search.prune_after if study.search else None)
    return plan
