"""Rank correlations of collapse metrics with accuracy over the runs."""

import json
import math
from collections.abc import Sequence

from study.analysis.rank_correlation import rank_correlations
from study.results.findings import Predictor
from study.results.runs import SPACES, RunResults
from study.results.schema import ArmResults

PREDICTORS = (
    "rankme", "effective_rank", "participation_ratio", "stable_rank", "nesum", "alpha_req", "lidar", "std_mean",
    "normalised_std", "rms_correlation", "dead_share", "alignment", "uniformity", "view_discrepancy", "cluster_learnability",
    "intrinsic_dimension",
)  # fmt: skip
LEAST_SETTINGS = 10  # with 9, the interval of a rank correlation of 0.7 includes zero, and a ranking is luck


def predictors(arms: Sequence[ArmResults], primary: str) -> tuple[Predictor, ...]:
    """Return each collapse metric's rank correlation with test accuracy over all trained runs, the strongest first.

    Nothing is ranked from fewer than ten settings. A run counts once, whatever arms it belongs to. Intervals count settings,
    not runs: seeds of one setting are no independent evidence.
    """
    rows = [(setting, run, run.test[primary].top1) for setting, run in different_runs(arms) if primary in run.test]
    found = []
    for space in SPACES:
        for metric in PREDICTORS:
            points = [
                (setting, value, accuracy)
                for setting, run, accuracy in rows
                if (value := run.metric(metric, space)) is not None and math.isfinite(value)
            ]
            if points and (row := _predictor(metric, space, points)) is not None:
                found.append(row)
    return ranked(sorted(found, key=lambda row: (-abs(row.spearman.value or 0.0), row.metric, row.space)))


def ranked(found: Sequence[Predictor]) -> tuple[Predictor, ...]:
    """Return the metrics that enough settings rank; files of earlier versions have others."""
    return tuple(row for row in found if row.settings >= LEAST_SETTINGS)


def different_runs(arms: Sequence[ArmResults]) -> list[tuple[str, RunResults]]:
    """Return every trained run once, with its setting as text."""
    found: dict[str, tuple[str, RunResults]] = {}
    for arm in arms:
        for run in () if arm.is_control else arm.runs:
            found.setdefault(run.digest, (json.dumps(arm.settings, sort_keys=True), run))
    return list(found.values())


def _predictor(metric: str, space: str, points: Sequence[tuple[str, float, float]]) -> Predictor | None:
    """Return the row of one metric from (setting, metric, accuracy); None where nothing varies."""
    independent = len({setting for setting, _, _ in points})
    spearman, kendall = rank_correlations(
        [value for _, value, _ in points], [accuracy for _, _, accuracy in points], independent=independent
    )
    if spearman.value is None:
        return None
    return Predictor(metric=metric, space=space, runs=len(points), settings=independent, spearman=spearman, kendall=kendall)
