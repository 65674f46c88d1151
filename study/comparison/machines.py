"""Compares the same runs on two machines: their noise, order and ties."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy import stats

from study.analysis.moments import LEAST_SEEDS, mean, pooled_spread
from study.analysis.multiple_testing import ALPHA
from study.comparison.alignment import Pair, has_equal_results
from study.comparison.effects import ROUNDING, accuracies_by_seed, is_healthy
from study.results.runs import RunResults
from study.results.schema import StudyResults

MACHINERY = ("device", "torch", "torchvision", "onednn", "numba", "bfloat16")  # on which the last bits of a run depend

Order = Literal["above", "below", "tie", "turned"]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How far runs move from machine to machine, and from seed to seed, of `arms` arms.

    `moved` is the root mean square of B - A over pairs of runs of one seed. `reseeded` is that of the difference of two
    seeds on one machine, sqrt(2) s. `exceeds` says whether `moved` is larger by an F test at 5 %.
    """

    arms: int
    moved: float
    reseeded: float
    exceeds: bool


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What two machines made of the same study.

    `identical` of `runs` pairs of one arm and seed have the same numbers, bit for bit. `orders` maps two arms, by their
    places among the pairs, to how the first stands to the second on both machines. `best` are the places of the arms that
    are best on validation, on A and on B; None where that was not measured.
    """

    a: Mapping[str, str]
    b: Mapping[str, str]
    runs: int
    identical: int
    noise: Noise | None
    orders: Mapping[tuple[int, int], Order]
    best: tuple[int, int] | None

    def order_of(self, first: int, second: int) -> Order | None:
        """Return how one arm stands to another, in whatever order they are given."""
        if (first, second) in self.orders:
            return self.orders[first, second]
        mirrored: dict[Order, Order] = {"above": "below", "below": "above"}
        other = self.orders.get((second, first))
        return other and mirrored.get(other, other)


def compare_machines(pairs: Sequence[Pair], a: StudyResults, b: StudyResults, *, probe: str) -> Machines | None:
    """Return what two machines made of the same runs; None where both were made on one, or from different data."""
    of_a, of_b = machinery_of(a), machinery_of(b)
    if of_a == of_b or a.data.digest != b.data.digest:
        return None
    shared = [
        (runs[0][seed], runs[1][seed]) for pair in pairs for runs in [pair.runs()] for seed in runs[0] if seed in runs[1]
    ]
    measured = [(one, other) for one, other in shared if probe in one.test and probe in other.test]
    if not measured:
        return None
    arms = {place: pair for place, pair in enumerate(pairs) if pair.either.role in ("arm", "step")}
    return Machines(
        a=of_a,
        b=of_b,
        runs=len(measured),
        identical=sum(has_equal_results(one, other) for one, other in measured),
        noise=_noise(list(arms.values()), probe),
        orders=_orders(arms, probe),
        best=_best(arms, probe),
    )


def machinery_of(side: StudyResults) -> dict[str, str]:
    """Return what the last bits of a side's runs depend on: its processor and its libraries."""
    recorded: dict[str, Any] = {**side.environment, **((side.identity.machinery if side.identity else None) or {})}
    return {key: str(recorded[key]) for key in MACHINERY if recorded.get(key) is not None}


def _noise(pairs: Sequence[Pair], probe: str) -> Noise | None:
    """Return how far runs of healthy arms move, or of all where none is healthy; None where seeds show no spread."""
    pairs = [pair for pair in pairs if is_healthy(pair)] or pairs
    differences: list[float] = []
    series: list[list[float]] = []
    for pair in pairs:
        of_a, of_b = (accuracies_by_seed(runs, probe) for runs in pair.runs())
        seeds = of_a.keys() & of_b.keys()
        differences += [of_b[seed] - of_a[seed] for seed in sorted(seeds)]
        series += [[side[seed] for seed in sorted(seeds)] for side in (of_a, of_b)]
    spread, freedom = pooled_spread(series), sum(len(one) - 1 for one in series if one)
    if not spread or not differences:
        return None
    moved, reseeded = math.sqrt(mean([value**2 for value in differences])), math.sqrt(2) * spread
    bound = float(stats.f.ppf(1 - ALPHA, len(differences), freedom))
    return Noise(arms=len(pairs), moved=moved, reseeded=reseeded, exceeds=(moved / reseeded) ** 2 > bound)


def _orders(arms: Mapping[int, Pair], probe: str) -> dict[tuple[int, int], Order]:
    """Return how arms stand to one another; nothing of two that share fewer than three seeds on either machine."""
    sides = {place: [accuracies_by_seed(runs, probe) for runs in pair.runs()] for place, pair in arms.items()}
    found: dict[tuple[int, int], Order] = {}
    for first, second in itertools.combinations(arms, 2):
        if _are_same_runs(arms[first], arms[second]):
            continue  # under two names
        by_side = [
            [own[seed] - other[seed] for seed in own.keys() & other.keys()]
            for own, other in zip(sides[first], sides[second])
        ]
        if all(len(differences) >= LEAST_SEEDS for differences in by_side):
            found[first, second] = _order(*map(_sign, by_side))
    return found


def _sign(differences: Sequence[float]) -> int:
    """Return 1 or -1 where all differences are above or below 0, else 0."""
    return (min(differences) > ROUNDING) - (max(differences) < -ROUNDING)


def _order(on_a: int, on_b: int) -> Order:
    if on_a == on_b != 0:
        return "above" if on_a > 0 else "below"
    return "turned" if on_a * on_b < 0 else "tie"


def _best(arms: Mapping[int, Pair], probe: str) -> tuple[int, int] | None:
    """Return the arm that is best on validation, on A and on B, of those with as many seeds as any."""
    best = []
    for side in (0, 1):
        means = {place: values for place, pair in arms.items() if (values := _validation(pair.runs()[side], probe))}
        if not means:
            return None
        most = max(map(len, means.values()))
        best.append(max((place for place in means if len(means[place]) == most), key=lambda place: mean(means[place])))
    return best[0], best[1]


def _validation(runs: Mapping[int, RunResults], probe: str) -> list[float]:
    return [value for run in runs.values() if (value := run.validation_top1(probe)) is not None]


def _are_same_runs(one: Pair, other: Pair) -> bool:
    """Return whether two arms have a run in common on either side."""
    return any(
        {run.digest for run in own.values()} & {run.digest for run in others.values()}
        for own, others in zip(one.runs(), other.runs(), strict=True)
    )
