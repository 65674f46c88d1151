"""The projection of a study that reports read: its arms, their runs, and every number that compares them.

It depends on finished runs and on nothing else: no clock times, no machine paths, sorted keys. The same runs give the
same bytes, so a `dvc repro` that computes nothing new changes nothing.
"""

import dataclasses
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from study.config import flatten
from study.plan import Cell, Plan
from study.runs import FAILED, FINISHED, KILLED, MISSING, OUT_OF_MEMORY, PARTIAL, Store
from study.spec import CHOSEN, Study
from study.statistics import mean, paired_difference, standard_deviation
from vicreg.datasets import Dataset
from vicreg.evaluation import chance_accuracy
from vicreg.live_taps import parameters_without_gradient
from vicreg.pretrain import new_model, view_size

_SAYS_NOTHING = (MISSING, PARTIAL, KILLED, FAILED, OUT_OF_MEMORY)  # of the settings, where a run ended or stands so
_COLLAPSE_COLUMNS = ("rankme", "std_mean", "rms_correlation", "normalised_std", "view_discrepancy")


def summarise(plan: Plan, store: Store, dataset: Dataset, *, command: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a report on one study shows, as JSON values."""
    study, config = plan.study, plan.config
    results = {cell.run.digest: store.result(cell.run) for cell in plan.cells}
    arms = [_arm(plan, cells, results, dataset, command) for cells in plan.by_arm().values()]
    _compare(arms, plan)
    finished = [result for result in results.values() if result["status"] == FINISHED]
    identity = plan.cells[0].run.identity
    return {
        "study": study.name,
        "profile": config.profile,
        "mode": study.mode,
        "question": study.question,
        "hypothesis": study.hypothesis,
        "notes": [*_notes(study, arms), *_joint_note(plan), *_dead_taps_note(plan, dataset)],
        "baseline": study.baseline,
        "overrides": dict(overrides),
        "primary": config.primary,
        "published_source": study.published_source,
        "data": describe_data(dataset),
        "environment": {
            "python": platform.python_version(),
            **identity.machinery,
            "threads": config.pretrain.threads if identity.machinery["device"].startswith("cpu") else None,
        },
        "commits": sorted({result["commit"] for result in finished if result["commit"]}),
        "answer": _answer(study, arms, config.primary),
        "recipe": {
            key: value
            for key, value in flatten({name: config.values[name] for name in ("prepare", "pretrain", "evaluate")}).items()
            if key != "pretrain.seed"
        },
        "arms": arms,
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


def _arm(plan: Plan, cells: Sequence[Cell], results: Mapping[str, Any], dataset: Dataset, command: str) -> dict[str, Any]:
    first = cells[0]
    runs = [results[cell.run.digest] for cell in cells]
    settings = first.run.config.pretrain
    return {
        "name": first.arm,
        "label": first.label,
        "is_baseline": first.arm == plan.study.baseline,
        "is_control": first.is_control,
        "settings": dict(first.settings),
        "command": _again_command(command, plan, cells),
        "control": first.control,
        "effective": None if first.is_control else dataclasses.asdict(settings.coefficients),
        "published": dict(first.published) if first.published else None,
        "verdict": (named := _verdict(runs, first)),
        "agrees": _agrees(first.published, named["name"]),
        "summary": {},
        "runs": runs,
    }


def _again_command(command: str, plan: Plan, cells: Sequence[Cell]) -> str:
    """What runs an arm again. One that a search found is not in the study's file, so its settings are spelled out."""
    first = cells[0]
    if first.is_control or first.arm in [arm.name for arm in plan.study.arms]:
        return f"{command} --arm {first.arm} --again"
    settings = ",".join(f"{key}={value!r}" for key, value in first.settings.items())
    seeds = "" if first.arm == CHOSEN else f" --first-seed {first.seed} --seeds 1"
    return f"{command.partition(' --trials')[0]}{seeds} --arm {settings} --again"


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
    if not published or verdict in _SAYS_NOTHING:
        return None
    return bool(published.get("collapse")) == (verdict != "healthy")


def _compare(arms: Sequence[dict[str, Any]], plan: Plan) -> None:
    """Fills each arm's summary: mean and sd over seeds, and paired differences from the baseline and the control."""
    columns = {arm["name"]: {run["seed"]: _columns(run) for run in arm["runs"] if run["test"]} for arm in arms}
    for arm in arms:
        own = columns[arm["name"]]
        for key in next(iter(own.values()), {}):
            values = [row[key] for row in own.values()]
            arm["summary"][key] = {
                "n": len(values),
                "mean": mean(values),
                "sd": standard_deviation(values),
                "difference": None if arm["is_baseline"] else _paired(own, columns.get(plan.study.baseline, {}), key),
                "gain": None if arm["is_control"] else _paired(own, columns.get(arm["control"], {}), key),
            }


def _paired(own: Mapping[int, Any], reference: Mapping[int, Any], key: str) -> dict[str, Any] | None:
    seeds = sorted(set(own) & set(reference))
    if not seeds:
        return None
    interval = paired_difference([own[seed][key] for seed in seeds], [reference[seed][key] for seed in seeds])
    return dataclasses.asdict(interval)


def _columns(run: Mapping[str, Any]) -> dict[str, float]:
    """One run's numbers by column: test top-1 of each probe, and collapse metrics of both spaces."""
    row = {probe: measured["top1"] for probe, measured in run["test"].items()}
    row |= {f"validation_{probe}": measured["top1"] for probe, measured in run["validation"].items()}
    for space in ("representations", "embeddings"):
        row |= {f"{name}_{space}": run["collapse"][space][name] for name in _COLLAPSE_COLUMNS}
    return row


def _answer(study: Study, arms: Sequence[Mapping[str, Any]], primary: str) -> str:
    """One sentence: which arm was best and how sure that is, and how many collapsed, by what name."""
    trained = [arm for arm in arms if not arm["is_control"]]
    # A search's own trials were compared on validation, one seed each; test must not choose among them once more.
    candidates = {arm.name for arm in study.arms} | {CHOSEN}
    measured = [arm for arm in trained if arm["name"] in candidates and primary in arm["summary"]]
    if not measured:
        return "No run has finished yet, so there is no answer yet."
    best = max(measured, key=lambda arm: arm["summary"][f"validation_{primary}"]["mean"])
    sentence = f"Best on validation is {best['label']}; on test it has {_percent(best['summary'][primary])} {_probe(primary)} top-1"
    if best["is_baseline"]:
        sentence += ". It is the baseline"
    else:
        sentence += f", {_against(best['summary'][primary]['difference'], 'the baseline')}"
    close = [arm for arm in measured if arm["verdict"]["name"] == "healthy" and _undecided(arm["summary"][primary])]
    if close and best["is_baseline"]:
        sentence += f", and {len(close)} other healthy {'arm is' if len(close) == 1 else 'arms are'} not told apart from it"
    judged = [arm for arm in trained if arm["verdict"]["name"] not in _SAYS_NOTHING]
    counts = Counter(arm["verdict"]["name"] for arm in judged if arm["verdict"]["name"] != "healthy")
    if counts:
        names = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
        sentence += f". Of {len(judged)} arms, {counts.total()} collapsed ({names})"
    elif len(judged) > 1:
        sentence += f". None of {len(judged)} arms collapsed"
    return sentence + "."


def _against(interval: Mapping[str, Any] | None, reference: str) -> str:
    if interval is None:
        return f"with no run of {reference} to compare with"
    points = f"{100 * interval['mean']:+.1f} points from {reference}"
    if interval["low"] is None:
        return f"{points} ({interval['n']} paired seeds, too few for an interval)"
    meaning = "" if interval["low"] > 0 or interval["high"] < 0 else ", so not told apart from it"
    bounds = f"95 % interval {100 * interval['low']:+.1f} to {100 * interval['high']:+.1f}"
    return f"{points} ({bounds}, {interval['n']} paired seeds{meaning})"


def _undecided(summary: Mapping[str, Any]) -> bool:
    """Whether there is an interval of an arm's difference from the baseline, and zero lies in it."""
    interval = summary["difference"]
    return interval is not None and interval["low"] is not None and interval["low"] <= 0 <= interval["high"]


def _percent(summary: Mapping[str, Any]) -> str:
    spread = "" if summary["sd"] is None else f" ± {100 * summary['sd']:.1f}"
    return f"{100 * summary['mean']:.1f}{spread} %"


def _probe(name: str) -> str:
    return "linear (cached features)" if name == "linear_cached" else name.replace("knn_", "k-NN ")


def _notes(study: Study, arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences on where these results and published ones agree, and where they do not."""
    notes = [*_hinge_note(arms)]
    compared = [arm for arm in arms if arm["agrees"] is not None]
    if compared and study.published_source:
        differing = []
        for arm in compared:
            if arm["agrees"] is False:
                found = "collapse" if arm["published"].get("collapse") else "no collapse"
                differing.append(f"{arm['label']} ({found} there, {arm['verdict']['name']} here)")
        agree = len(compared) - len(differing)
        sentence = f"Of {len(compared)} arms with a published outcome ({study.published_source}), {agree} agree"
        notes.append(sentence + (f"; not {'; '.join(differing)}." if differing else "."))
    if study.mode == "search":
        notes.append(
            "The settings were proposed and chosen on validation at one seed; the chosen arm was then run at other seeds and "
            "read on test, so that its lead is not the luck of the best of many."
        )
    return notes


def _joint_note(plan: Plan) -> list[str]:
    """Which arms normalised both views together, which is a training of another kind."""
    trained = [cell for cell in plan.cells if not cell.is_control]
    joint = sorted({cell.label for cell in trained if cell.run.config.pretrain.view_passes == "joint"})
    if not joint:
        return []
    return [
        f"BatchNorm saw both views of a batch at once (pretrain.view_passes: joint) in {', '.join(joint)}: not the published "
        "training, which normalises each view by itself."
    ]


def _dead_taps_note(plan: Plan, dataset: Dataset) -> list[str]:
    """How much of the baseline's backbone can never learn, where images are too small for its kernels."""
    settings = next(cell for cell in plan.cells if not cell.is_control).run.config.pretrain
    size = view_size(settings, dataset.train.images)
    image = torch.zeros(1, dataset.train.images.shape[1], size, size)
    dead, every = parameters_without_gradient(new_model(settings, dataset).backbone, image)
    if dead == 0:
        return []
    return [
        f"At {size} x {size} pixels with the {settings.stem} stem {100 * dead / every:.0f} % of the parameters of the "
        f"{settings.backbone} never receive a gradient: the last feature maps are smaller than the kernels, whose outer taps "
        "see only padding."
    ]


def _hinge_note(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far the variance term got with the baseline: a std at gamma means that it is satisfied."""
    last = [run["history"][-1] for arm in arms if arm["is_baseline"] for run in arm["runs"] if run["history"]]
    if not last:
        return []
    std = mean([record["embedding_std_mean"] for record in last])
    below = mean([record["embedding_share_below_gamma"] for record in last])
    return [
        f"At the baseline's last epoch the embeddings' std within a batch is {std:.2f} on average, and {100 * below:.0f} % of "
        "dimensions are below gamma, where the variance term still pulls."
    ]
