"""The arms as tables: settings, accuracies, differences and types of collapse."""

from collections.abc import Sequence
from typing import TypedDict

from study.reporting.format import (
    Paired,
    certainty_of,
    figure_of,
    mean_and_sd,
    no_difference,
    outcome_lines,
    paired,
    settings_lines,
)
from study.reporting.names import MEASURES, measure_name
from study.reporting.palette import TypeView, collapse_style, type_view
from study.reporting.selection import seeds_of, trained_arms
from study.reporting.terms import WEIGHTS
from study.results.comparisons import ColumnSummary
from study.results.runs import SPACES
from study.results.schema import ArmResults, StudyResults


class PublishedView(TypedDict):
    """A published outcome, and whether ours is like it."""

    text: str
    agreement: str


class ArmView(TypedDict):
    """A row of the table of arms, as text."""

    name: str
    label: str
    is_baseline: bool
    is_control: bool
    reason: str
    settings: list[str]
    command: str
    effective: str
    validation: str
    accuracies: list[str]
    test_error: str
    difference: Paired
    certainty: list[str]
    gain: Paired
    rank: str
    std: str
    collapse_type: TypeView
    published: PublishedView
    collapsed: str
    unfinished: str


class TypeTable(TypedDict):
    """The type of collapse of each run, a row an arm and a column a seed."""

    columns: list[str]
    rows: list[list[str]]


class MeasureTable(TypedDict):
    """Every measure of every arm, each with its difference from the baseline."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[str, Paired | None]]]]


def arm_views(study: StudyResults, arms: Sequence[ArmResults], measures: Sequence[str]) -> list[ArmView]:
    """Return the rows of the table of arms; `measures` are the probes whose test accuracies it shows."""
    units = any(arm.effective and _effective(arm) != _nominal(arm, study) for arm in arms)
    return [_arm_view(arm, measures, study.primary, units=units) for arm in arms]


def _effective(arm: ArmResults) -> tuple[object, ...]:
    """Return the weights of the loss in the official code's units."""
    return tuple((arm.effective or {}).get(key) for key in WEIGHTS.values())


def _nominal(arm: ArmResults, study: StudyResults) -> tuple[object, ...]:
    """Return the weights of the loss as the arm names them."""
    return tuple(arm.settings.get(key, study.recipe.get(key)) for key in WEIGHTS)


def _arm_view(arm: ArmResults, measures: Sequence[str], primary: str, *, units: bool) -> ArmView:
    """Return one row; with `units` the weights of the loss are given in the official code's units too."""
    summary = arm.summary
    main = summary.get(primary)
    difference, gain = (main.difference, main.gain) if main else (None, None)
    unfinished = [run for run in arm.runs if run.status != "finished"]
    return {
        "name": arm.name, "label": arm.label, "is_baseline": arm.is_baseline, "is_control": arm.is_control,
        "reason": arm.reason or "", "settings": _settings(arm), "command": arm.command,
        "effective": ", ".join(figure_of(v, ".5g") for v in _effective(arm)) if units and arm.effective else "",
        "validation": mean_and_sd(summary.get(f"validation_{primary}"), primary),
        "accuracies": [mean_and_sd(summary.get(name), name) for name in measures],
        "test_error": _test_error(main),
        "difference": no_difference("baseline") if arm.is_baseline else paired(difference, primary),
        "certainty": [] if arm.is_baseline or arm.is_control else certainty_of(difference),
        "gain": no_difference("control") if arm.is_control else paired(gain, primary),
        "rank": " / ".join(_mean(summary.get(f"rankme_{space}"), ".1f") for space in SPACES),
        "std": _mean(summary.get("std_mean_embeddings")),
        "collapse_type": type_view(arm.collapse_type), "published": _published(arm),
        "collapsed": "" if arm.is_control else outcome_lines(arm.outcomes),
        "unfinished": ", ".join(f"seed {run.seed} {run.status}" for run in unfinished),
    }  # fmt: skip


def _settings(arm: ArmResults) -> list[str]:
    """Return an arm's settings, a line each, those that tuning chose marked so."""
    lines = zip(arm.settings, settings_lines(arm.settings))
    return [f"{line} (tuned)" if key in arm.tuned else line for key, line in lines]


def _mean(column: ColumnSummary | None, spec: str = ".3g") -> str:
    return figure_of(column.mean if column else None, spec)


def _test_error(column: ColumnSummary | None) -> str:
    """Return the standard error of an accuracy from the choice of test images, in points."""
    return "–" if column is None or column.test_error is None else f"± {figure_of(column.test_error, '.1f', 100)}"


def _published(arm: ArmResults) -> PublishedView:
    """Return the published outcome and whether it came out alike: healthy here, or a collapse in both."""
    published = arm.published
    if not published:
        return {"text": "", "agreement": ""}
    collapsed = bool(published.get("collapse"))
    text = "collapse" if collapsed else ", ".join(f"{figure_of(v, '.1f')} % {k}" for k, v in published.items())
    agreement = "" if arm.agrees is None else "agrees" if arm.agrees else "differs"
    return {"text": text, "agreement": agreement}


def published_notes(study: StudyResults) -> list[str]:
    """Return where published outcomes are from, how the protocols differ, and what agreement means."""
    if not study.published_source:
        return []
    recipe = study.recipe
    ours = [study.data.dataset, recipe.get("pretrain.backbone"), f"width {recipe.get('pretrain.width')}",
            f"{recipe.get('pretrain.epochs')} epochs", f"batch {recipe.get('pretrain.batch_size')}",
            measure_name(study.primary)]  # fmt: skip
    return [
        f"Published: {study.published_source}. Here: {', '.join(map(str, ours))}. The protocols differ, so compare "
        "outcomes, "
        "not numbers. “Agrees” means an accuracy there and no collapse here, or a collapse in both."
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
    return {"columns": ["Arm", *(f"Seed {seed}" for seed in seeds)], "rows": rows}


def measure_table(arms: Sequence[ArmResults]) -> MeasureTable:
    """Return every measure that some arm has; intervals of all but the primary accuracy are unadjusted."""
    names = list(dict.fromkeys([*MEASURES, *(name for arm in arms for name in arm.summary)]))
    names = [name for name in names if any(name in arm.summary for arm in arms)]
    rows = [(arm.label, [_measure(arm, name) for name in names]) for arm in arms if arm.summary]
    return {"columns": [measure_name(name) for name in names], "rows": rows}


def _measure(arm: ArmResults, name: str) -> tuple[str, Paired | None]:
    """Return one measure of an arm, with its difference from the baseline."""
    column = arm.summary.get(name)
    if arm.is_baseline:
        return mean_and_sd(column, name), None
    return mean_and_sd(column, name), paired(column.difference if column else None, name)
