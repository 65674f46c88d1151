"""Tests arms against their baseline, and their gains over untrained controls."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.analysis.effect_sizes import probability_above
from study.analysis.equivalence import is_within
from study.analysis.moderated import ArmClass, BySeed, ModeratedDifference, moderated_differences
from study.analysis.multiple_testing import ALPHA, holm
from study.results.comparisons import BETTER, EQUIVALENT, UNDECIDED, WORSE, Adjusted, Difference
from study.results.schema import ArmResults
from study.runs.outcomes import DIVERGED, FINISHED, PRUNED
from vicreg.evaluation.collapse_diagnosis import HEALTHY, UNDETERMINED

Digests = tuple[str, ...]


def compared_arms(arms: Sequence[ArmResults]) -> list[ArmResults]:
    """Return the arms that a study compares, the baseline among them.

    Trials, tuning and controls are left out, and so are other names of the baseline's runs.
    """
    baseline = [digests_of(arm) for arm in arms if arm.is_baseline]
    ours = [arm for arm in arms if arm.role in ("arm", "step")]
    return [arm for arm in ours if arm.is_baseline or digests_of(arm) not in baseline]


def digests_of(arm: ArmResults) -> Digests:
    """Return the digests of an arm's runs, which two arms of the same runs share."""
    return tuple(sorted(run.digest for run in arm.runs))


def arm_class(arm: ArmResults) -> ArmClass:
    """Return the class whose arms spread alike: healthy or collapsed where all runs that ended are, else mixed.

    The collapse may be of any type. A run that diverged, or that has too few held-out images to tell, is of neither kind.
    What is missing or was stopped from outside says nothing and is not counted.
    """
    ended = {_class_of(run.outcome) for run in arm.runs if run.status in (FINISHED, PRUNED, DIVERGED)}
    return ended.pop() if len(ended) == 1 else "mixed"


def _class_of(outcome: str) -> ArmClass:
    if outcome == HEALTHY:
        return "healthy"
    return "mixed" if outcome in (DIVERGED, UNDETERMINED, FINISHED) else "collapsed"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A moderated difference, its p-value adjusted and priced, and the decision: one of `DECISIONS`."""

    difference: ModeratedDifference
    p_holm: float | None
    decision: str


def decide_all(
    accuracies: Mapping[str, BySeed],
    classes: Mapping[str, ArmClass],
    *,
    baseline: str,
    margin: float,
    price: float = 1,
) -> dict[str, Decided]:
    """Return what a study's test decides of each arm: the one rule that pages, looks and the simulation go by.

    The differences are moderated (`moderated_differences`) and are one family of Holm. An arm is better or worse where its
    p-value, adjusted and times `price`, is below 0.05. It is equivalent where two one-sided tests on the same standard
    error, at 0.05 / price, place it within the margin. Else it is undecided.

    Args:
        accuracies: arm -> seed -> accuracy.
        classes: arm -> class of collapse.
        baseline: the arm that all others are compared with.
        margin: the smallest difference that would matter.
        price: of looking at the results more than once; intervals are at 1 - 0.05 / price.
    """
    found = moderated_differences(accuracies, classes, baseline=baseline, confidence=1 - ALPHA / price)
    adjusted = priced_holm([one.p for one in found.values()], price)
    return {
        name: Decided(difference=one, p_holm=p, decision=_decision(one, p, margin=margin, alpha=ALPHA / price))
        for (name, one), p in zip(found.items(), adjusted, strict=True)
    }


def decide(
    arms: Sequence[ArmResults], *, baseline: str, primary: str, margin: float, price: float = 1
) -> tuple[ArmResults, ...]:
    """Return the arms with what `decide_all` says of each one's primary difference from the baseline.

    Arms of the same runs are one test. Trials, tuning, controls and other names of the baseline's runs are none, and stay as
    they are.

    Args:
        arms: with their summaries.
        baseline: the name of the arm that all others are compared with.
        primary: the probe whose accuracy is compared.
        margin: the smallest difference that would matter, a share.
        price: of looking at the results more than once.
    """
    by_digests: dict[Digests, ArmResults] = {}
    for arm in compared_arms(arms):
        by_digests.setdefault(digests_of(arm), arm)
    accuracies = {arm.name: arm.accuracies(primary) for arm in by_digests.values()}
    if not accuracies.get(baseline):
        return tuple(arms)
    classes = {arm.name: arm_class(arm) for arm in by_digests.values()}
    found = decide_all(accuracies, classes, baseline=baseline, margin=margin, price=price)
    names = {arm.name: by_digests[digests_of(arm)].name for arm in compared_arms(arms)}

    def decided(arm: ArmResults) -> ArmResults:
        name = names.get(arm.name)
        difference = arm.difference(primary)
        if name not in found or difference is None:
            return arm
        return _with(arm, primary, difference=_moderated(difference, found[name]))

    return tuple(decided(arm) for arm in arms)


def adjust_gains(arms: Sequence[ArmResults], primary: str, *, price: float = 1) -> tuple[ArmResults, ...]:
    """Return the arms with adjusted p-values of their gains over untrained controls, a family beside the differences.

    The baseline's gain is tested first and for itself: it is planned, and every study asks it. The other gains are adjusted
    by Holm, and are never below the baseline's p-value. With this order the family errs at most at 5 % (serial gatekeeping:
    Maurer, Hothorn and Lehmacher 1995). Gains stay paired t tests: a control has no class of collapse. Each set of runs is
    one test.
    """
    compared = [arm for arm in compared_arms(arms) if arm.gain(primary) is not None]
    p_of = {digests_of(arm): gain.p for arm in compared if (gain := arm.gain(primary)) is not None}
    first = next((p_of.pop(digests_of(arm)) for arm in compared if arm.is_baseline), None)
    gate = min(1.0, price * (first or 0.0))
    adjusted = dict(zip(p_of, priced_holm(list(p_of.values()), price), strict=True))
    found = {arm.name: _not_below(gate, first if arm.is_baseline else adjusted[digests_of(arm)]) for arm in compared}

    def with_p(arm: ArmResults) -> ArmResults:
        gain = arm.gain(primary)
        if arm.name not in found or gain is None:
            return arm
        return _with(arm, primary, gain=dataclasses.replace(gain, adjusted=Adjusted(p_holm=found[arm.name])))

    return tuple(with_p(arm) for arm in arms)


def _not_below(gate: float, p: float | None) -> float | None:
    return None if p is None else max(gate, p)


def priced_holm(p_values: Sequence[float | None], price: float) -> list[float | None]:
    """Return Holm's adjusted p-values times the price of looks, at most 1."""
    return [None if p is None else min(1.0, price * p) for p in holm(p_values)]


def _decision(one: ModeratedDifference, p_holm: float | None, *, margin: float, alpha: float) -> str:
    if p_holm is not None and p_holm < ALPHA:
        return BETTER if one.mean > 0 else WORSE
    return EQUIVALENT if is_within(one, margin=margin, alpha=alpha) else UNDECIDED


def _moderated(difference: Difference, decided: Decided) -> Difference:
    """Return a paired difference with the interval that the classes moderate, and what is decided."""
    detail, one = difference.detail, decided.difference
    if detail is not None and one.sd is not None and one.df is not None:
        better = probability_above(one.mean, one.sd, n=one.n, freedom=one.df)
        detail = dataclasses.replace(
            detail, probability_better=better, spread=one.sd, freedom=one.df, moderated=one.moderated
        )
    return dataclasses.replace(
        difference,
        low=one.low,
        high=one.high,
        p=one.p,
        detail=detail,
        adjusted=Adjusted(p_holm=decided.p_holm, decision=decided.decision),
    )


def _with(
    arm: ArmResults, primary: str, *, difference: Difference | None = None, gain: Difference | None = None
) -> ArmResults:
    column = arm.summary[primary]
    column = dataclasses.replace(column, difference=difference or column.difference, gain=gain or column.gain)
    return dataclasses.replace(arm, summary={**arm.summary, primary: column})
