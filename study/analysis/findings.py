"""What designs find: factors of a grid, tuned values, trials, path steps."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from study.analysis.anova import Anova, anova
from study.analysis.decisions import priced_holm
from study.analysis.importances import importances
from study.analysis.intervals import paired_difference
from study.analysis.multiple_testing import ALPHA
from study.results.comparisons import Adjusted, Difference
from study.results.findings import (
    AnovaEffect,
    AnovaTable,
    GridFindings,
    Importance,
    ImportanceTable,
    PathFindings,
    PathStep,
    Pruning,
    SearchFindings,
    Trial,
    TunedValue,
)
from study.results.json_values import to_values
from study.results.runs import RunResults
from study.results.schema import ArmResults
from study.runs.outcomes import FINISHED, PRUNED
from study.spec.names import short_name
from study.spec.objectives import COST, objective_values
from study.spec.plan import Cell, Plan
from study.spec.search import Search
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError


def describe_grid(mode: str, arms: Sequence[ArmResults], primary: str) -> GridFindings | None:
    """Return a grid's factors with their levels, and the analysis of variance of test accuracy over its runs.

    Factors stand in the order of their keys. Runs without an accuracy are counted as `missing`. None for another design.
    """
    if mode != "grid":
        return None
    grid = [arm for arm in arms if arm.role == "arm"]
    keys = sorted({key for arm in grid for key in arm.settings if key not in arm.tuned})
    factors = {key: _levels([arm.settings[key] for arm in grid if key in arm.settings]) for key in keys}
    names = {key: short_name(key) for key in keys}
    cells = [
        {**{names[key]: str(arm.settings[key]) for key in keys}, "seed": run.seed, "accuracy": run.test[primary].top1}
        for arm in grid
        for run in arm.runs
        if primary in run.test
    ]
    if not cells:
        return GridFindings(factors=factors, anova=None, reason="no run has an accuracy yet.")
    try:
        found = anova(cells, factors=[names[key] for key in keys if len(factors[key]) > 1], response="accuracy")
    except InputError as error:
        return GridFindings(factors=factors, anova=None, reason=str(error))
    asked = sum(len(arm.runs) for arm in grid)
    return GridFindings(factors=factors, anova=_anova_table(found, asked=asked), reason=None)


def _levels(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return each value once; one may be a list."""
    return tuple({json.dumps(value): value for value in values}.values())


def _anova_table(found: Anova, *, asked: int) -> AnovaTable:
    """Return the effects, each with its share of the sums of squares of all terms, blocks and the error."""
    error = found.residual_mean_square * found.residual_df
    terms = [*found.effects, *([found.block] if found.block else [])]
    total = math.fsum([error, *(term.sum_of_squares for term in terms)])
    return AnovaTable(
        effects=tuple(
            AnovaEffect(**dataclasses.asdict(effect), share=effect.sum_of_squares / total) for effect in found.effects
        ),
        residual_df=found.residual_df,
        dropped=tuple(found.dropped),
        n=found.n,
        missing=asked - found.n,
    )


def describe_tuning(plan: Plan, arms: Sequence[ArmResults], primary: str) -> tuple[TunedValue, ...] | None:
    """Return what was tried of the nuisance parameters for each arm, its validation accuracy, and what was chosen."""
    tunes = {cell.arm: cell.tunes for cell in plan.cells if cell.role == "tuning" and cell.tunes is not None}
    if not tunes:
        return None
    chosen = {cell.arm: dict(cell.tuned) for cell in plan.cells if cell.role in ("arm", "step")}
    rows = []
    for arm in arms:
        if arm.role != "tuning":
            continue
        (run,) = arm.runs
        settings = {key: arm.settings[key] for key in plan.study.nuisance_of(tunes[arm.name])}
        rows.append(
            TunedValue(
                arm=tunes[arm.name],
                settings=settings,
                value=run.validation_top1(primary),
                outcome=outcome(run),
                chosen=chosen.get(tunes[arm.name]) == settings,
            )
        )
    return tuple(rows)


def describe_search(plan: Plan, arms: Sequence[ArmResults], primary: str, dataset: Dataset) -> SearchFindings | None:
    """Return a search's trials, the Pareto front, the importance of each parameter, and what pruning saved.

    Trials stand in the order they were proposed. None for another design.
    """
    search = plan.study.search
    if search is None:
        return None
    objectives = search.objectives(primary)
    cells = {cell.arm: cell for cell in plan.cells if cell.role == "trial"}
    trials = [_trial(arm, cells[arm.name], objectives, dataset) for arm in arms if arm.role == "trial"]
    table, reason = None, None
    try:
        table = _importances(search, trials, next(name for name in objectives if name != COST))
    except InputError as error:
        reason = str(error)
    return SearchFindings(
        sampler=search.sampler,
        objectives=tuple(objectives),
        trials=tuple(trials),
        front=tuple(plan.front),
        numeric={key: bool(given.get("log")) for key, given in search.parameters.items() if "choices" not in given},
        importances=table,
        importances_reason=reason,
        pruned=_pruning(trials),
    )


def retell_tuning(tuning: Sequence[TunedValue] | None, arms: Sequence[ArmResults]) -> tuple[TunedValue, ...] | None:
    """Return what was tried with how the runs ended, as their collapse types say now."""
    tried = [run for arm in arms if arm.role == "tuning" for run in arm.runs]
    if tuning is None or len(tuning) != len(tried):
        return None if tuning is None else tuple(tuning)
    return tuple(dataclasses.replace(row, outcome=outcome(run)) for row, run in zip(tuning, tried, strict=True))


def retell_search(search: SearchFindings | None, arms: Sequence[ArmResults]) -> SearchFindings | None:
    """Return a search whose trials ended as the collapse types of their runs say now."""
    if search is None:
        return None
    runs = {arm.name: arm.runs[0] for arm in arms if arm.role == "trial"}
    trials = tuple(_with_ending(trial, runs[trial.name]) if trial.name in runs else trial for trial in search.trials)
    return dataclasses.replace(search, trials=trials, pruned=_pruning(trials))


def _with_ending(trial: Trial, run: RunResults) -> Trial:
    named = run.collapse_type.name if run.collapse_type else None
    return dataclasses.replace(trial, status=run.status, outcome=outcome(run), collapse_type=named)


def _pruning(trials: Sequence[Trial]) -> Pruning:
    pruned = [trial for trial in trials if trial.status == PRUNED]
    planned = sum(trial.planned for trial in trials)
    spared = sum(trial.planned - trial.epochs for trial in pruned)
    return Pruning(trials=len(pruned), epochs=spared, planned=planned, saved=spared / planned if planned else 0.0)


def _trial(arm: ArmResults, cell: Cell, objectives: Sequence[str], dataset: Dataset) -> Trial:
    (run,) = arm.runs
    values = objective_values(objectives, cell, to_values(run), dataset)
    return Trial(
        name=arm.name,
        number=int(arm.name.rpartition("-")[2]),
        seed=run.seed,
        settings=dict(arm.settings),
        status=run.status,
        outcome=outcome(run),
        collapse_type=run.collapse_type.name if run.collapse_type else None,
        values=dict(zip(objectives, values, strict=True)) if values else {},
        epochs=len(run.history),
        planned=cell.run.config.pretrain.trained_epochs,
    )


def _importances(search: Search, trials: Sequence[Trial], objective: str) -> ImportanceTable:
    """Return the most important parameter by fANOVA first, the controls `seed` and `noise` among them."""
    finished = [(one.settings, one.seed, one.values[objective]) for one in trials if objective in one.values]
    found = importances(finished, space=search.parameters)
    rows = [Importance(label=key, fanova=found.fanova.get(key), ped_anova=found.ped_anova.get(key)) for key in found.fanova]
    rows.sort(key=lambda row: (-(row.fanova or 0), row.label))
    return ImportanceTable(rows=tuple(rows), floor=dict(found.floor), n=found.n)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """One change that a path made: the arm it led to, and what else was tried in its place, each as text."""

    arm: str
    change: str
    alternatives: tuple[str, ...]


def changes_of(plan: Plan, arms: Sequence[ArmResults]) -> tuple[Change, ...] | None:
    """Return the changes of a plan's path in their order. None for another design."""
    if plan.study.path is None:
        return None
    labels = {arm.name: arm.label for arm in arms}
    return tuple(
        Change(
            arm=step.arm,
            change=f"{short_name(step.key)}: {_plain(step.old)} → {_plain(step.new)}",
            alternatives=tuple(
                f"{labels.get(name, name)}: {'none' if value is None else f'{100 * value:.1f} %'}"
                for name, value in step.alternatives.items()
                if name != step.arm
            ),
        )
        for step in plan.path
    )


def describe_path(
    changes: Sequence[Change] | None,
    arms: Sequence[ArmResults],
    primary: str,
    *,
    baseline: str,
    note: str,
    price: float = 1,
) -> PathFindings | None:
    """Return the walk from the baseline: for each change what it gained, and what else was tried in its place.

    Gains are over the arm before and over the baseline. The former are a family of Holm of their own, at the price of looks
    (`study.analysis.decisions.decide_all`). None without changes, which is another design.
    """
    if changes is None:
        return None
    by_name = {arm.name: arm for arm in arms}
    before = by_name[baseline]
    steps: list[PathStep] = []
    for one in changes:
        arm = by_name[one.arm]
        if primary not in arm.summary or primary not in before.summary:
            break
        column = arm.summary[primary]
        if not arm.accuracies(primary).keys() & before.accuracies(primary).keys():
            break  # nothing is known of this difference: no seed ended with and without it
        steps.append(
            PathStep(
                arm=one.arm, change=one.change, summary=column, gain=_gain(arm, before, primary, price),
                total=column.difference, alternatives=one.alternatives,
            )
        )  # fmt: skip
        before = arm
    adjusted = priced_holm([step.gain.p for step in steps], price)
    told = [
        dataclasses.replace(step, gain=dataclasses.replace(step.gain, adjusted=Adjusted(p_holm=p)))
        for step, p in zip(steps, adjusted, strict=True)
    ]
    return PathFindings(to=before.label, steps=tuple(told), note=note)


def _gain(arm: ArmResults, before: ArmResults, primary: str, price: float) -> Difference:
    own, other = arm.accuracies(primary), before.accuracies(primary)
    seeds = sorted(own.keys() & other.keys())
    values, others = [own[seed] for seed in seeds], [other[seed] for seed in seeds]
    interval = paired_difference(values, others, confidence=1 - ALPHA / price)
    return Difference(**dataclasses.asdict(interval))


def outcome(run: RunResults) -> str:
    """Return how a run ended in one word: its collapse type where it finished, else its status."""
    return run.outcome if run.status == FINISHED else run.status


def _plain(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, (list, tuple)) else "none" if value is None else f"{value}"
