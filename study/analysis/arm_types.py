"""Names an arm's collapse type from its runs', with what its seeds have in common."""

from collections import Counter
from collections.abc import Mapping, Sequence

from study.analysis.wording import agree, count_of
from study.results.runs import CollapseType, DecidingMeasure, RunResults
from study.results.schema import ArmCollapseType
from study.spec.about import COLLAPSES
from vicreg.evaluation.collapse_diagnosis import HEALTHY

UNTRAINED = ArmCollapseType(name="untrained", reason="Initial weights: where training starts from.")


def arm_collapse_type(runs: Sequence[RunResults]) -> ArmCollapseType:
    """Return an arm's collapse type, and the counts of all.

    Where half of the seeds or more collapsed, in whatever way, it is the commonest collapse; else the commonest of the rest.
    The reason speaks for the arm: it counts the seeds, and gives the range of the measure that decided at those of this
    type. So does `borderline`.
    """
    named = {run.seed: run.collapse_type or CollapseType(name=run.status, reason=run.reason or "") for run in runs}
    counts = Counter(one.name for one in named.values())
    collapsed = 2 * sum(counts[name] for name in COLLAPSES) >= len(named)
    name = max((one for one in counts if (one in COLLAPSES) == collapsed), key=counts.__getitem__)  # of equal ones the first
    return ArmCollapseType(
        name=name,
        reason=_reason(named, name, counts),
        borderline=_borderline(named),
        counts=dict(sorted(counts.items())),
    )


def _reason(named: Mapping[int, CollapseType], name: str, counts: Mapping[str, int]) -> str:
    """Return how many seeds have which type where they differ, and what those of type `name` have in common."""
    of_type = {seed: one for seed, one in named.items() if one.name == name}
    common = _common(of_type, of=len(named))
    if len(counts) == 1:
        return common
    ordered = sorted(counts.items(), key=lambda pair: (pair[0] != name, pair[0]))
    said = f"Seeds differ: {', '.join(f'{count} {one}' for one, count in ordered)}."
    return f"{said} {common}" if common else said


def _common(of_type: Mapping[int, CollapseType], *, of: int) -> str:
    """Return what the seeds of one type have in common: the measure that decided, from the least to the largest."""
    reasons = list(dict.fromkeys(one.reason for one in of_type.values()))
    if of == 1 or reasons == [""]:
        return reasons[0]
    start = f"At {len(of_type)} of {count_of(of, 'seed')}"
    measures = [one.deciding for one in of_type.values() if one.deciding is not None]
    same = {(one.measure, one.side, one.owner) for one in measures}
    if len(measures) == len(of_type) and len(same) == 1:
        return _of_measure(start, measures, is_healthy=next(iter(of_type.values())).name == HEALTHY)
    if len(measures) == len(of_type) and next(iter(of_type.values())).name == HEALTHY:
        return f"{start} no collapse is named."
    if len(reasons) == 1:
        return f"{start}: {reasons[0]}"
    (seed, first), *_ = [(seed, one.reason) for seed, one in of_type.items() if one.reason]
    return f"{start}, for different numbers. Seed {seed}: {first}"


def _of_measure(start: str, measures: Sequence[DecidingMeasure], *, is_healthy: bool) -> str:
    """Return the range of one measure, and of its threshold, which differs between seeds where it is a network's."""
    one = measures[0]
    value = _range([measure.value for measure in measures])
    threshold = f"{one.owner}{_range([measure.threshold for measure in measures])}"
    if not is_healthy:
        return f"{start}: {one.measure} {value}, {one.side} {threshold}."
    beyond = [m.value < m.threshold if m.side == "below" else m.value > m.threshold for m in measures]
    if not any(beyond):
        return f"{start} no measure is beyond its threshold. The closest is {one.measure}, {value} (threshold {threshold})."
    if all(beyond):
        return (
            f"{start}: {one.measure} {value}, {one.side} {threshold}. No collapse is named, because the k-NN accuracy is "
            "above the untrained network's."
        )
    return f"{start} no collapse is named."


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def _borderline(named: Mapping[int, CollapseType]) -> str | None:
    """Return how many seeds are borderline, with the sentence of the first; None where none is."""
    found = {seed: one.borderline for seed, one in named.items() if one.borderline}
    if not found:
        return None
    seed, first = next(iter(found.items()))
    if len(named) == 1:
        return first
    are = agree(len(found), "is", "are")
    return f"{len(found)} of {count_of(len(named), 'seed')} {are} borderline. Seed {seed}: {first}"
