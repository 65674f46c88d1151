"""B - A of each arm's accuracy, and what can be concluded."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.analysis.equivalence import Equivalence, equivalence
from study.analysis.intervals import paired_difference
from study.analysis.moments import LEAST_SEEDS, mean
from study.analysis.multiple_testing import ALPHA, holm
from study.analysis.unpaired import unpaired_difference
from study.comparison.alignment import Pair, has_equal_results, is_same_run
from study.results.comparisons import Interval
from study.results.runs import RunResults
from study.results.schema import StudyResults
from vicreg.evaluation.collapse_diagnosis import HEALTHY

ROUNDING = 1e-9  # accuracies are counts over images: differences below this are none
# What can be said of an arm.
SAME_RUNS, IDENTICAL, EVEN = "the same runs", "identical results", "equal accuracy"
DIFFERENT, EQUIVALENT, UNDECIDED = "different", "no difference that matters", "undecided"
FEW, NOTHING = "descriptive only", "nothing to compare"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """B - A of one arm in one number: the seeds it rests on, the two sides over these, and what can be concluded.

    `paired` is False where the two sides were measured on different data; the seeds of each side are then its own.
    """

    seeds: tuple[int, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    paired: bool
    interval: Interval | None
    equivalence: Equivalence | None
    conclusion: str
    p_holm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Overall:
    """B - A of the mean accuracy over several arms, paired by seed."""

    arms: int
    interval: Interval
    equivalence: Equivalence


def effects(pairs: Sequence[Pair], a: StudyResults, b: StudyResults, *, probe: str, margin: float) -> list[Effect]:
    """Return each pair's difference in test accuracy; p-values are adjusted by Holm over all arms that have one."""
    images = None if a.data.digest == b.data.digest else (a.data.test, b.data.test)
    found = [_effect(pair, probe=probe, margin=margin, images=images) for pair in pairs]
    adjusted = holm([effect.interval.p if effect.interval else None for effect in found])
    return [
        dataclasses.replace(effect, p_holm=p, conclusion=_conclude(effect, p))
        for effect, p in zip(found, adjusted, strict=True)
    ]


def overall(effects_by_pair: Sequence[tuple[Pair, Effect]], *, margin: float) -> Overall | None:
    """Return the difference of the mean accuracy over the arms that were tested and are healthy on both sides.

    Arms of one seed are not independent, so each seed counts once. None for fewer than two arms, or fewer than three seeds
    that all of them have.
    """
    healthy = [
        dict(zip(effect.seeds, zip(effect.a, effect.b)))
        for pair, effect in effects_by_pair
        if effect.paired and effect.p_holm is not None and is_healthy(pair)
    ]
    seeds = sorted(set.intersection(*(set(arm) for arm in healthy))) if healthy else []
    if len(healthy) < 2 or len(seeds) < LEAST_SEEDS:
        return None
    others, values = ([mean([arm[seed][side] for arm in healthy]) for seed in seeds] for side in (0, 1))
    return Overall(
        arms=len(healthy),
        interval=paired_difference(values, others),
        equivalence=equivalence(values, others, margin=margin, alpha=ALPHA),
    )


def rank_change(pair: Pair, space: str, *, seeds: Sequence[int]) -> tuple[float, float, Interval] | None:
    """Return (A, B, B - A) of RankMe over the seeds both have; None where there are none."""
    sides = []
    for runs in pair.runs():
        ranks = [runs[seed].collapse[space].rankme for seed in seeds if seed in runs and space in runs[seed].collapse]
        sides.append([rank for rank in ranks if rank is not None])
    if not seeds or any(len(side) < len(seeds) for side in sides):
        return None
    a, b = sides
    return mean(a), mean(b), paired_difference(b, a)


def accuracies_by_seed(runs: Mapping[int, RunResults], probe: str) -> dict[int, float]:
    """Return seed -> test accuracy, where there is one."""
    return {seed: run.test[probe].top1 for seed, run in sorted(runs.items()) if probe in run.test}


def is_healthy(pair: Pair) -> bool:
    """Return whether an arm is healthy on both sides."""
    return all(arm is not None and arm.collapse_type.name == HEALTHY for arm in (pair.a, pair.b))


def _effect(pair: Pair, *, probe: str, margin: float, images: tuple[int, int] | None) -> Effect:
    runs_a, runs_b = pair.runs()
    of_a, of_b = accuracies_by_seed(runs_a, probe), accuracies_by_seed(runs_b, probe)
    seeds = tuple(sorted(of_a.keys() & of_b.keys()))
    if images is not None and of_a and of_b:
        return _unpaired(seeds, tuple(of_a.values()), tuple(of_b.values()), images=images, margin=margin)
    others, values = tuple(of_a[seed] for seed in seeds), tuple(of_b[seed] for seed in seeds)
    effect = Effect(seeds=seeds, a=others, b=values, paired=True, interval=None, equivalence=None, conclusion=NOTHING)
    shared = [(runs_a[seed], runs_b[seed]) for seed in runs_a if seed in runs_b]
    if shared and all(is_same_run(*both) for both in shared):
        return dataclasses.replace(effect, conclusion=SAME_RUNS)
    if shared and all(is_same_run(*both) or has_equal_results(*both) for both in shared):
        return dataclasses.replace(effect, conclusion=IDENTICAL)
    return _tested(effect, margin=margin) if seeds else effect


def _tested(effect: Effect, *, margin: float) -> Effect:
    """Return an effect with its interval, and its equivalence where there is a spread to test it by."""
    differences = [value - other for value, other in zip(effect.b, effect.a, strict=True)]
    n = len(differences)
    if n < LEAST_SEEDS or max(differences) - min(differences) < ROUNDING:  # fewer images differ than a test can weigh
        conclusion = EVEN if max(map(abs, differences)) < ROUNDING else FEW
        interval = Interval(n=n, mean=mean(differences), low=None, high=None, p=None)
        return dataclasses.replace(effect, conclusion=conclusion, interval=interval)
    return dataclasses.replace(
        effect,
        conclusion=UNDECIDED,
        interval=paired_difference(effect.b, effect.a),
        equivalence=equivalence(effect.b, effect.a, margin=margin, alpha=ALPHA),
    )


def _unpaired(
    seeds: tuple[int, ...], a: tuple[float, ...], b: tuple[float, ...], *, images: tuple[int, int], margin: float
) -> Effect:
    """Return the effect of an arm that was measured on different images, where a seed does not make a pair."""
    interval, close = unpaired_difference(b, a, images=images[::-1], margin=margin)
    conclusion = UNDECIDED if interval.low is not None else FEW
    return Effect(seeds=seeds, a=a, b=b, paired=False, interval=interval, equivalence=close, conclusion=conclusion)


def _conclude(effect: Effect, p_holm: float | None) -> str:
    if effect.conclusion != UNDECIDED:
        return effect.conclusion
    if p_holm is not None and p_holm < ALPHA:
        return DIFFERENT
    return EQUIVALENT if effect.equivalence and effect.equivalence.equivalent else UNDECIDED
