"""`mode: path`: from baseline to arm, one difference at a time.

Each time it is the difference that does best on validation.

Greedy ablation analysis (Fawcett and Hoos, Analysing differences between algorithm configurations through ablation, Journal
of Heuristics 22, 2016), with real runs at every seed in every round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.design.tuning import tuned_plan
from study.execution.scheduler import Lookup, Runner, have_outcomes
from study.execution.session import Session
from study.spec.objectives import best, validation_mean
from study.spec.plan import Pending, Plan, Step
from study.spec.study_file import CHOSEN, Arm
from vicreg.errors import InputError


def walk(session: Session, plan: Plan, runner: Runner | Lookup) -> Plan:
    """Return the plan of a study's arms, which have been run, with the steps of its path as far as results reach.

    Raises:
        InputError: if a round has no difference that can be made by itself.
    """
    arms = {arm.name: arm for arm in session.study.arms}
    baseline = arms.pop(session.study.baseline)
    trained = [cell for cell in plan.cells if cell.role == "arm"]
    if plan.pending or not have_outcomes(trained, session.store):
        runs = max(_runs_left(len(differences(plan, baseline, arm))) for arm in arms.values()) * len(session.seeds)
        return replace(plan, pending=(*plan.pending, _pending(plan, runs, after="the arms")))
    target, notes = _target(session, plan)
    if target is None:
        return replace(plan, notes=notes)
    plan = replace(plan, notes=notes)
    settings, left = dict(baseline.settings), differences(plan, baseline, arms[target])
    while left:
        number = len(plan.path) + 1
        alternatives = _alternatives(session, number, settings, left)
        round_plan = tuned_plan(session, list(alternatives.values()), runner, role="step", stage=f"tuning-step-{number}")
        done = runner.finish(round_plan.cells, stage=f"step-{number}") and not round_plan.pending
        plan = plan.with_cells(round_plan.cells)
        if not done:
            after = f"round {number} of the path"
            return replace(plan, pending=(_pending(plan, _runs_left(len(left) - 1) * len(session.seeds), after=after),))
        means = _means(session, round_plan, [arm.name for arm in alternatives.values()])
        kept = best(means) or next(iter(means))
        key = next(key for key, arm in alternatives.items() if arm.name == kept)
        old, settings[key] = left.pop(key)
        plan = replace(plan, path=(*plan.path, Step(key=key, old=old, new=settings[key], arm=kept, alternatives=means)))
    return plan


def differences(plan: Plan, baseline: Arm, arm: Arm) -> dict[str, tuple[Any, Any]]:
    """Return dotted key -> its value in the baseline's runs and in the arm's, of the keys that differ."""
    old, new = (plan.config.with_settings(one.settings).by_key for one in (baseline, arm))
    keys = {**arm.settings, **baseline.settings}
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def _target(session: Session, plan: Plan) -> tuple[str | None, tuple[str, ...]]:
    """Return the arm that the path walks to, and a sentence where its file seems to name another."""
    study = session.study
    if study.path != CHOSEN:
        return study.path, ()
    means = _means(session, plan, [arm.name for arm in study.arms])
    others = {name: mean for name, mean in means.items() if name != study.baseline}
    target = best(others)
    if target is None:
        return None, ("No arm but the baseline has an accuracy at every seed, so there is nothing to walk to.",)
    if best(means) != study.baseline:
        return target, ()
    return target, (f"The baseline is the best arm on validation; the path walks to the second best, {target}.",)


def _means(session: Session, plan: Plan, names: Sequence[str]) -> dict[str, float | None]:
    by_arm = plan.by_arm()
    return {name: validation_mean(by_arm[name], session.store, session.config.primary) for name in names}


def _alternatives(
    session: Session, number: int, settings: Mapping[str, Any], left: Mapping[str, tuple[Any, Any]]
) -> dict[str, Arm]:
    """Return each difference that is left -> the arm that makes it next.

    One that no run can have by itself (epochs below the warm-up of before) waits until another has been made.

    Raises:
        InputError: if none can be made by itself.
    """
    possible, refused = {}, ""
    for key, (_, new) in left.items():
        arm = Arm(name=f"step-{number}-{key.rpartition('.')[2]}", settings={**settings, key: new})
        try:
            session.plan(arms=[arm], role="step")
        except InputError as error:
            refused = str(error)
        else:
            possible[key] = arm
    if not possible:
        raise InputError(f"no difference of {', '.join(left)} can be made by itself: {refused}")
    return possible


def _pending(plan: Plan, runs: int, *, after: str) -> Pending:
    baseline = next(cell for cell in plan.cells if cell.role in ("arm", "tuning"))  # it is run before the other arms
    return Pending(name="path", runs=runs, after=after, like=baseline.run.config)


def _runs_left(differences: int) -> int:
    """Return the runs a seed of a path: n, n - 1, ..., 2 of n differences, for the last round is the arm itself."""
    return max(0, differences * (differences + 1) // 2 - 1)
