"""The smallest difference a study would find, and the seeds it needs."""

from collections import Counter
from collections.abc import Sequence

from study.analysis.decisions import compared_arms, digests_of
from study.analysis.moments import LEAST_SEEDS, pooled_spread
from study.analysis.power import seeds_needed, smallest_detectable
from study.results.findings import Power
from study.results.schema import ArmResults

ALPHA, POWER = 0.05, 0.8


def describe_power(
    arms: Sequence[ArmResults], *, primary: str, margin: float, configured: int, command: str
) -> Power | None:
    """Return what a study could have seen, from the spread of its healthy arms' differences.

    That is the smallest difference it would have found four times in five, and the seeds it takes for `margin`. Below three
    seeds the spread says nothing, and three are what it takes first. None where no arm is compared with the baseline.

    Args:
        arms: with their summaries.
        primary: the probe whose accuracy is compared.
        margin: the smallest difference that would matter, a share.
        configured: the number of seeds that `--add-seeds` adds to.
        command: the study's, to which `--add-seeds` is appended.
    """
    tested = [arm for arm in compared_arms(arms) if not arm.is_baseline and _differences(arm, primary)]
    tested = list({digests_of(arm): arm for arm in tested}.values())  # of the same runs one is enough
    if not tested:
        return None
    n = Counter(len(_differences(arm, primary)) for arm in tested).most_common(1)[0][0]
    healthy = [arm for arm in tested if arm.collapse_type.name == "healthy"] or tested
    healthy = [arm for arm in healthy if len(_differences(arm, primary)) >= LEAST_SEEDS]
    spread = pooled_spread([_differences(arm, primary) for arm in healthy])
    alpha = ALPHA / len(tested)  # Holm rejects at least what Bonferroni does: what is found at this level is found
    detectable: float | None = None
    needed: int | None = LEAST_SEEDS
    if spread is None or n < LEAST_SEEDS:
        spread, healthy = None, []
    else:
        detectable = smallest_detectable(spread, n, alpha=alpha, power=POWER)
        needed = seeds_needed(spread, margin, alpha=alpha, power=POWER) if spread > 0 else n
    return Power(
        n=n,
        asked=max(arm.outcomes.asked for arm in tested if arm.outcomes),
        family=len(tested),
        alpha=ALPHA,
        power=POWER,
        margin=margin,
        spread=spread,
        arms=len(healthy),
        detectable=detectable,
        needed=needed,
        command=_command(command, n=n, needed=needed, configured=configured),
    )


def _command(command: str, *, n: int, needed: int | None, configured: int) -> str | None:
    """Return the command that brings n seeds to those needed; None where that is not needed or not possible."""
    if needed is None or needed <= n:
        return None
    more = max(0, needed - configured)
    return f"{command} --add-seeds {more}" if more else command


def _differences(arm: ArmResults, primary: str) -> tuple[float, ...]:
    column = arm.summary.get(primary)
    difference = column.difference if column else None
    return difference.detail.values if difference and difference.detail else ()
