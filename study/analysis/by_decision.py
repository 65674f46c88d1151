"""Sorts a study's arms by what their comparison with the baseline decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.analysis.decisions import compared_arms, digests_of
from study.analysis.moments import LEAST_SEEDS
from study.analysis.multiple_testing import ALPHA
from study.results.comparisons import BETTER, UNDECIDED, WORSE, ColumnSummary, Difference
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import FINISHED, MISSING, PARTIAL
from study.spec.about import COLLAPSES


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """The arms that were compared with the baseline at three seeds or more, by decision.

    `partial` are arms that lost seeds: a mean over the seeds that survived would speak for settings that let some diverge,
    so no decision in their favour counts. `untested` have fewer than three pairs, and `lost` are those of them and of the
    partial ones that lost seeds.
    """

    baseline: ArmResults
    better: tuple[ArmResults, ...] = ()
    worse: tuple[ArmResults, ...] = ()
    equivalent: tuple[ArmResults, ...] = ()
    undecided: tuple[ArmResults, ...] = ()
    partial: tuple[ArmResults, ...] = ()
    untested: tuple[ArmResults, ...] = ()

    @property
    def tested(self) -> int:
        """The number of arms that were compared."""
        return len(self.better) + len(self.worse) + len(self.tied) + len(self.partial)

    @property
    def lost(self) -> tuple[ArmResults, ...]:
        """The arms that are left out because runs of theirs ended without a result."""
        return (*self.partial, *(arm for arm in self.untested if lost_seeds(arm)))

    @property
    def tied(self) -> tuple[ArmResults, ...]:
        """The arms that are neither better nor worse, in the order of the study."""
        return (*self.equivalent, *self.undecided)


def decisions_of(results: StudyResults) -> Decisions | None:
    """Return what was decided of each arm; None where the baseline has no accuracy, so that nothing is compared.

    Two names of the same runs are one arm. A method that takes labels is a control, whose arm is left out.
    """
    arms = {digests_of(arm): arm for arm in reversed(self_supervised(results, compared_arms(results.arms)))}
    ordered = list(reversed(arms.values()))
    baseline = next((arm for arm in ordered if arm.is_baseline), None)
    if baseline is None or results.primary not in baseline.summary:
        return None
    found: dict[str, list[ArmResults]] = {}
    for arm in ordered:
        difference = arm.difference(results.primary)
        if not arm.is_baseline and difference is not None:
            found.setdefault(_place(arm, difference), []).append(arm)
    return Decisions(baseline=baseline, **{name: tuple(arms) for name, arms in found.items()})


def self_supervised(results: StudyResults, arms: Iterable[ArmResults]) -> list[ArmResults]:
    """Return the baseline, and the arms whose method takes no labels: of these one may be called the best."""
    methods = results.methods
    return [arm for arm in arms if arm.is_baseline or methods is None or not methods.takes_labels(arm.name)]


def _place(arm: ArmResults, difference: Difference) -> str:
    if difference.n < LEAST_SEEDS:
        return "untested"
    decision = decision_of(difference)
    return "partial" if decision != WORSE and not is_whole(arm) else decision


def decision_of(difference: Difference) -> str:
    """Return what a comparison decided; of files that do not say it, what Holm's p-value does."""
    if difference.decision is not None:
        return difference.decision
    if difference.p_holm is None or difference.p_holm >= ALPHA:
        return UNDECIDED
    return BETTER if difference.mean > 0 else WORSE


def is_established(gain: Difference) -> bool:
    """Return whether a gain over the untrained network is above zero by its adjusted p-value."""
    return gain.p_holm is not None and gain.p_holm < ALPHA and gain.mean > 0


def is_loss(gain: Difference | None) -> bool:
    """Return whether an arm is below its untrained network beyond doubt."""
    return gain is not None and gain.p_holm is not None and gain.p_holm < ALPHA and gain.mean < 0


def is_whole(arm: ArmResults) -> bool:
    """Return whether an arm finished at every seed."""
    return all(run.status == FINISHED for run in arm.runs)


def lost_seeds(arm: ArmResults) -> int:
    """Return at how many seeds a run of an arm ended without a result."""
    return sum(run.status not in (FINISHED, MISSING, PARTIAL) for run in arm.runs)


def is_collapsed(arm: ArmResults) -> bool:
    """Return whether half of an arm's seeds or more ended in a collapse."""
    return arm.collapse_type.name in COLLAPSES


def leader(arms: Sequence[ArmResults], primary: str) -> ArmResults:
    """Return the arm with the highest mean on validation; test must not choose."""
    return max(arms, key=lambda arm: _validation(arm, primary).mean)


def _validation(arm: ArmResults, primary: str) -> ColumnSummary:
    return arm.summary.get(f"validation_{primary}", arm.summary[primary])
