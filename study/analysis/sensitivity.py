"""The smallest difference a study would find, and the seeds it needs."""

import math
from collections import Counter
from collections.abc import Sequence

from study.analysis.decisions import arm_class, compared_arms, digests_of
from study.analysis.moderated import learned_freedom
from study.analysis.moments import LEAST_SEEDS, mean
from study.analysis.multiple_testing import ALPHA
from study.analysis.power import seeds_needed, smallest_detectable, spread_interval
from study.results.comparisons import UNDECIDED, DifferenceDetail
from study.results.findings import ClassPower, Power
from study.results.schema import ArmResults

POWER = 0.8
CLASSES = ("healthy", "collapsed", "mixed")
WIDEST_OF_SEEDS = 3  # of an interval of seeds needed: one whose upper end is more times its lower end says too little


def describe_power(
    arms: Sequence[ArmResults], *, primary: str, margin: float, configured: int, command: str, price: float = 1
) -> Power | None:
    """Return what a study could have seen, class by class, from how its differences spread.

    That is the smallest difference it would have found four times in five at Holm's first step, where a p-value counts as
    many times as there are tests; and the seeds it takes for `margin`. None where no arm is compared with the baseline.

    Args:
        arms: with their summaries.
        primary: the probe whose accuracy is compared.
        margin: the smallest difference that would matter, a share.
        configured: the number of seeds that `--add-seeds` adds to.
        command: the study's, to which `--add-seeds` is appended.
        price: of looking at the results more than once, as in `decide`.
    """
    tested = [arm for arm in compared_arms(arms) if not arm.is_baseline and _seeds(arm, primary)]
    tested = list({digests_of(arm): arm for arm in tested}.values())  # of the same runs one is enough
    if not tested:
        return None
    n = Counter(_seeds(arm, primary) for arm in tested).most_common(1)[0][0]
    alpha = ALPHA / price / len(tested)  # Holm rejects at least what Bonferroni does: what is found at this level is found
    classes = [found for name in CLASSES if (found := _class_power(name, tested, primary, alpha)) is not None]
    main = next((one for one in classes if one.name == "healthy"), max(classes, key=lambda one: one.arms, default=None))
    needed: int | None = LEAST_SEEDS if n < LEAST_SEEDS else None
    needed_range = None
    if n < LEAST_SEEDS:
        main, classes = None, []
    elif main is not None:
        needed, needed_range = _needed(main, n, margin=margin, alpha=alpha) or (None, None)
    return Power(
        n=n,
        asked=max(arm.outcomes.asked for arm in tested if arm.outcomes),
        family=len(tested),
        alpha=ALPHA,
        power=POWER,
        margin=margin,
        spread=main.spread if main else None,
        arms=main.arms if main else 0,
        detectable=main.detectable if main else None,
        needed=needed,
        command=_command(command, n=n, needed=needed, configured=configured, is_open=_is_open(tested, primary)),
        spread_of=main.name if main else None,
        needed_range=needed_range,
        classes=tuple(classes),
    )


def _class_power(name: str, tested: Sequence[ArmResults], primary: str, alpha: float) -> ClassPower | None:
    """Return what could have been seen of a class's arms; None where none of them has a spread."""
    found = []
    for arm in tested:
        detail = _detail(arm, primary)
        if arm_class(arm) == name and detail is not None and detail.spread is not None and detail.freedom is not None:
            found.append((detail.spread, len(detail.seeds), detail.freedom))
    if not found:
        return None
    spread = _quadratic_mean([spread for spread, _, _ in found])
    detectable = typical_detectable(found, alpha=alpha, power=POWER)
    ends = _spread_interval(spread, arms=len(found), seeds=mean([seeds for _, seeds, _ in found]))
    return ClassPower(
        name=name,
        arms=len(found),
        spread=spread,
        freedom=mean([freedom for _, _, freedom in found]),
        detectable=detectable,
        detectable_range=(detectable * ends[0] / spread, detectable * ends[1] / spread) if spread else None,
    )


def _spread_interval(spread: float, *, arms: int, seeds: float) -> tuple[float, float]:
    """Return the 95 % interval of a spread that `arms` differences over so many seeds tell of.

    All of k arms' differences are from one baseline, which correlates them by one half and their variances by a quarter:
    together they are worth 4 k / (k + 3) arms, four at most.
    """
    return spread_interval(spread, (seeds - 1) * 4 * arms / (arms + 3))


def typical_detectable(spreads: Sequence[tuple[float, int, float]], *, alpha: float, power: float) -> float:
    """Return the quadratic mean of what each arm's spread, seeds and degrees of freedom make detectable.

    A mean of squares, since it is squares of spreads that are estimated without bias: the median of three seeds' spreads
    would promise a fifth too much.
    """
    found = [smallest_detectable(spread, n, freedom=freedom, alpha=alpha, power=power) for spread, n, freedom in spreads]
    return _quadratic_mean([one for one in found if one is not None])


def _quadratic_mean(values: Sequence[float]) -> float:
    return math.sqrt(mean([value**2 for value in values]))


def _needed(one: ClassPower, n: int, *, margin: float, alpha: float) -> tuple[int, tuple[int, int]] | None:
    """Return the seeds that a class needs for the margin, and their range; None where that says too little.

    The range is of the spread's 95 % interval.
    """
    others = one.arms - 1
    moderated = one.freedom > n - 1 and others > 0 and one.name != "mixed"

    def freedom(seeds: int) -> float:
        return seeds - 1 + (learned_freedom(others * (seeds - 1)) if moderated else 0)

    def seeds(spread: float) -> int | None:
        return seeds_needed(spread, margin, freedom=freedom, alpha=alpha, power=POWER)

    ends = _spread_interval(one.spread, arms=one.arms, seeds=n)
    fewest, point, most = seeds(ends[0]), seeds(one.spread), seeds(ends[1])
    if fewest is None or point is None or most is None or (most > n and most > WIDEST_OF_SEEDS * fewest):
        return None
    return point, (fewest, most)


def _is_open(tested: Sequence[ArmResults], primary: str) -> bool:
    """Return whether some arm of at least three seeds is undecided."""
    found = [difference for arm in tested if (difference := arm.difference(primary)) is not None]
    return any(one.decision == UNDECIDED and one.n >= LEAST_SEEDS and one.low is not None for one in found)


def _command(command: str, *, n: int, needed: int | None, configured: int, is_open: bool) -> str | None:
    """Return the command that brings n seeds to those needed, or to twice as many where it is not known how many are."""
    if needed is None:
        needed = 2 * n if is_open else n
    if needed <= n:
        return None
    more = max(0, needed - configured)
    return f"{command} --add-seeds {more}" if more else command


def _detail(arm: ArmResults, primary: str) -> DifferenceDetail | None:
    difference = arm.difference(primary)
    return difference.detail if difference else None


def _seeds(arm: ArmResults, primary: str) -> int:
    detail = _detail(arm, primary)
    return len(detail.seeds) if detail else 0
