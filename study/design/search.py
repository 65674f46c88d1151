"""`mode: search`: Optuna proposes trials; the best run at every seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from study.execution.scheduler import Lookup, Runner
from study.execution.session import Session
from study.execution.trials import Trials
from study.runs.pruning import apply_pruning
from study.spec.objectives import COST, check_objectives, direction, objective_values
from study.spec.plan import Cell, Pending, Plan, fixed_config
from study.spec.search import Search, word_of
from study.spec.study_file import CHOSEN, Arm
from vicreg.errors import InputError

TRIAL_SEED = 1000  # far from the seeds a study lists
STUCK = 20  # proposals refused in a row, after which they are drawn at random
MOST_REFUSED = 1000  # likewise, after which the search gives up


def search_plan(session: Session, search: Search, runner: Runner | Lookup) -> Plan:
    """Return the whole plan of a search: its arms, its trials, and which of these are confirmed beside the arms.

    Trials run at seeds of their own, and what is confirmed runs at the study's. So the luck that made a trial the best of
    many is not counted in its favour. Trials are proposed a batch at a time and told in the order they were proposed. So the
    search takes the same path with any number of workers, and after an interruption. It stops at a batch in which a run
    was killed or failed, and goes on from there when called again.

    Raises:
        InputError: for an objective that runs are not measured by.
    """
    objectives = search.objectives(session.config.primary)
    check_objectives(objectives, session.config, searched=search.parameters)
    plan = session.plan()
    trials = Trials(
        database=runner.database, name=f"{session.study.name}@{session.config.profile}", question=session.study.question,
        cells=plan.cells, directions=[direction(name) for name in objectives],
        values=lambda cell, result: objective_values(objectives, cell, result, session.dataset),
    )  # fmt: skip
    count = session.request.trials or search.trials
    proposed, results = run_trials(session, search, runner, trials, count=count)
    if len(results) < len(proposed):  # a batch has a run without an outcome
        return replace(plan.with_cells(proposed), pending=_pending(session, search, plan, count - len(proposed)))
    values = {cell.arm: objective_values(objectives, cell, results[cell.arm], session.dataset) for cell in proposed}
    front = pareto_front({arm: one for arm, one in values.items() if one is not None}, objectives)
    settings = {cell.arm: cell.settings for cell in proposed}
    chosen = spread(front, search.confirm)
    names = [CHOSEN] if len(objectives) == 1 else [f"pareto-{number}" for number in range(1, len(chosen) + 1)]
    confirmed = [Arm(name=name, settings=settings[arm]) for name, arm in zip(names, chosen)]
    full = session.plan(arms=[*session.study.arms, *confirmed])
    runner.finish_batch(full.cells, total=len(full.cells), done=0, prune_after=None)
    return replace(full.with_cells(proposed), front=tuple(front))


def run_trials(
    session: Session, search: Search, runner: Runner | Lookup, trials: Trials, *, count: int
) -> tuple[list[Cell], dict[str, Mapping[str, Any]]]:
    """Propose and run trials batch by batch, up to a batch in which one has no outcome.

    Whoever ran a trial, and however far, the search is told what its own rule of pruning makes of it.

    Returns:
        The cells of all trials proposed, and arm -> result of those in complete batches.
    """
    proposed: list[Cell] = []
    results: dict[str, Mapping[str, Any]] = {}
    for batch, start in enumerate(range(0, count, search.batch)):
        pairs = propose(trials, search, session, count=min(search.batch, count - start), batch=batch)
        cells = [trial_cell(session, search, arm, number) for number, (_, arm) in enumerate(pairs, start=start)]
        done = runner.finish_batch(cells, total=count, done=start, prune_after=search.prune_after)
        proposed += cells
        if not done:
            break
        for (trial, _), cell in zip(pairs, cells, strict=True):
            results[cell.arm] = apply_pruning(session.store.result(cell.run), cell.run, search.prune_after)
            trials.tell(trial, cell, results[cell.arm])
    return proposed, results


def propose(
    trials: Trials, search: Search, session: Session, *, count: int, batch: int
) -> list[tuple[optuna.Trial, Arm]]:  # fmt: skip
    """Return the next `count` proposals of a search, from all trials told before the batch.

    Two parameters may exclude each other, as more epochs of warmup than epochs do. Such a proposal is told to the search as
    one that failed, and another is asked for. After many such in a row it is drawn at random.

    Raises:
        InputError: where it proposes nothing else many times in a row.
    """
    drawing, at_random = sampler(search, batch=batch), optuna.samplers.RandomSampler(seed=search.seed + 1000 * batch)
    space = {key: _distribution(given) for key, given in search.parameters.items()}
    config, refused = fixed_config(session.study, session.config), 0
    proposals: list[tuple[optuna.Trial, Arm]] = []
    while len(proposals) < count:
        stuck = refused >= STUCK  # a sampler does not learn from what is refused, and may propose nothing else
        trial = trials.ask_settings(space, at_random if stuck else drawing)
        settings = {key: _setting(value, search.parameters[key]) for key, value in trial.params.items()}
        try:
            config.with_settings(settings)
        except InputError as error:
            trials.refuse(trial, str(error))
            refused += 1
            if refused == MOST_REFUSED:
                raise InputError(
                    f"search.parameters of study {session.study.name!r} must leave room for runs, but {refused} proposals "
                    f"in a row are none ({error}); narrow a range."
                ) from None
            continue
        refused = 0
        proposals.append((trial, Arm(name=f"trial-{trial.number:03d}", settings=settings)))
    return proposals


def sampler(search: Search, *, batch: int) -> optuna.samplers.BaseSampler:
    """Return the search's sampler, with a seed for each batch: a search that is resumed draws what it would have drawn.

    TPE: Bergstra et al., NeurIPS 2011; for several objectives Ozaki et al., GECCO 2020. GP: expected improvement of a
    Gaussian process, which does not see trials without a value (pruned, diverged).
    """
    seed = search.seed + 1000 * batch
    if search.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=search.batch)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=search.batch)


def trial_cell(session: Session, search: Search, arm: Arm, number: int) -> Cell:
    """Return the run of a trial, at a seed that follows from its number, whatever the sampler proposes.

    So seeds are crossed with the parameters by chance, and an importance can be computed of the seed as of any parameter.
    A parameter that has no more importance than the seed has shown none.
    """
    seed = TRIAL_SEED + search.seed + number % search.seeds
    (cell,) = session.plan(arms=[arm], seeds=(seed,), role="trial").cells
    return cell


def pareto_front(values: Mapping[str, Sequence[float]], objectives: Sequence[str]) -> list[str]:
    """Return the names that no other one betters: is as good as in every objective and better in one.

    The best in the first objective comes first. With a single objective it is the best one alone, the first of equals.
    """
    signs = [-1 if name == COST else 1 for name in objectives]
    points = {name: tuple(sign * value for sign, value in zip(signs, one, strict=True)) for name, one in values.items()}
    kept = [
        name for name, own in points.items()
        if not any(other != own and all(a >= b for a, b in zip(other, own)) for other in points.values())
    ]  # fmt: skip
    ordered = sorted(kept, key=lambda name: points[name], reverse=True)
    return ordered if len(objectives) > 1 else ordered[:1]


def spread(front: Sequence[str], count: int) -> list[str]:
    """Return at most `count` of a front, its ends among them, evenly by rank in the first objective."""
    if len(front) <= count:
        return list(front)
    if count == 1:
        return list(front[:1])
    return [front[round(index * (len(front) - 1) / (count - 1))] for index in range(count)]


def _pending(session: Session, search: Search, plan: Plan, trials: int) -> tuple[Pending, ...]:
    like = next(cell for cell in plan.cells if cell.role == "arm").run.config
    found = Pending(name="confirmation", runs=search.confirm * len(session.seeds), after="the trials", like=like)
    if trials == 0:
        return (found,)
    return (Pending(name="trials", runs=trials, after="the trials before them", like=like), found)


def _distribution(given: Mapping[str, Any]) -> BaseDistribution:
    if "choices" in given:
        return CategoricalDistribution([word_of(choice) for choice in given["choices"]])
    if given.get("int"):
        return IntDistribution(given["low"], given["high"], log=bool(given.get("log")))
    return FloatDistribution(given["low"], given["high"], log=bool(given.get("log")))


def _setting(value: Any, given: Mapping[str, Any]) -> Any:
    """Return what a run gets for a parameter of a trial; three significant digits make a number readable."""
    if "choices" in given:
        return next(choice for choice in given["choices"] if word_of(choice) == value)
    return value if given.get("int") else float(f"{value:.3g}")
