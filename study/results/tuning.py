"""What tuning chose for each arm, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from study.results.runs import RunResults
from study.results.schema import StudyResults
from study.results.timing import Timing


@dataclass(frozen=True, kw_only=True)
class ArmTuning:
    """The tuning of one arm: how many runs and epochs it took, and what it chose.

    `seconds` are of training; None where one of the runs does not say. `chosen` is empty while tuning has not ended.
    """

    runs: int
    epochs: int
    seconds: float | None
    chosen: Mapping[str, Any] = field(default_factory=dict)


def tuning_by_arm(results: StudyResults, timing: Timing) -> dict[str, ArmTuning]:
    """Return what the tuning of each arm took and chose, by the arm's name; untuned arms are left out.

    A run that two arms share counts for both.
    """
    found: dict[str, list[RunResults]] = {}
    tried = [run for arm in results.arms if arm.role == "tuning" for run in arm.runs]
    for row, run in zip(results.tuning or (), tried, strict=False):  # in the same order, as `describe_tuning` makes them
        found.setdefault(row.arm, []).append(run)
    chosen = {row.arm: row.settings for row in results.tuning or () if row.chosen}
    return {
        arm: ArmTuning(
            runs=len(runs),
            epochs=sum(len(run.history) for run in runs),
            seconds=_seconds(timing, runs),
            chosen=chosen.get(arm, {}),
        )
        for arm, runs in found.items()
    }


def _seconds(timing: Timing, runs: list[RunResults]) -> float | None:
    each = [timing.runs[run.digest].seconds for run in runs if run.digest in timing.runs]
    known = [one for one in each if one is not None]
    return sum(known) if len(known) == len(runs) else None
