"""The leaderboard: a row for every run, the best on validation first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from study.reporting.format import figure_of, percent
from study.reporting.palette import badge
from study.results.runs import SPACES, RunResults
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import FINISHED


@dataclass(frozen=True, kw_only=True)
class ReportedCell:
    """A run as one arm of one study reports it."""

    study: StudyResults
    arm: ArmResults
    run: RunResults


def cells_by_digest(studies: Sequence[StudyResults]) -> dict[str, list[ReportedCell]]:
    """Return digest -> every cell that this run stands for."""
    found: dict[str, list[ReportedCell]] = {}
    for study in studies:
        for arm in study.arms:
            for run in arm.runs:
                found.setdefault(run.digest, []).append(ReportedCell(study=study, arm=arm, run=run))
    return found


def leaderboard(studies: Sequence[StudyResults]) -> list[dict[str, Any]]:
    """Return a row for each run, formatted.

    First come those that finished, by place: the most accurate on validation first, of equal ones the one whose digest
    comes first. Then, without a place, come those that did not, by how they ended.
    """
    finished, others = [], []
    for digest, cells in cells_by_digest(studies).items():
        first = cells[0]
        if first.run.status == FINISHED:
            top1 = first.run.validation_top1(first.study.primary)
            finished.append((-(top1 if top1 is not None else -1.0), digest, _row(cells)))
        else:
            others.append((first.run.status, digest, _row(cells)))
    placed = [row for _, _, row in sorted(finished, key=lambda entry: entry[:2])]
    return [
        *({"place": str(place), **row} for place, row in enumerate(placed, start=1)),
        *({"place": "–", **row} for _, _, row in sorted(others, key=lambda entry: entry[:2])),
    ]


def _row(cells: Sequence[ReportedCell]) -> dict[str, Any]:
    """Return what the leaderboard says of a run that stands for these cells."""
    study, arm, run = cells[0].study, cells[0].arm, cells[0].run
    ranks = [run.collapse[space].rankme if space in run.collapse else None for space in SPACES]
    # A network that was not trained has nothing that could collapse: its embeddings are what they are.
    named = "untrained" if arm.is_control else run.outcome
    return {
        "studies": ", ".join(dict.fromkeys(cell.study.study for cell in cells)),
        "arm": "; ".join(dict.fromkeys(cell.arm.label for cell in cells)),
        "is_control": arm.is_control,
        "seed": str(run.seed),
        "validation": percent(run.validation_top1(study.primary)),
        "test": percent(run.test_top1(study.primary)),
        "ranks": [figure_of(rank, ".1f") for rank in ranks],
        "badge": badge(named if run.collapse_type else None, run.status),
        "digest": run.digest,
        "command": run.command or arm.command,
    }
