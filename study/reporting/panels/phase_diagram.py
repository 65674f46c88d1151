"""The collapse phase diagram of a grid over the loss's weights."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from study.reporting.figures import phase_diagram
from study.reporting.figures.phase_diagram import Cell, PublishedPoint
from study.reporting.format import figure_of, finite
from study.reporting.panels.panel import Panel, make_panel
from study.reporting.terms import RATIOS, WEIGHTS, ratios, weights_text
from study.results.schema import ArmResults, StudyResults


def has_phase_diagram(study: StudyResults) -> bool:
    """Return whether a study is a grid of two of the loss's weights or all three."""
    return study.grid is not None and set(study.grid.factors) <= set(WEIGHTS) and len(study.grid.factors) > 1


def phase_panels(study: StudyResults, trained: Sequence[ArmResults]) -> list[Panel]:
    """Return the collapse phase diagram coloured by type and by rank; nothing without a grid of the loss's weights."""
    if not has_phase_diagram(study):
        return []
    places: dict[tuple[float, float], list[ArmResults]] = {}
    for arm in trained:
        if arm.effective and (place := ratios(arm.effective)):
            places.setdefault(place, []).append(arm)
    if not places:
        return []
    tiles = [_tile(place, arms, study.primary) for place, arms in places.items()]
    cells = [cell for cell, _ in tiles]
    published = _published_points(study.published_coefficients)
    rows = [
        [f"{cell['x']:g}", f"{cell['y']:g}", counts, figure_of(cell["rank"]), figure_of(cell["accuracy"], ".1f", 100)]
        for cell, counts in tiles
    ]
    table = ([*RATIOS, "Collapse types", "RankMe, emb.", "Test, %"], rows)
    by_type = phase_diagram.phase_diagram(cells, colour="type", axes_names=RATIOS, published=published)
    by_rank = phase_diagram.phase_diagram(cells, colour="rank", axes_names=RATIOS, published=published)
    return [
        make_panel("phase-verdict", "Collapse phase diagram: collapse type and test accuracy", by_type, table),
        make_panel("phase-rank", "Collapse phase diagram: RankMe of the embeddings", by_rank, table),
    ]


def _tile(place: tuple[float, float], arms: Sequence[ArmResults], primary: str) -> tuple[Cell, str]:
    """Return a tile of all runs at these ratios, and in words how many of each type; arms may share one."""
    runs = [run for arm in arms for run in arm.runs]
    counts = Counter(run.outcome for run in runs)
    ranks = finite([run.collapse["embeddings"].rankme for run in runs if "embeddings" in run.collapse])
    accuracies = finite([run.test_top1(primary) for run in runs])
    rank = math.fsum(ranks) / len(ranks) if ranks else None
    accuracy = math.fsum(accuracies) / len(accuracies) if accuracies else None
    counted = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    decision = _decision(arms, primary)
    numbers = f"RankMe {figure_of(rank)}, {figure_of(accuracy, '.1f', 100)} %" + (f"; {decision}" if decision else "")
    kind = arms[0].collapse_type.name if len(arms) == 1 else counts.most_common(1)[0][0]
    cell: Cell = {
        "x": place[0], "y": place[1], "type": kind, "rank": rank, "accuracy": accuracy,
        "decision": decision, "is_baseline": any(arm.is_baseline for arm in arms),
        "tip": f"{'; '.join(arm.label for arm in arms)}: {counted}; {numbers}",
    }  # fmt: skip
    return cell, counted


def _decision(arms: Sequence[ArmResults], primary: str) -> str | None:
    """Return what was decided of the one arm at a tile; None for the baseline, and where arms share the tile."""
    summary = arms[0].summary.get(primary) if len(arms) == 1 else None
    return summary.difference.decision if summary and summary.difference else None


def _published_points(published: Mapping[str, Any] | None) -> list[PublishedPoint]:
    """Return the published weights that have a place on the plane: none of them is zero."""
    points: list[PublishedPoint] = []
    for row in (published or {}).get("rows") or []:
        if place := ratios(row):
            outcome = "collapse" if row.get("collapse") else f"{row['linear']} % linear"
            points.append({"x": place[0], "y": place[1], "collapsed": bool(row.get("collapse")),
                           "text": f"published: {weights_text(row)}: {outcome}"})  # fmt: skip
    return points


def phase_source(study: StudyResults) -> str:
    """Return where a phase diagram's published points are from, with their protocol; empty without a diagram."""
    published = study.published_coefficients
    if not published or not has_phase_diagram(study):
        return ""
    return f"{published['source']}; {published['protocol']}"
