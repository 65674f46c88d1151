"""Finds which arms and runs of two results belong together."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from study.results.json_values import to_values
from study.results.runs import RunResults
from study.results.schema import ArmResults, StudyResults

_MEASURED = ("status", "history", "validation", "test", "collapse", "verdict")  # keys of a run that are its result


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An arm on both sides, or on one (the other is None), and by what it was found on the other side."""

    a: ArmResults | None
    b: ArmResults | None
    by: str | None = None

    @property
    def either(self) -> ArmResults:
        """B's arm, or A's where B has none."""
        arm = self.b or self.a
        assert arm is not None
        return arm

    def runs(self) -> tuple[dict[int, RunResults], dict[int, RunResults]]:
        """Return seed -> run, on each side."""
        a, b = ({run.seed: run for run in arm.runs} if arm else {} for arm in (self.a, self.b))
        return a, b


def align(a: StudyResults, b: StudyResults) -> list[Pair]:
    """Return the arms of both, in B's order and then those A alone has.

    First come arms of one name with equal settings (the recipe and the arm's own), then equal settings by another name.
    Then come one name with other settings, and equal differences from the recipe by another name. A control, which all arms
    of an architecture share, is found by its name alone.
    """
    keys: list[tuple[str, Callable[[StudyResults, ArmResults], Any]]] = [
        ("name and settings", lambda side, arm: [arm.name, effective_settings(side, arm)]),
        ("settings", lambda side, arm: None if arm.is_control else effective_settings(side, arm)),
        ("name", lambda side, arm: arm.name),
        ("differences from the recipe", lambda side, arm: None if arm.is_control else dict(arm.settings)),
    ]
    left = dict(enumerate(a.arms))
    found: dict[int, Pair] = {}
    for by, key in keys:
        waiting = defaultdict(list)
        for place, arm in left.items():
            waiting[canonical([arm.is_control, key(a, arm)])].append(place)
        for index, arm in enumerate(b.arms):
            places = waiting[canonical([arm.is_control, key(b, arm)])]
            if index not in found and places and key(b, arm) is not None:
                found[index] = Pair(a=left.pop(places.pop(0)), b=arm, by=by)
    both = [found.get(index) or Pair(a=None, b=arm) for index, arm in enumerate(b.arms)]
    return [*both, *(Pair(a=arm, b=None) for arm in left.values())]


def effective_settings(side: StudyResults, arm: ArmResults) -> dict[str, Any]:
    """Return the recipe with the arm's own settings over it."""
    return {**side.recipe, **arm.settings}


def is_same_run(a: RunResults, b: RunResults) -> bool:
    """Return whether two runs are one."""
    return a.digest == b.digest


def has_equal_results(a: RunResults, b: RunResults) -> bool:
    """Return whether every number that both of two runs record is the same, bit for bit.

    That is the log, accuracies, collapse metrics and collapse type. What one side alone records, because the other was made
    before it was, makes no difference.
    """
    before, after = to_values(a), to_values(b)
    return all(_equal_where_both(before[key], after[key]) for key in _MEASURED)


def canonical(value: Any) -> str:
    """Return JSON in which 1 and 1.0 are one number and nan equals itself."""
    return json.dumps(_as_float(value), sort_keys=True)


def _equal_where_both(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        shared = a.keys() & b.keys()
        return bool(shared or a == b) and all(_equal_where_both(a[key], b[key]) for key in shared)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_equal_where_both(one, other) for one, other in zip(a, b))
    return canonical(a) == canonical(b)


def _as_float(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_float(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_float(one) for one in value]
    # A whole number beyond every float stays as it is.
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**300 else value
