"""Which arms of a study a report shows where."""

from collections.abc import Iterable, Sequence

from study.results.schema import ArmResults, StudyResults

CHOOSING = ("trial", "tuning")  # roles of arms that were run in order to choose, and have tables of their own


def shown_arms(study: StudyResults) -> list[ArmResults]:
    """Return the arms that figures and the table of arms show: all but trials and tuning.

    Of methods on one backbone the untrained networks are one network, and the baseline's stands for all.
    """
    shown = [arm for arm in study.arms if arm.role not in CHOOSING]
    baseline = baseline_of(shown)
    if study.methods is None or baseline is None:
        return shown
    same = next((arm for arm in shown if arm.name == baseline.control), None)
    return [arm for arm in shown if not arm.is_control or arm is same or not _is_alike(arm, same, study.primary)]


def _is_alike(arm: ArmResults, other: ArmResults | None, primary: str) -> bool:
    """Return whether two arms have the same primary accuracy at every seed."""
    if other is None:
        return False
    return [run.test_top1(primary) for run in arm.runs] == [run.test_top1(primary) for run in other.runs]


def trained_arms(arms: Iterable[ArmResults]) -> list[ArmResults]:
    """Return the arms without controls."""
    return [arm for arm in arms if not arm.is_control]


def seeds_of(arms: Iterable[ArmResults]) -> list[int]:
    """Return the seeds that some arms ran at, in order."""
    return sorted({run.seed for arm in arms for run in arm.runs})


def baseline_of(arms: Sequence[ArmResults]) -> ArmResults | None:
    """Return the baseline, or None where it is not among the arms."""
    return next((arm for arm in arms if arm.is_baseline), None)
