"""Judge the claims about two terms of the loss and collapse."""

from collections.abc import Sequence
from dataclasses import replace

from study.analysis.intervals import wilson
from study.analysis.vicreg_terms import SAME_SCALE, end_ratios, runs_by_scale, vicreg_arms
from study.analysis.wording import in_words
from study.paper.evidence import digests, measured_elsewhere, nearest, recipe_arm
from study.paper.judged import FAILS, HOLDS, OPEN, Finding, Judged, decide, without_interval
from study.paper.protocol import deviations, settings_of
from study.paper.published import RECIPE, SourcePaper
from study.results.comparisons import Interval
from study.results.findings import ScaleClaim
from study.results.methods import VICREG
from study.results.schema import StudyResults
from study.spec.about import COLLAPSES
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED

MAJORITY = 0.5  # of runs that collapse: what is indicative of a collapse
LEAST_OF_A_SHARE = 4  # runs: Wilson's interval of none of three still has one half in it


def judge_scale(name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Judge whether the two terms end within half a power of ten of one another, unweighted and weighted."""
    row = Judged(claim=name, says=says, study=RECIPE, dataset="cifar10", kind="ratio")
    results = nearest(candidates, paper, dataset="cifar10")
    ratios = _ratios(results)
    if results is None or ratios is None:
        return [replace(row, missing=f"the study {RECIPE}")]
    row = _of_recipe(row, results, paper)
    return [
        decide(replace(row, arm=f"invariance over covariance, {kind}", ours=ratio), weigh_scale(ratio))
        for kind, ratio in zip(("unweighted", "weighted by λ and ν"), ratios, strict=True) if ratio is not None
    ]  # fmt: skip


def _ratios(results: StudyResults | None) -> tuple[Interval, Interval | None] | None:
    """Return invariance over covariance of a study's recipe, unweighted and weighted; None where it has no such terms."""
    arm = None if results is None else recipe_arm(results)
    if results is None or arm is None or results.method_of(arm) != VICREG:
        return None
    return end_ratios(arm.runs)


def weigh_scale(ratio: Interval) -> Finding:
    """Return whether a ratio is within a factor of 1 that is read as the same scale, with its whole interval."""
    if ratio.low is None or ratio.high is None:
        return without_interval(ratio)
    inside = 1 / SAME_SCALE <= ratio.low and ratio.high <= SAME_SCALE
    outside = ratio.low > SAME_SCALE or ratio.high < 1 / SAME_SCALE
    against = f"“the same scale” read as within a factor of {SAME_SCALE:.1f}"
    return Finding(outcome=HOLDS if inside else FAILS if outside else OPEN, against=against, missing="more seeds")


def judge_collapse(name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Judge whether a common scale indicates a collapse: how often the baseline's runs collapsed.

    Their terms have to be of one scale, as the claim supposes.
    """
    row = Judged(claim=name, says=says, study=RECIPE, dataset="cifar10", kind="share")
    results = nearest(candidates, paper, dataset="cifar10")
    ratios = _ratios(results)
    if results is None or ratios is None:
        return [replace(row, missing=f"the study {RECIPE}")]
    runs = recipe_arm(results).runs
    types = [run.collapse_type.name for run in runs if run.collapse_type and run.collapse_type.name != UNDETERMINED]
    collapsed, n = sum(one in COLLAPSES for one in types), len(types)
    low, high = wilson(collapsed, n) if n else (None, None)
    ours = Interval(n=n, mean=collapsed / n, low=low, high=high, p=None) if n else None
    alike = [kind for kind, is_alike in _alike(ratios).items() if is_alike]
    when = f", whose terms are of one scale only when {alike[0]}" if len(alike) == 1 else ""
    arm = f"collapsed runs of the recipe{when}"
    row = replace(_of_recipe(row, results, paper), arm=arm, ours=ours)
    row = replace(row, deviations=(*row.deviations, *measured_elsewhere(recipe_arm(results))))
    others = nearest([one for one in candidates if one is not results], paper, dataset="cifar10")
    beside = [] if others is None else _by_scale(row, others, paper)
    return [decide(row, weigh_collapses(ratios, results.scale, ours)), *beside]


def _by_scale(row: Judged, results: StudyResults, paper: SourcePaper) -> list[Judged]:
    """Return how many runs of another study with terms of one scale collapsed; nothing if its protocol is the paper's."""
    counts = results.scale
    if counts is None or not counts.same[1] or not counts.other[1]:
        return []
    (collapsed, n), (others, of) = counts.same, counts.other
    row = replace(  # without an interval: seeds of one setting are no independent evidence, and there are few settings
        _of_recipe(row, results, paper),
        arm=f"share of {results.study}'s runs with unweighted terms of one scale that collapsed",
        ours=Interval(n=n, mean=collapsed / n, low=None, high=None, p=None), study=results.study,
        runs=tuple(run.digest for run in runs_by_scale(vicreg_arms(results))[0]),
    )  # fmt: skip
    said = f"of runs whose terms are of two scales {others} of {of} collapsed"
    return [decide(row, Finding(outcome=OPEN, reason=said, missing="more seeds"))] if row.barring else []


def weigh_collapses(
    ratios: tuple[Interval, Interval | None], claim: ScaleClaim | None, ours: Interval | None
) -> Finding:  # fmt: skip
    """Return what the share of the baseline's runs that collapsed says, beside all runs by the scale of their terms.

    The paper says "indicative", and no share. It is read as: more than half of the runs whose terms are of one scale.

    Args:
        ratios: of the baseline's two terms, unweighted and weighted.
        claim: the counts of all runs; None where they were not counted.
        ours: the share of the baseline's runs that collapsed, with Wilson's interval; None where no run tells.
    """
    said = "" if claim is None else (
        f"of runs whose unweighted terms are of one scale {claim.same[0]} of {claim.same[1]} collapsed, of the others "
        f"{claim.other[0]} of {claim.other[1]}"
    )  # fmt: skip
    if not any(_alike(ratios).values()):
        missing = "a baseline whose terms are of one scale"
        return Finding(outcome=OPEN, reason=said, against="the baseline's own terms are not", missing=missing)
    against = "“indicative” read as more than half"
    if ours is None or ours.n < LEAST_OF_A_SHARE or ours.low is None or ours.high is None:
        return Finding(outcome=OPEN, reason=said, against=against, missing=f"{in_words(LEAST_OF_A_SHARE)} seeds")
    outcome = HOLDS if ours.low > MAJORITY else FAILS if ours.high < MAJORITY else OPEN
    return Finding(outcome=outcome, reason=said, against=against, missing="more seeds")


def _alike(ratios: tuple[Interval, Interval | None]) -> dict[str, bool]:
    """Return by each reading of the claim whether the recipe's two terms are of one scale on average."""
    return {
        kind: 1 / SAME_SCALE <= ratio.mean <= SAME_SCALE
        for kind, ratio in zip(("unweighted", "weighted"), ratios, strict=True)
        if ratio is not None
    }


def _of_recipe(row: Judged, results: StudyResults, paper: SourcePaper) -> Judged:
    """Return a row that is judged by the loss of a study's recipe, whatever its accuracy."""
    arm = recipe_arm(results)
    found = deviations(settings_of(results, arm), results.data, paper, probe=None)
    return replace(row, results=results, runs=digests(arm), deviations=tuple(found))
