"""`mode: search`: trials proposed by Optuna and run on validation, then the best of them run at every seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from study.execution.scheduler import Lookup, Runner
from study.execution.session import Session
from study.execution.trials import Trials
from study.runs.store import judged
from study.spec.objectives import COST, check_objectives, direction, objective_values
from study.spec.plan import Awaited, Cell, Plan
from study.spec.study_file import CHOSEN, Arm

TRIAL_SEED = 1000  # far from the seeds a study lists


def search_plan(session: Session, runner: Runner | Lookup) -> Plan:
    """The whole plan of a search: its arms, its trials, and what of these is confirmed beside the arms.

    Trials run at seeds of their own, which are none of those the best is then run at: the luck that made a trial the best
    of many is not counted in its favour. They are proposed a batch at a time and told in the order they were proposed, so
    the search takes the same path with any number of workers, and again after an interruption. It stops at a batch in which
    a run was killed or failed, and goes on from there when called again; and whoever ran a trial, and however far, it hears
    what its own rule of pruning makes of it.
    """
    search = session.study.search
    assert search is not None
    objectives = search.objectives(session.config.primary)
    check_objectives(objectives, session.config)
    plan = session.plan()
    trials = Trials(
        path=runner.trials, name=f"{session.study.name}@{session.config.profile}", question=session.study.question,
        cells=plan.cells, directions=[direction(name) for name in objectives],
        values=lambda cell, result: objective_values(objectives, cell, result, session.dataset),
    )  # fmt: skip
    proposed: list[Cell] = []
    results: dict[str, Mapping[str, Any]] = {}
    count = session.arguments.trials or search.trials
    for batch, start in enumerate(range(0, count, search.batch)):
        pairs = trials.propose(search, count=min(search.batch, count - start), batch=batch)
        cells = [trial_cell(session, arm, number) for number, (_, arm) in enumerate(pairs, start=start)]
        done = runner.finish_batch(cells, total=count, done=start, prune_after=search.prune_after)
        proposed += cells
        if not done:
            return replace(plan.with_cells(proposed), later=_later(session, plan, count - len(proposed)))
        for (trial, _), cell in zip(pairs, cells, strict=True):
            results[cell.arm] = judged(session.store.result(cell.run), cell.run, search.prune_after)
            trials.tell(trial, cell, results[cell.arm])
    values = {cell.arm: objective_values(objectives, cell, results[cell.arm], session.dataset) for cell in proposed}
    front = pareto_front({arm: one for arm, one in values.items() if one is not None}, objectives)
    settings = {cell.arm: cell.settings for cell in proposed}
    chosen = spread(front, search.confirm)
    names = [CHOSEN] if len(objectives) == 1 else [f"pareto-{number}" for number in range(1, len(chosen) + 1)]
    confirmed = [Arm(name=name, settings=settings[arm]) for name, arm in zip(names, chosen)]
    full = session.plan(arms=[*session.study.arms, *confirmed])
    runner.finish_batch(full.cells, total=len(full.cells), done=0, prune_after=None)
    return replace(full.with_cells(proposed), front=tuple(front))


def trial_cell(session: Session, arm: Arm, number: int) -> Cell:
    """The run of a trial. Its seed follows from its number, whatever the sampler proposes: so seeds are crossed with the
    parameters by chance, an importance can be computed of the seed as of any parameter, and a parameter that has no more
    importance than the seed has shown none."""
    search = session.study.search
    assert search is not None
    seed = TRIAL_SEED + search.seed + number % search.seeds
    (cell,) = session.plan(arms=[arm], seeds=(seed,), role="trial").cells
    return cell


def pareto_front(values: Mapping[str, Sequence[float]], objectives: Sequence[str]) -> list[str]:
    """The names that no other one betters: is as good as in every objective and better in one. Best in the first objective
    first; with a single objective it is the best one alone, the first of equals."""
    signs = [-1 if name == COST else 1 for name in objectives]
    points = {name: tuple(sign * value for sign, value in zip(signs, one, strict=True)) for name, one in values.items()}
    kept = [
        name for name, own in points.items()
        if not any(other != own and all(a >= b for a, b in zip(other, own)) for other in points.values())
    ]  # fmt: skip
    ordered = sorted(kept, key=lambda name: points[name], reverse=True)
    return ordered if len(objectives) > 1 else ordered[:1]


def spread(front: Sequence[str], count: int) -> list[str]:
    """At most `count` of a front, its ends among them, evenly by rank in the first objective."""
    if len(front) <= count:
        return list(front)
    if count == 1:
        return list(front[:1])
    return [front[round(index * (len(front) - 1) / (count - 1))] for index in range(count)]


def _later(session: Session, plan: Plan, trials: int) -> tuple[Awaited, ...]:
    search = session.study.search
    assert search is not None
    like = next(cell for cell in plan.cells if cell.role == "arm").run.config
    found = Awaited(name="confirmation", runs=search.confirm * len(session.seeds), after="the trials", like=like)
    if trials == 0:
        return (found,)
    return (Awaited(name="trials", runs=trials, after="the trials before them", like=like), found)
