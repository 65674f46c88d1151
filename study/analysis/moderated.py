"""Paired differences whose standard errors arms of one class share."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import optimize

from study.analysis.intervals import CONFIDENCE
from study.analysis.moments import LEAST_SEEDS, mean, paired_differences, vary
from study.analysis.student import t_quantile, t_share
from study.results.comparisons import Interval
from vicreg.errors import InputError

# d0: how alike the arms of one class spread. Runs of digits fit 5 to 6.5 (healthy) and 3.6 to 10 (collapsed).
PRIOR_FREEDOM = 4.0
LEAST_OTHERS = 2  # arms of the same class beside the one that is compared; with fewer there is no class to learn from

ArmClass = Literal["healthy", "collapsed", "mixed"]
BySeed = Mapping[int, float]  # seed -> accuracy


@dataclass(frozen=True, kw_only=True)
class ModeratedDifference(Interval):
    """A mean of n paired differences with a moderated standard error.

    `sd` is the moderated standard deviation of one difference, `df` its degrees of freedom. `moderated` says whether other
    arms had a part in it; where not, this is the paired t interval.
    """

    sd: float | None
    df: float | None
    moderated: bool


@dataclass(frozen=True, kw_only=True)
class _Spreads:
    """What the arms of a study spread: variances over seeds, with their degrees of freedom.

    `own` are about each arm's mean. `healthy` are those of healthy arms after the effect that a seed has on all of them.
    """

    freedom: Mapping[str, int]
    own: Mapping[str, float]
    healthy: Mapping[str, float]


def moderated_differences(
    accuracies: Mapping[str, BySeed],
    classes: Mapping[str, ArmClass],
    *,
    baseline: str,
    prior_freedom: float = PRIOR_FREEDOM,
    confidence: float = CONFIDENCE,
) -> dict[str, ModeratedDifference]:
    """Return each arm's mean difference from the baseline, paired by seed, with a moderated interval and p-value.

    Three seeds tell little of an arm's spread, but arms of one class spread alike. So the variance of a difference is a
    weighted mean of the arm's own and of what its class has (empirical Bayes: Smyth, Statistical Applications in Genetics
    and Molecular Biology 3, 2004), and never below its own:

        m^2 = max(s^2, (g S^2 + (n - 1) s^2) / (g + n - 1)),   t = mean / (m / sqrt(n)) with g + n - 1 degrees of freedom

    s^2 is the variance of the arm's n paired differences. S^2 = tau^2 + max(tau_h^2, v_0) adds the scale tau^2 of the arm's
    class and that of healthy arms, or the baseline's own variance v_0 where it is larger. The arm itself is left out.
    g = d0 f / (d0 + f), f the degrees of freedom of the class's arms without the baseline. `docs/statistics.md` derives it.

    g is 0, which gives the paired t interval, where seeds of the arm ended differently, where the baseline is not healthy,
    and where the class has fewer than two other arms. Nothing is concluded below three shared seeds, nor where all
    differences are equal and no class says how much they may vary.

    Args:
        accuracies: arm -> seed -> accuracy. Arms may have different seeds.
        classes: arm -> `healthy`, `collapsed`, or `mixed` where its seeds ended differently.
        baseline: the arm that all others are compared with.
        prior_freedom: d0, the degrees of freedom that a class's scale is worth at most.
        confidence: of the intervals, two-sided.

    Raises:
        InputError: for a baseline without accuracies, or a prior_freedom that is not above 0.
    """
    if not accuracies.get(baseline):
        raise InputError(f"the baseline {baseline!r} must have accuracies, but has none; finish its runs first.")
    if not prior_freedom > 0:
        raise InputError(f"prior_freedom must be above 0, but got {prior_freedom}; it is a number of degrees of freedom.")
    known = {arm: values for arm, values in accuracies.items() if values}
    spreads = _spreads(known, classes)
    found = {}
    for arm, values in known.items():
        shared = sorted(values.keys() & known[baseline].keys())
        if arm == baseline or not shared:
            continue
        own, reference = [values[seed] for seed in shared], [known[baseline][seed] for seed in shared]
        differences = paired_differences(own, reference)
        weight, expected = 0.0, 0.0
        if len(shared) >= LEAST_SEEDS:
            weight, expected = _class_variance(arm, classes, spreads, baseline=baseline, prior_freedom=prior_freedom)
        found[arm] = _difference(
            differences, weight=weight, expected=expected, varies=vary(differences, own), confidence=confidence
        )
    return found


def learned_freedom(freedom: float, *, prior_freedom: float = PRIOR_FREEDOM) -> float:
    """Return g = d0 f / (d0 + f), what a scale learned from f degrees of freedom is worth, d0 at most."""
    return prior_freedom * freedom / (prior_freedom + freedom)


def class_scale(variances: Sequence[float], freedoms: Sequence[float], *, prior_freedom: float = PRIOR_FREEDOM) -> float:
    """Return the scale s0^2 of variances (m,) that scatter as s0^2 F(nu, d0), by maximum likelihood.

    It solves sum nu v / m = sum nu with m = (d0 s0^2 + nu v) / (d0 + nu): on average a variance is what its mixture says.
    0 where all variances are 0.
    """
    largest = max(variances, default=0.0)
    if largest == 0:
        return 0.0
    total, above = math.fsum(freedoms), prior_freedom
    sums = [nu * v for v, nu in zip(variances, freedoms, strict=True)]

    def excess(log_scale: float) -> float:  # plain numbers: for a dozen of them an array takes ten times as long
        scale = above * math.exp(log_scale)
        return sum(s * (above + nu) / (scale + s) for s, nu in zip(sums, freedoms, strict=True)) - total

    top = math.log(largest) + 1e-9  # where the scale is at least every variance, none exceeds what its mixture says
    bottom = top - 60  # e^-60: no two variances of one class are that far apart
    return math.exp(float(optimize.brentq(excess, bottom, top))) if excess(bottom) > 0 else 0.0


def _spreads(accuracies: Mapping[str, BySeed], classes: Mapping[str, ArmClass]) -> _Spreads:
    freedom = {arm: len(values) - 1 for arm, values in accuracies.items()}
    centred = {}
    for arm, values in accuracies.items():
        centre = mean(list(values.values()))
        centred[arm] = {seed: value - centre for seed, value in values.items()}
    own = {arm: _sum_of_squares(values.values()) / max(freedom[arm], 1) for arm, values in centred.items()}
    healthy = [arm for arm in accuracies if classes[arm] == "healthy"]
    common = {
        seed: mean([centred[arm][seed] for arm in healthy if seed in centred[arm]])
        for seed in {seed for arm in healthy for seed in centred[arm]}
    }
    count = {seed: sum(seed in centred[arm] for arm in healthy) for seed in common}
    without = {arm: _without_common(centred[arm], common, count) for arm in healthy}
    return _Spreads(freedom=freedom, own=own, healthy=without)


def _without_common(centred: BySeed, common: BySeed, count: Mapping[int, int]) -> float:
    """Return the variance of an arm's centred accuracies after the effect that a seed has on all healthy arms.

    Of a seed that k arms have, the effect takes 1 / k of the variance with it. A seed that this arm alone has tells nothing.
    """
    shared = [seed for seed in centred if count[seed] > 1]
    if not shared:
        return _sum_of_squares(centred.values()) / max(len(centred) - 1, 1)
    squares = (count[seed] / (count[seed] - 1) * (centred[seed] - common[seed]) ** 2 for seed in shared)
    return math.fsum(squares) / (len(shared) * max(len(centred) - 1, 1) / len(centred))


def _class_variance(
    arm: str, classes: Mapping[str, ArmClass], spreads: _Spreads, *, baseline: str, prior_freedom: float
) -> tuple[float, float]:
    """Return g and S^2: what the class says of an arm's differences, and how many degrees of freedom that is worth."""
    others = [other for other in spreads.own if other != arm and classes[other] == classes[arm]]
    freedom = sum(spreads.freedom[other] for other in others if other != baseline)
    if classes[arm] == "mixed" or classes[baseline] != "healthy" or len(others) < LEAST_OTHERS or not freedom:
        return 0.0, 0.0
    rest = [other for other in spreads.healthy if other != arm]
    of_healthy = spreads.healthy if classes[arm] == "healthy" else spreads.own

    def scale(of: Mapping[str, float], arms: Sequence[str]) -> float:
        freedoms = [spreads.freedom[one] for one in arms]
        return class_scale([of[one] for one in arms], freedoms, prior_freedom=prior_freedom)

    healthy = scale(of_healthy, rest)
    own = healthy if classes[arm] == "healthy" else scale(spreads.own, others)
    return learned_freedom(freedom, prior_freedom=prior_freedom), own + max(healthy, spreads.healthy[baseline])


def _difference(
    differences: Sequence[float], *, weight: float, expected: float, varies: bool, confidence: float
) -> ModeratedDifference:
    n, centre = len(differences), mean(differences)
    freedom = weight + n - 1
    nothing = ModeratedDifference(n=n, mean=centre, low=None, high=None, p=None, sd=None, df=None, moderated=False)
    if n < LEAST_SEEDS:
        return nothing
    own = _sum_of_squares(value - centre for value in differences) / (n - 1) if varies else 0.0
    variance = max(own, (weight * expected + (n - 1) * own) / freedom) if weight else own
    if not variance > 0:
        return nothing
    spread = math.sqrt(variance)
    error = spread / math.sqrt(n)
    half = t_quantile((1 + confidence) / 2, freedom) * error
    return ModeratedDifference(
        n=n, mean=centre, low=centre - half, high=centre + half, p=2 * t_share(-abs(centre) / error, freedom),
        sd=spread, df=freedom, moderated=weight > 0,
    )  # fmt: skip


def _sum_of_squares(values: Iterable[float]) -> float:
    return math.fsum(value * value for value in values)
