"""The settings as tables: collapse types, accuracies and differences."""

import dataclasses
from collections.abc import Sequence
from typing import TypedDict

from study.analysis.wording import noun
from study.reporting.format import (
    Number,
    Paired,
    decision_text,
    mean_and_sd,
    no_difference,
    paired,
    plain,
    settings_lines,
    without_paths,
)
from study.reporting.names import MEASURES, dataset_name, measure_name
from study.reporting.palette import TypeView, collapse_style, type_view
from study.reporting.selection import seeds_of, trained_arms
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import FINISHED

METHOD = "pretrain.method"
WITH_SCALE = ("std_mean_representations", "std_mean_embeddings")  # measures in the units of the features


class ArmView(TypedDict):
    """A row of the table of five columns, as text.

    `decision` is one of `DECISIONS` or empty. `marks` say where a collapse type is borderline or seeds differ, and
    `because` why it is what it is. `details` stand below the label.
    """

    name: str
    label: str
    is_baseline: bool
    is_control: bool
    details: list[str]
    command: str
    collapse_type: TypeView
    marks: list[str]
    because: str
    test: Number
    difference: Paired
    decision: str
    gain: Paired


class TypeTable(TypedDict):
    """The type of collapse of each run, a row an arm and a column a seed."""

    columns: list[str]
    rows: list[list[str]]


class MeasureTable(TypedDict):
    """Every measure of every arm, each with its difference from the baseline."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[Number, Paired | None]]]]


def arm_views(study: StudyResults, arms: Sequence[ArmResults]) -> list[ArmView]:
    """Return the rows of the table of five columns."""
    return [_arm_view(_without_method(arm) if study.methods else arm, study.primary) for arm in arms]


def _without_method(arm: ArmResults) -> ArmResults:
    """Return an arm of a study of methods without the setting that its label names."""
    return dataclasses.replace(arm, settings={key: value for key, value in arm.settings.items() if key != METHOD})


def _arm_view(arm: ArmResults, primary: str) -> ArmView:
    main = arm.summary.get(primary)
    difference, gain = (main.difference, main.gain) if main else (None, None)
    known = type_view(arm.collapse_type)
    borderline = arm.collapse_type.borderline
    return {
        "name": arm.name, "label": arm.label, "is_baseline": arm.is_baseline, "is_control": arm.is_control,
        "details": _details(arm), "command": arm.command,
        "collapse_type": known, "marks": _marks(arm, known),
        "because": " ".join(without_paths(text) for text in (arm.collapse_type.reason, borderline) if text),
        "test": mean_and_sd(main, primary),
        "difference": no_difference("baseline") if arm.is_baseline
        else no_difference("not tested") if arm.is_control else paired(difference, primary),
        "decision": "" if arm.is_baseline or arm.is_control else decision_text(difference),
        "gain": no_difference("untrained") if arm.is_control else paired(gain, primary),
    }  # fmt: skip


def _details(arm: ArmResults) -> list[str]:
    """Return what stands below an arm's label: settings that it does not name itself, and runs that did not finish."""
    named = all(plain(value) in arm.label for value in arm.settings.values())
    lost: dict[str, list[str]] = {}
    for run in arm.runs:
        if run.status != FINISHED:
            lost.setdefault(run.status, []).append(str(run.seed))
    unfinished = [f"{noun(len(seeds), 'seed')} {', '.join(seeds)} {status}" for status, seeds in lost.items()]
    return [*([] if named or arm.is_control else _settings(arm)), *unfinished]


def _marks(arm: ArmResults, known: TypeView) -> list[str]:
    """Return the marks of a collapse type: borderline, and seeds that differ."""
    marks = ["borderline"] if arm.collapse_type.borderline else []
    return [*marks, f"seeds differ: {known['counts']}"] if known["counts"] else marks


def _settings(arm: ArmResults) -> list[str]:
    """Return an arm's settings, a line each, those that tuning chose marked so."""
    lines = zip(arm.settings, settings_lines(arm.settings))
    return [f"{line} (tuned)" if key in arm.tuned else line for key, line in lines]


def published_notes(study: StudyResults) -> list[str]:
    """Return where published outcomes are from, how the protocols differ, and what agreement means."""
    if not study.published_source:
        return []
    recipe = study.recipe
    ours = [dataset_name(study.data.dataset), recipe.get("pretrain.backbone"), f"width {recipe.get('pretrain.width')}",
            f"{recipe.get('pretrain.epochs')} epochs", f"batch {recipe.get('pretrain.batch_size')}",
            measure_name(study.primary)]  # fmt: skip
    return [
        f"Published: {study.published_source}. Here: {', '.join(map(str, ours))}. The protocols differ, so compare "
        "outcomes, not numbers.",
        "“Agrees” means an accuracy there and a gain over the untrained network here, or a collapse there and no gain here. "
        "A gain counts by its corrected p-value, no gain by an interval that ends below the margin, or "
        "where every run diverged. "
        "Of others nothing is said.",
        "Nothing was published of the geometry of embeddings, so collapse types are not compared.",
    ]


def type_table(arms: Sequence[ArmResults]) -> TypeTable:
    """Return the type of collapse of each trained run."""
    trained = trained_arms(arms)
    seeds = seeds_of(trained)
    rows = []
    for arm in trained:
        named = {run.seed: run.outcome for run in arm.runs}
        words = [f"{collapse_style(name)[2]} {name}" for name in (named.get(seed, "–") for seed in seeds)]
        rows.append([arm.label, *words])
    return {"columns": ["Setting", *(f"Seed {seed}" for seed in seeds)], "rows": rows}


def measure_table(arms: Sequence[ArmResults], *, of_methods: bool = False) -> MeasureTable:
    """Return every measure that some arm has; intervals of all but the primary accuracy are unadjusted.

    Methods differ in the scale of what they learn, so `of_methods` no difference of a standard deviation is given.
    """
    names = list(dict.fromkeys([*MEASURES, *(name for arm in arms for name in arm.summary)]))
    names = [name for name in names if any(name in arm.summary for arm in arms)]
    rows = [
        (arm.label, [_measure(arm, name, compared=not (of_methods and name in WITH_SCALE)) for name in names])
        for arm in arms
        if arm.summary
    ]
    return {"columns": [measure_name(name) for name in names], "rows": rows}


def _measure(arm: ArmResults, name: str, *, compared: bool) -> tuple[Number, Paired | None]:
    """Return one measure of an arm, with its difference from the baseline."""
    column = arm.summary.get(name)
    if arm.is_baseline or not compared:
        return mean_and_sd(column, name), None
    return mean_and_sd(column, name), paired(column.difference if column else None, name)
