"""The figure of a study that asks what collapses."""

from collections.abc import Sequence

from study.analysis.collapse_answer import Ablation, ablations
from study.analysis.wording import name_of
from study.reporting.figures import collapse_rows
from study.reporting.figures.collapse_rows import CollapseRow
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.selection import seeds_of
from study.results.schema import ArmResults, StudyResults

NAME = "what-collapses"
TITLE = "Collapse type at each seed"
OPEN = "nothing follows"


def collapse_type_panels(study: StudyResults) -> list[Panel]:
    """Return the types of each method as it is and with a part changed; nothing for a study that asks something else."""
    every = ablations(study) if study.is_about_collapse else []
    if not every:
        return []
    seeds = seeds_of([arm for one in every for arm in (one.changed, one.unchanged)])
    rows: list[CollapseRow] = []
    table: list[list[str]] = []
    for unchanged in dict.fromkeys(one.unchanged.name for one in every):
        of_method = [one for one in every if one.unchanged.name == unchanged]
        rows.append(_row(of_method[0].unchanged, of_method[0].method, seeds))
        rows += [_row(one.changed, one.what, seeds, one) for one in of_method]
        table += [_cells(one) for one in of_method]
    columns = ["Method", "Changed", "Type unchanged", "Type changed", "Each seed"]
    return [make_panel(NAME, TITLE, collapse_rows.collapse_rows(rows, seeds), (columns, table))]


def _row(arm: ArmResults, label: str, seeds: Sequence[int], change: Ablation | None = None) -> CollapseRow:
    is_open = change is not None and change.is_open
    return {
        "label": label,
        "is_unchanged": change is None,
        "is_open": is_open,
        "types": _types(arm, seeds),
        "text": OPEN if is_open else _shares(arm),
    }


def _types(arm: ArmResults, seeds: Sequence[int]) -> list[str | None]:
    runs = [arm.run_at(seed) for seed in seeds]
    return [run.collapse_type.name if run is not None and run.collapse_type is not None else None for run in runs]


def _shares(arm: ArmResults) -> str:
    """Return the type that most seeds share, with how many do where they differ."""
    counts, name = arm.collapse_type.counts, arm.collapse_type.name
    return name if len(counts) < 2 else f"{name}, {counts.get(name, 0)} of {sum(counts.values())}"


def _cells(one: Ablation) -> list[str]:
    named = [run.collapse_type.name if run.collapse_type else run.status for run in one.changed.runs]
    said = [one.unchanged.collapse_type.marked_name, one.changed.collapse_type.marked_name, ", ".join(named)]
    return [one.method, name_of(one.what), *said]
