"""What is said of VICReg's own terms and coefficients.

Arms of other methods are left out, also where a term of theirs has the same name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study.analysis.intervals import ratio_interval
from study.analysis.moments import ENOUGH_SEEDS, mean
from study.analysis.predictors import different_runs
from study.config.read_yaml import read_yaml
from study.results.comparisons import Interval
from study.results.findings import ScaleClaim
from study.results.methods import VICREG
from study.results.runs import EpochRecord, RunResults, looks_at_others
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import FINISHED, PRUNED
from study.spec.about import COLLAPSES
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED

PUBLISHED = Path(__file__).parent / "published_coefficients.yaml"
SAME_SCALE = 10**0.5  # two quantities within half a power of ten of one another are called of the same scale
FIRST, SECOND = "invariance", "covariance"  # the terms whose scales are compared
STD, BELOW_GAMMA = "embedding_std_mean", "embedding_share_below_gamma"


def published_coefficients() -> dict[str, Any]:
    """Return the published accuracies by coefficients, as `published_coefficients.yaml` has them."""
    published: dict[str, Any] = read_yaml(PUBLISHED)["coefficients"]
    return published


def vicreg_arms(results: StudyResults) -> list[ArmResults]:
    """Return the trained arms whose method is VICReg. What a control would have been trained by, its settings do not say."""
    return [arm for arm in results.arms if not arm.is_control and results.method_of(arm) == VICREG]


def scale_claim(arms: Sequence[ArmResults]) -> ScaleClaim | None:
    """Return the source paper's remark on its loss curves as numbers; None where two terms have no ratio.

    It says that invariance and covariance "converge to the same scale", which "can be indicative of a collapse". The numbers
    are the ratio of the two terms at the end of the baseline's runs, unweighted and weighted. With them go the counts of
    collapsed runs among those whose terms are of one scale, and among the others. `arms` are VICReg's.
    """
    ratios = end_ratios([run for arm in arms if arm.is_baseline for run in arm.runs])
    if ratios is None:
        return None
    same, other = runs_by_scale(arms)
    return ScaleClaim(ratio=ratios[0], weighted=ratios[1], factor=SAME_SCALE, same=_collapsed(same), other=_collapsed(other))


def runs_by_scale(arms: Sequence[ArmResults]) -> tuple[list[RunResults], list[RunResults]]:
    """Return VICReg's runs that tell whether they collapsed: those with terms of one scale at the end, and the others."""
    looks = looks_at_others(run for arm in arms for run in arm.runs)
    ended = [run for _, run in different_runs(arms) if run.status in (FINISHED, PRUNED) and run.digest not in looks]
    told = [run for run in ended if _has_terms(run) and run.outcome != UNDETERMINED]
    same = [run for run in told if _is_of_one_scale(_end(run))]
    return same, [run for run in told if run not in same]


def end_ratios(runs: Sequence[RunResults]) -> tuple[Interval, Interval | None] | None:
    """Return invariance over covariance at the end of finished runs, unweighted and weighted; None where there is no ratio.

    The weighted one is None where a weight is zero. Two runs have an interval, as for every claim of the source paper.
    """
    ends = [_end(run) for run in runs if run.status == FINISHED and _has_terms(run)]
    if not ends or not all(end.term(FIRST) > 0 and end.term(SECOND) > 0 for end in ends):
        return None
    weighted = [(end.term(f"weighted_{FIRST}"), end.term(f"weighted_{SECOND}")) for end in ends]
    positive = all(first > 0 and second > 0 for first, second in weighted)
    ratio = ratio_interval([end.term(FIRST) for end in ends], [end.term(SECOND) for end in ends], least=ENOUGH_SEEDS)
    return ratio, ratio_interval(*zip(*weighted, strict=True), least=ENOUGH_SEEDS) if positive else None


def hinge_note(arms: Sequence[ArmResults]) -> list[str]:
    """Return how far the variance term got with the baseline: a std at gamma means that it is satisfied.

    `arms` are VICReg's: of another method nothing is said.
    """
    last = [_end(run) for arm in arms if arm.is_baseline for run in arm.runs if run.history and run.status == FINISHED]
    if not last or not all(name in end.logged for end in last for name in (STD, BELOW_GAMMA)):
        return []
    std = mean([end.term(STD) for end in last])
    below = mean([end.term(BELOW_GAMMA) for end in last])
    return [
        "In the training batches of the baseline's last epoch, embedding dimensions have a mean standard deviation of "
        f"{std:.2f}. "
        f"{100 * below:.0f} % of dimensions are below gamma, where the variance term still pulls."
    ]


def _end(run: RunResults) -> EpochRecord:
    return run.history[-1]


def _has_terms(run: RunResults) -> bool:
    return bool(run.history) and all(name in _end(run).logged for name in (FIRST, SECOND))


def _is_of_one_scale(end: EpochRecord) -> bool:
    first, second = end.term(FIRST), end.term(SECOND)
    return second > 0 and 1 / SAME_SCALE <= first / second <= SAME_SCALE


def _collapsed(runs: Sequence[RunResults]) -> tuple[int, int]:
    """Return how many of these runs collapsed, and how many there are."""
    return sum(run.status == PRUNED or run.outcome in COLLAPSES for run in runs), len(runs)
