"""What a design was made to find, as plain numbers: a grid's analysis of variance, what tuning chose, a search's trials and
importances, what each change on a path earned."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.anova import Anova, anova
from study.analysis.importances import importances
from study.analysis.statistics import holm, paired_difference
from study.runs.outcomes import FINISHED, PRUNED
from study.spec.objectives import COST, objective_values
from study.spec.plan import Cell, Plan
from study.spec.study_file import short_name
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError


def describe_grid(plan: Plan, arms: Sequence[Mapping[str, Any]], primary: str) -> dict[str, Any] | None:
    """A grid's factors with their levels, and the analysis of variance of test accuracy over its runs. Runs without an
    accuracy are counted as `missing`; None for another design."""
    if plan.study.mode != "grid":
        return None
    grid = [arm for arm in arms if arm["role"] == "arm"]
    keys = list(dict.fromkeys(key for arm in plan.study.arms for key in arm.settings))
    factors = {key: list(dict.fromkeys(arm["settings"][key] for arm in grid if key in arm["settings"])) for key in keys}
    names = {key: short_name(key) for key in keys}
    cells = [
        {
            **{names[key]: str(arm["settings"][key]) for key in keys},
            "seed": run["seed"],
            "accuracy": run["test"][primary]["top1"],
        }
        for arm in grid for run in arm["runs"] if primary in run["test"]
    ]  # fmt: skip
    table, reason = None, None
    try:
        found = anova(cells, factors=[names[key] for key in keys if len(factors[key]) > 1], response="accuracy")
    except InputError as error:
        reason = str(error)
    else:
        table = {
            "effects": _effects(found),
            "residual_df": found.residual_df, "dropped": list(found.dropped), "n": found.n,
            "missing": sum(len(arm["runs"]) for arm in grid) - found.n,
        }  # fmt: skip
    return {"factors": factors, "anova": table, "reason": reason}


def _effects(found: Anova) -> list[dict[str, Any]]:
    """The effects, each with its share of the variance: its sum of squares over those of all terms, blocks and the error."""
    error = found.residual_mean_square * found.residual_df
    terms = [*found.effects, *([found.block] if found.block else [])]
    total = math.fsum([error, *(term.sum_of_squares for term in terms)])
    return [dataclasses.asdict(effect) | {"share": effect.sum_of_squares / total} for effect in found.effects]


def describe_tuning(plan: Plan, arms: Sequence[Mapping[str, Any]], primary: str) -> list[dict[str, Any]] | None:
    """What was tried of the nuisance parameters for each arm, with its validation accuracy, and what was chosen."""
    tunes = {cell.arm: cell for cell in plan.cells if cell.role == "tuning"}
    if not tunes:
        return None
    chosen = {cell.arm: dict(cell.tuned) for cell in plan.cells if cell.role in ("arm", "step")}
    rows = []
    for arm in arms:
        if arm["role"] != "tuning":
            continue
        (run,) = arm["runs"]
        tuned = tunes[arm["name"]].tunes
        settings = {key: arm["settings"][key] for key in plan.study.nuisance}
        rows.append({
            "arm": tuned, "settings": settings, "value": (run["validation"].get(primary) or {}).get("top1"),
            "outcome": outcome(run), "chosen": chosen.get(tuned) == settings,
        })  # fmt: skip
    return rows


def describe_search(plan: Plan, arms: Sequence[Mapping[str, Any]], primary: str, dataset: Dataset) -> dict[str, Any] | None:
    """A search's trials in the order they were proposed, which of them no other betters, the importance of each parameter
    with that of the seed beside it, and what pruning saved; None for another design."""
    search = plan.study.search
    if search is None:
        return None
    objectives = search.objectives(primary)
    cells = {cell.arm: cell for cell in plan.cells if cell.role == "trial"}
    trials = [_trial(arm, cells[arm["name"]], objectives, dataset) for arm in arms if arm["role"] == "trial"]
    found, reason = None, None
    try:
        found = _importances(plan, trials, next(name for name in objectives if name != COST))
    except InputError as error:
        reason = str(error)
    pruned = [trial for trial in trials if trial["status"] == PRUNED]
    planned = sum(trial["planned"] for trial in trials)
    spared = sum(trial["planned"] - trial["epochs"] for trial in pruned)
    return {
        "sampler": search.sampler, "objectives": list(objectives), "trials": trials, "front": list(plan.front),
        "numeric": {key: bool(given.get("log")) for key, given in search.parameters.items() if "choices" not in given},
        "importances": found, "importances_reason": reason,
        "pruned": {
            "trials": len(pruned), "epochs": spared, "planned": planned, "saved": spared / planned if planned else 0.0,
        },
    }  # fmt: skip


def _trial(arm: Mapping[str, Any], cell: Cell, objectives: Sequence[str], dataset: Dataset) -> dict[str, Any]:
    (run,) = arm["runs"]
    values = objective_values(objectives, cell, run, dataset)
    return {
        "name": arm["name"], "number": int(arm["name"].rpartition("-")[2]), "seed": run["seed"],
        "settings": dict(arm["settings"]), "status": run["status"], "outcome": outcome(run),
        "verdict": (run["verdict"] or {}).get("name"),
        "values": dict(zip(objectives, values, strict=True)) if values else {},
        "epochs": len(run["history"]), "planned": cell.run.config.pretrain.trained_epochs,
    }  # fmt: skip


def _importances(plan: Plan, trials: Sequence[Mapping[str, Any]], objective: str) -> dict[str, Any]:
    """Rows of label, fANOVA and PED-ANOVA, the controls `seed` and `noise` among them, the most important by fANOVA first;
    and the noise floor of each."""
    search = plan.study.search
    assert search is not None
    finished = [(one["settings"], one["seed"], one["values"][objective]) for one in trials if objective in one["values"]]
    found = importances(finished, space=search.parameters)
    rows = [{"label": key, "fanova": found.fanova.get(key), "ped_anova": found.ped_anova.get(key)} for key in found.fanova]
    rows.sort(key=lambda row: (-(row["fanova"] or 0), row["label"]))
    return {"rows": rows, "floor": dict(found.floor), "n": found.n}


def describe_path(plan: Plan, arms: Sequence[Mapping[str, Any]], primary: str) -> dict[str, Any] | None:
    """The walk from the baseline: for each change its arm, what it earned over the arm before it and over the baseline, and
    what else was tried in its place; None for another design."""
    if plan.study.path is None:
        return None
    by_name = {arm["name"]: arm for arm in arms}
    before = by_name[plan.study.baseline]
    steps = []
    for step in plan.path:
        arm = by_name[step.arm]
        if primary not in arm["summary"] or primary not in before["summary"]:
            break
        steps.append({
            "arm": step.arm, "change": f"{short_name(step.key)}: {_plain(step.old)} → {_plain(step.new)}",
            "summary": arm["summary"][primary], "gain": _gain(arm, before, primary),
            "total": arm["summary"][primary]["difference"],
            "alternatives": [
                f"{by_name[name]['label'] if name in by_name else name}: "
                f"{'none' if value is None else f'{100 * value:.1f} %'}"
                for name, value in step.alternatives.items() if name != step.arm
            ],
        })  # fmt: skip
        before = arm
    adjusted = holm([step["gain"]["p"] for step in steps])  # the steps are a family of their own
    for step, p in zip(steps, adjusted, strict=True):
        step["gain"]["p_holm"] = p
    return {"to": before["label"], "steps": steps, "note": " ".join(plan.notes)}


def _gain(arm: Mapping[str, Any], before: Mapping[str, Any], primary: str) -> dict[str, Any]:
    own, other = (
        {run["seed"]: run["test"][primary]["top1"] for run in one["runs"] if primary in run["test"]} for one in (arm, before)
    )
    seeds = sorted(set(own) & set(other))
    return dataclasses.asdict(paired_difference([own[seed] for seed in seeds], [other[seed] for seed in seeds]))


def outcome(run: Mapping[str, Any]) -> str:
    """How a run ended in one word: its verdict, or without one its status."""
    return run["verdict"]["name"] if run["status"] == FINISHED and run["verdict"] else run["status"]


def _plain(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, (list, tuple)) else "none" if value is None else f"{value}"
