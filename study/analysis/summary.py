"""The projection of a study that reports read: its arms, their runs, and every number that compares them.

It depends on finished runs and on nothing else: no times, no machine paths, sorted keys. The same runs give the same
bytes, so a `dvc repro` that computes nothing new changes nothing.
"""

import json
import platform
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from study.analysis.answer import SAYS_NOTHING, alerts, answer, notes
from study.analysis.comparisons import compare_arms, power, predictors, scale_claim
from study.analysis.findings import describe_grid, describe_path, describe_search, describe_tuning
from study.runs.store import FINISHED, Store, judged
from study.spec.plan import Cell, Plan
from vicreg.data.dataset import Dataset
from vicreg.evaluation.evaluate import chance_accuracy
from vicreg.training.cost import training_operations
from vicreg.training.loop import steps_per_epoch

# Characters that figures have room for. Where one arm's settings take more, all arms go by their names: cut off, settings
# that begin alike would all read the same.
LONGEST_LABEL = 26
PUBLISHED = Path(__file__).parent / "published.yaml"


def summarise(plan: Plan, store: Store, dataset: Dataset, *, command: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a report on one study shows, as JSON values."""
    study, config = plan.study, plan.config
    results = {cell.run.digest: _result(plan, cell, store) for cell in plan.cells}
    by_name = any(len(cell.label) > LONGEST_LABEL for cell in plan.cells if cell.role in ("arm", "step"))
    arms = [_arm(plan, cells, results, command, by_name=by_name) for cells in plan.by_arm().values()]
    compare_arms(arms, baseline=study.baseline, primary=config.primary, test_images=len(dataset.test.images))
    identity = plan.cells[0].run.identity
    summary = {
        "study": study.name,
        "profile": config.profile,
        "mode": study.mode,
        "question": study.question,
        "hypothesis": study.hypothesis,
        "baseline": study.baseline,
        "command": command,
        "overrides": dict(overrides),
        "primary": config.primary,
        "published_source": study.published_source,
        "published_coefficients": yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["coefficients"],
        "data": describe_data(dataset),
        "environment": {
            "python": platform.python_version(),
            **identity.machinery,
            "threads": config.pretrain.threads if identity.machinery["device"].startswith("cpu") else None,
        },
        "identity": {
            "code": identity.code,
            "definitions": dict(identity.definitions),
            "data": identity.data,
            "machinery": dict(identity.machinery),
        },
        "commits": sorted({one["commit"] for one in results.values() if one["status"] == FINISHED and one["commit"]}),
        "parameters": _parameters(plan),
        "cost": _cost(plan, results, dataset),
        "recipe": {key: value for key, value in config.recipe.items() if key != "pretrain.seed"},
        "arms": arms,
        "power": power(
            arms,
            primary=config.primary,
            margin=config.ablate.margin,
            configured=len(study.seeds or config.ablate.seeds),
            command=_growing(command),
        ),
        "predictors": predictors(arms, config.primary),
        "scale": scale_claim(arms),
        "grid": describe_grid(plan, arms, config.primary),
        "tuning": describe_tuning(plan, arms, config.primary),
        "search": describe_search(plan, arms, config.primary, dataset),
        "path": describe_path(plan, arms, config.primary),
    }
    return summary | {
        "answer": answer(summary),
        "alerts": alerts(summary),
        "notes": notes(plan, summary, dataset),
    }


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """What a report says of a data set."""
    return {
        "dataset": dataset.name,
        "digest": dataset.digest,
        "classes": list(dataset.classes),
        "train": len(dataset.train.images),
        "validation": len(dataset.validation.images),
        "test": len(dataset.test.images),
        "shape": list(dataset.train.images.shape[1:]),
        "note": dataset.note,
        "chance": chance_accuracy(dataset),
    }


def timing(plan: Plan, store: Store, dataset: Dataset) -> dict[str, Any]:
    """What the runs took where they were run, apart from the summary, which is the same wherever they are: run -> seconds of
    training, and joules where the device told."""
    found = {}
    for cell in plan.cells:
        result = store.result(cell.run)
        if result["images_per_second"]:
            images = _images_an_epoch(cell, dataset)
            seconds = sum(images / pace for pace in result["images_per_second"])
            found[cell.run.digest] = {"seconds": round(seconds, 1), "joules": result["joules"]}
    return {"study": plan.study.name, "runs": found}


def _result(plan: Plan, cell: Cell, store: Store) -> dict[str, Any]:
    """A run as the store has it, without what depends on where and when it ran; a trial as its search heard it."""
    result: Mapping[str, Any] = store.result(cell.run)
    if cell.role == "trial" and plan.study.search is not None:
        result = judged(result, cell.run, plan.study.search.prune_after)
    return {key: value for key, value in result.items() if key not in ("images_per_second", "joules")}


def _images_an_epoch(cell: Cell, dataset: Dataset) -> int:
    settings, images = cell.run.config.pretrain, len(dataset.train.images)
    return min(steps_per_epoch(settings, images) * settings.batch_size, images) if settings.epochs else 0


def _arm(plan: Plan, cells: Sequence[Cell], results: Mapping[str, Any], command: str, *, by_name: bool) -> dict[str, Any]:
    first = cells[0]
    runs = [results[cell.run.digest] | {"command": _again_command(command, plan, [cell], alone=True)} for cell in cells]
    settings = first.run.config.pretrain
    return {
        "name": first.arm,
        "label": first.arm if by_name and not first.is_control else first.label,
        "role": first.role,
        "reason": first.reason,
        "is_baseline": first.arm == plan.study.baseline,
        "is_control": first.is_control,
        "settings": dict(first.settings),
        "tuned": dict(first.tuned),
        "command": _again_command(command, plan, cells),
        "control": first.control,
        "effective": None if first.is_control else settings.effective,
        "published": dict(first.published) if first.published else None,
        "verdict": (named := _verdict(runs, first)),
        "agrees": _agrees(first.published, named["name"]),
        "summary": {},
        "runs": runs,
    }


def _again_command(command: str, plan: Plan, cells: Sequence[Cell], *, alone: bool = False) -> str:
    """What runs an arm again, or one of its cells alone. An arm that the design made is not in the study's file, so its
    settings are spelled out."""
    first = cells[0]
    own_seed = alone or first.role in ("trial", "tuning")
    start = f"{_growing(command)} --first-seed {first.seed} --seeds 1" if own_seed else command
    if first.is_control or first.arm in [arm.name for arm in plan.study.arms]:
        return f"{start} --arm {shlex.quote(first.arm)} --again"
    settings = ",".join(f"{key}={json.dumps(value)}" for key, value in first.settings.items())
    return f"{re.sub(r' --trials [0-9]+', '', start)} --arm {shlex.quote(settings)} --again"


def _growing(command: str) -> str:
    """The command without a number of seeds of its own, for `--add-seeds` to be put to it."""
    return re.sub(r" --(seeds|add-seeds|first-seed) \S+", "", command)


def _verdict(runs: Sequence[Mapping[str, Any]], cell: Cell) -> dict[str, Any]:
    """The verdict most seeds share; of equally frequent ones the first seed's."""
    if cell.is_control:
        return {"name": "untrained", "reason": "Initial weights: where training starts from.", "counts": {}}
    named = [run["verdict"] if run["verdict"] else {"name": run["status"], "reason": run["reason"] or ""} for run in runs]
    counts = Counter(one["name"] for one in named)
    name = counts.most_common(1)[0][0]
    reason = next(one["reason"] for one in named if one["name"] == name)
    return {"name": name, "reason": reason, "counts": dict(sorted(counts.items()))}


def _agrees(published: Mapping[str, Any] | None, verdict: str) -> bool | None:
    """Whether a published outcome and ours are alike: an accuracy there and healthy here, or a collapse in both. None
    where there is nothing to compare."""
    if not published or verdict in SAYS_NOTHING:
        return None
    return bool(published.get("collapse")) == (verdict != "healthy")


def _parameters(plan: Plan) -> dict[str, Any]:
    """What the study varies to learn of it (scientific), what it tunes alike in every arm (nuisance), and what it holds
    (fixed): the distinction of the deep learning tuning playbook."""
    study = plan.study
    searched = list(study.search.parameters) if study.search else []
    scientific = sorted({key for arm in study.arms for key in arm.settings} | set(searched))
    return {
        "scientific": scientific,
        "nuisance": {key: list(values) for key, values in study.nuisance.items()},
        "fixed": dict(study.settings),
    }


def _cost(plan: Plan, results: Mapping[str, Any], dataset: Dataset) -> dict[str, Any]:
    """What the study's runs took, each counted once: runs, epochs, images and operations."""
    cells = {cell.run.digest: cell for cell in plan.cells if not cell.is_control}
    trained = {digest: len(results[digest]["history"]) for digest in cells}
    operations = 0.0
    for digest, cell in cells.items():
        if trained[digest]:
            whole = training_operations(cell.run.config.pretrain, dataset)
            operations += whole * trained[digest] / cell.run.config.pretrain.trained_epochs
    return {
        "runs": sum(epochs > 0 for epochs in trained.values()),
        "epochs": sum(trained.values()),
        "images": sum(epochs * _images_an_epoch(cells[digest], dataset) for digest, epochs in trained.items() if epochs),
        "operations": float(f"{operations:.4g}"),
    }
