"""`seeds: until-decided`: arms that are decided stop, others get seeds.

All arms are run at the seeds of the first look and compared with the baseline, at the price of all looks. Those that are
better, worse or equivalent within `ablate.margin` stop. The baseline and the others go on to the seeds of the next look,
until all are decided, the looks are used up or the budget would be exceeded. Decisions follow from finished runs alone, so a
command that was killed goes on where it stopped, and any number of workers takes the same way.
"""

from collections.abc import Sequence
from dataclasses import replace

from study.analysis.summary import judged_arms
from study.config.seeds import Seeds
from study.design.tuning import tuned_plan
from study.execution.looks import current_look
from study.execution.scheduler import Lookup, Runner
from study.execution.session import Session
from study.spec.plan import Cell, Pending, Plan
from vicreg.errors import InputError


def decide(session: Session, runner: Runner | Lookup) -> Plan:
    """Return the plan of a study's arms at the seeds that each takes to be decided, as far as results reach.

    Raises:
        InputError: for a budget that the first look exceeds.
    """
    seeds = session.configured
    plan = tuned_plan(session, session.study.arms, runner)
    _check_budget(seeds, plan)
    new: Sequence[Cell] = [cell for cell in plan.cells if cell.role != "tuning"]
    for number in range(1, len(seeds.looks) + 1):
        plan = _at_look(session, plan, number)
        done = runner.finish(new, stage=f"look-{number}" if number > 1 else "")
        if not done or plan.pending:
            return replace(plan, pending=(*plan.pending, *_pending(seeds, plan, number)))
        undecided = judged_arms(plan, session.store, session.dataset).undecided
        if not undecided or number == len(seeds.looks):
            break
        new = _next_seeds(session, plan, undecided, range(seeds.looks[number - 1], seeds.looks[number]))
        more = plan.with_cells(new)
        runs = trained_runs(more)
        if seeds.budget is not None and runs > seeds.budget:
            said = f"The budget of {seeds.budget} runs ends here: with look {number + 1} there would be {runs}."
            return replace(plan, notes=(said,))
        plan = more
    return plan


def trained_runs(plan: Plan) -> int:
    """Return how many different runs of a plan train a network, which is what a budget counts."""
    return len({cell.run.digest for cell in plan.cells if cell.run.config.pretrain.epochs})


def most_runs(seeds: Seeds, plan: Plan, number: int) -> int:
    """Return the runs that may follow those of look `number` at worst: no later look decides an arm, or the budget ends."""
    reached, last = seeds.looks[number - 1], seeds.looks[-1]
    arms = {cell.run.digest for cell in plan.cells if cell.role == "arm" and cell.seed == reached - 1}
    awaited = sum(one.runs for one in plan.pending)  # at the first look, after their tuning
    worst = (len(arms) + len(plan.pending)) * (last - reached)
    if seeds.budget is None:
        return worst
    return max(0, min(worst, seeds.budget - trained_runs(plan) - awaited))


def _check_budget(seeds: Seeds, plan: Plan) -> None:
    least = trained_runs(plan) + sum(one.runs for one in plan.pending)
    if seeds.budget is not None and seeds.budget < least:
        name = plan.study.name
        raise InputError(
            f"budget must be at least {least} runs, which the first look of study {name!r} takes, but got {seeds.budget}."
        )


def _at_look(session: Session, plan: Plan, number: int) -> Plan:
    """Return the plan at one of the looks that were planned, at their price: looks of before only raise it."""
    look, planned = current_look(session, plan, number=number), session.configured.looks
    assert look is not None, "several looks are planned"
    return replace(plan, look=replace(look, number=number, planned=planned, steps=planned[:number]))


def _next_seeds(session: Session, plan: Plan, undecided: Sequence[str], seeds: Sequence[int]) -> Sequence[Cell]:
    """Return the cells of the baseline and of undecided arms at more seeds, and of their controls.

    Other names of the baseline's runs go with it. They cost nothing, and are no arms of their own.
    """
    first = {name: cells[0] for name, cells in plan.by_arm().items()}
    baseline = first[session.study.baseline].run.digest
    arms = [
        arm for arm in session.study.arms
        if arm.name in undecided or first[arm.name].run.digest == baseline
    ]  # fmt: skip
    tuned = {arm.name: first[arm.name].tuned for arm in arms}
    return session.plan(arms=arms, seeds=tuple(seeds), tuned=tuned).cells


def _pending(seeds: Seeds, plan: Plan, number: int) -> list[Pending]:
    runs, last = most_runs(seeds, plan, number), len(seeds.looks)
    if not runs:
        return []
    name = f"look {last}" if number + 1 == last else f"looks {number + 1} to {last}"
    arms = next(cell for cell in plan.cells if cell.role in ("arm", "tuning"))
    pending = [Pending(name=name, runs=runs, after=f"look {number}", like=arms.run.config)]
    controls = [cell for cell in plan.cells if cell.is_control]
    if controls:
        more = len({cell.arm for cell in controls}) * (seeds.looks[-1] - seeds.looks[number - 1])
        like = controls[0].run.config
        pending.append(Pending(name=f"controls of {name}", runs=more, after=f"look {number}", like=like))
    return pending
