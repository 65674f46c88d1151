"""Describes sets of arms by their settings: what they share, and where they lie."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from study.analysis.wording import listed
from study.results.schema import ArmResults
from study.spec.names import short_name

LEAST_MEMBERS = 3  # two arms are named
LEAST_INSIDE = 2  # settings of a region: one setting is named
LEAST_SEPARATION = 0.6  # of a rule: the share of bad settings outside it, less the share of good ones outside it
LEAST_OF_SAFE = 0.5  # the same of a rule with no bad setting inside: it leaves out more good ones, and is safe to follow

Settings = Mapping[str, Any]
Test = Callable[[Settings], bool]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A region of a grid in words, with (bad, all) settings inside it and outside."""

    text: str
    inside: tuple[int, int]
    outside: tuple[int, int]


def shared_settings(members: Sequence[ArmResults], others: Sequence[ArmResults]) -> str | None:
    """Return what just these arms have in common: `λ = μ from 1 to 50, ν 1`.

    Numbers that are equal in every member are joined by `=`, and each is given with its range. None for fewer than three
    members, where arms do not name the same settings, and where one of `others` fits the words as well.
    """
    keys = set(members[0].settings) if members else set()
    if len(members) < LEAST_MEMBERS or any(set(arm.settings) != keys for arm in (*members, *others)):
        return None
    values = {key: [arm.settings[key] for arm in members] for key in members[0].settings}
    parts: list[str] = []
    tests: list[Test] = []
    for same in _equal_keys(values):
        text, test = _described(same, values[same[0]])
        if not test:
            return None
        if any(not test(arm.settings) for arm in others) or not _is_constant(values[same[0]]):
            parts.append(text)
            tests.append(test)
    if not parts or any(all(test(arm.settings) for test in tests) for arm in others):
        return None
    return listed(parts)


def _equal_keys(values: Mapping[str, Sequence[Any]]) -> list[tuple[str, ...]]:
    """Return keys grouped by equal values in every member; what is constant stands alone."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key, own in values.items():
        alone = (key,) if _is_constant(own) else ()
        groups.setdefault((*map(repr, map(_plain, own)), *alone), []).append(key)
    return [tuple(keys) for keys in groups.values()]


def _described(same: Sequence[str], own: Sequence[Any]) -> tuple[str, Test | None]:
    """Return keys of equal values in words, and the test of it; no test where values are several and no numbers."""
    name = " = ".join(map(short_name, same))
    if _is_constant(own):
        return f"{name} {_shown(own[0])}", lambda settings: bool(settings[same[0]] == own[0])
    if not all(_is_number(value) for value in own):
        return "", None
    low, high = min(own), max(own)

    def lies_within(settings: Settings) -> bool:
        return all(
            _is_number(settings[key]) and low <= settings[key] <= high and settings[key] == settings[same[0]] for key in same
        )

    return f"{name} from {_shown(low)} to {_shown(high)}", lies_within


def best_rule(arms: Sequence[ArmResults], bad: Sequence[ArmResults]) -> Rule | None:
    """Return the simplest region of a grid that keeps the bad settings out best; None where none does so well.

    Candidates are a bound on one numeric factor, one value of another, and of two factors with levels in common an order,
    equality, and a ratio of one level at most. A region without any bad setting is preferred: it is safe to follow.
    """
    names = {arm.name for arm in bad}
    candidates = _candidates([arm.settings for arm in arms])
    rules = [_rule(text, test, arms, names) for text, test in candidates]
    rules = [rule for rule in rules if rule.inside[1] >= LEAST_INSIDE and rule.outside[1]]
    safe = [rule for rule in rules if rule.inside[0] == 0 and rule.inside[1] >= LEAST_MEMBERS]
    safest = max(safe, key=_separation, default=None)
    if safest and _separation(safest) >= LEAST_OF_SAFE:
        return safest
    best = max(rules, key=_separation, default=None)
    return best if best and _separation(best) >= LEAST_SEPARATION else None


def _separation(rule: Rule) -> float:
    """Return the share of bad settings that lie outside, less that of good ones (Youden's J)."""
    (bad_inside, inside), (bad_outside, outside) = rule.inside, rule.outside
    bad, good = bad_inside + bad_outside, inside + outside - bad_inside - bad_outside
    return bad_outside / bad - (outside - bad_outside) / good if bad and good else 0.0


def _rule(text: str, test: Test, arms: Sequence[ArmResults], bad: set[str]) -> Rule:
    sides: dict[bool, list[bool]] = {True: [], False: []}
    for arm in arms:
        sides[test(arm.settings)].append(arm.name in bad)
    counted = {side: (sum(found), len(found)) for side, found in sides.items()}
    return Rule(text=text, inside=counted[True], outside=counted[False])


def _candidates(settings: Sequence[Settings]) -> list[tuple[str, Test]]:
    """Return every region that words can name, the simplest first."""
    keys = [key for key in settings[0] if all(key in one for one in settings)] if settings else []
    levels = {key: list(dict.fromkeys(_plain(one[key]) for one in settings)) for key in keys}
    found: list[tuple[str, Test]] = []
    for key, own in levels.items():
        name = short_name(key)
        if all(_is_number(value) for value in own):
            for value in sorted(own):
                found.append((f"{name} ≥ {_shown(value)}", partial(_at_least, key, value)))
                found.append((f"{name} ≤ {_shown(value)}", partial(_at_most, key, value)))
        else:
            found += [(f"{name} is {value}", partial(_is, key, value)) for value in own]
    for first, second in itertools.combinations(levels, 2):
        shared = sorted(value for value in levels[first] if _is_number(value) and value in levels[second])
        if len(shared) > 1:
            names = f"{short_name(first)} and {short_name(second)}"
            found.append((f"{short_name(first)} = {short_name(second)}", partial(_within, first, second, 1.0)))
            if shared[0] > 0:
                step = min(high / low for low, high in itertools.pairwise(shared))
                found.append((f"{names} differ at most {_shown(step)}-fold", partial(_within, first, second, step)))
    numbers = [key for key, own in levels.items() if all(map(_is_number, own))]
    for first, second in itertools.permutations(numbers, 2):
        if len([value for value in levels[first] if _is_number(value) and value in levels[second]]) > 1:
            found.append((f"{short_name(first)} ≥ {short_name(second)}", partial(_in_order, first, second)))
    return found


def _at_least(key: str, value: float, one: Settings) -> bool:
    return bool(one[key] >= value)


def _at_most(key: str, value: float, one: Settings) -> bool:
    return bool(one[key] <= value)


def _is(key: str, value: Any, one: Settings) -> bool:
    return bool(_plain(one[key]) == value)


def _in_order(first: str, second: str, one: Settings) -> bool:
    return bool(one[first] >= one[second])


def _within(first: str, second: str, factor: float, one: Settings) -> bool:
    if not (_is_number(one[first]) and _is_number(one[second])):
        return False
    low, high = sorted((one[first], one[second]))
    return bool(high <= factor * low * (1 + 1e-9)) if factor > 1 else bool(low == high)


def with_a_zero(arms: Sequence[ArmResults]) -> list[ArmResults]:
    """Return the arms that set a number to 0, which takes a term away, where others give it another value."""
    varied = [key for arm in arms for key in arm.settings if len({_plain(one.settings.get(key)) for one in arms}) > 1]
    return [arm for arm in arms if any(_is_number(arm.settings.get(key)) and arm.settings[key] == 0 for key in varied)]


def names_of_zeros(arms: Sequence[ArmResults]) -> str:
    """Return the settings that these arms set to 0: `λ, μ or ν`."""
    keys = dict.fromkeys(
        short_name(key) for arm in arms for key, value in arm.settings.items() if _is_number(value) and value == 0
    )
    return listed(list(keys), word="or")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_constant(values: Sequence[Any]) -> bool:
    return all(value == values[0] for value in values)


def _plain(value: Any) -> Any:
    """Return a level as it is compared and named: 25 and 25.0 are one."""
    return float(value) if _is_number(value) else str(value)


def _shown(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value)
