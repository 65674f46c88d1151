"""Accuracies of the arms, and their differences from the baseline."""

from collections.abc import Sequence

from study.reporting.figures import dots, forest
from study.reporting.figures.dots import DotRow
from study.reporting.figures.forest import ForestRow
from study.reporting.format import figure_of, finite, is_finite, signed
from study.reporting.names import measure_name
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.selection import baseline_of
from study.results.comparisons import Difference
from study.results.schema import ArmResults, StudyResults

MARGIN = 0.01  # of interest, where results name none


def forest_panels(study: StudyResults, trained: Sequence[ArmResults]) -> list[Panel]:
    """Return the forest plot of the primary accuracy; nothing where no arm has a difference."""
    rows = [_forest_row(arm, study.primary) for arm in trained if not arm.is_baseline]
    if not any(is_finite(row["mean"]) for row in rows):
        return []
    table = [
        [row["label"], row["type"] or "–", row["text"], ", ".join(figure_of(v, "+.1f", 100) for v in row["values"])]
        for row in rows
    ]
    margin = (study.power.margin if study.power else 0) or MARGIN
    title = f"Difference from the baseline, {measure_name(study.primary)}, test"
    columns = ["Setting", "Collapse type", "Difference, points", "Each seed"]
    return [make_panel("forest", title, forest.forest_plot(rows, margin=margin), (columns, table))]


def _forest_row(arm: ArmResults, primary: str) -> ForestRow:
    difference = arm.difference(primary)
    detail = difference.detail if difference else None
    return {
        "label": arm.label, "type": arm.collapse_type.name, "text": _difference_text(difference),
        "mean": difference.mean if difference else None, "low": difference.low if difference else None,
        "high": difference.high if difference else None, "values": detail.values if detail else (),
        "seeds": detail.seeds if detail else (), "decision": difference.decision if difference else None,
    }  # fmt: skip


def _difference_text(difference: Difference | None) -> str:
    """Return a difference in points with its interval."""
    if difference is None or not is_finite(difference.mean):
        return "no result"
    text: str = signed(100 * difference.mean)
    if finite([difference.low, difference.high]) and difference.low is not None and difference.high is not None:
        text += f" [{signed(100 * difference.low)}, {signed(100 * difference.high)}]"
    return text


def accuracy_panel(study: StudyResults, arms: Sequence[ArmResults], name: str) -> Panel:
    """Return the dot plot of one probe's test accuracy."""
    rows = [_dot_row(arm, name) for arm in arms]
    return _dots(f"accuracy-{name}", measure_name(name), rows, study.data.chance)


def _dots(name: str, title: str, rows: Sequence[DotRow], chance: float | None) -> Panel:
    table = [
        [row["label"], figure_of(row["mean"], ".1f", 100), ", ".join(figure_of(v, ".1f", 100) for v in row["values"])]
        for row in rows
    ]
    return make_panel(name, title, dots.dot_plot(rows, chance=chance), (["Setting", "Mean, %", "Each seed, %"], table))


def _dot_row(arm: ArmResults, probe: str, *, label: str | None = None) -> DotRow:
    """Return an arm's accuracies by a probe; with a `label` it is shown under that name, and as no control."""
    summary = arm.summary.get(probe)
    return {
        "label": arm.label if label is None else label, "is_baseline": arm.is_baseline,
        "is_control": arm.is_control and label is None, "mean": summary.mean if summary else None,
        "seeds": [run.seed for run in arm.runs], "values": [run.test_top1(probe) for run in arm.runs],
        "types": [run.collapse_type.name if run.collapse_type else None for run in arm.runs],
    }  # fmt: skip


def path_panels(study: StudyResults) -> list[Panel]:
    """Return the accuracies along the walk from the baseline; nothing where the study is none."""
    baseline = baseline_of(study.arms)
    if study.path is None or not study.path.steps or baseline is None:
        return []
    walked = [(baseline.label, baseline), *((f"+ {step.change}", study.arm(step.arm)) for step in study.path.steps)]
    rows = [_dot_row(arm, study.primary, label=label) for label, arm in walked]
    return [_dots("path", f"Along the path: {measure_name(study.primary)}, test", rows, study.data.chance)]
