"""Two results of studies, arm by arm and seed by seed: what belongs together, what changed, and what that did."""

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from study.analysis.statistics import Equivalence, Interval, equivalence, holm, mean, paired_difference, standard_deviation
from study.runs.code_digest import changed_definitions

Results = Mapping[str, Any]
SPACES = ("representations", "embeddings")
ALPHA = 0.05
# What can be said of an arm.
SAME_RUNS, IDENTICAL, EVEN = "the same runs", "identical results", "equal accuracy"
DIFFERENT, EQUIVALENT, UNDECIDED = "different", "no difference that matters", "undecided"
FEW, NOTHING = "descriptive only", "nothing to compare"
_MEASURED = ("status", "history", "validation", "test", "collapse", "verdict")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An arm on both sides, or on one (the other is None), and by what it was found on the other side."""

    a: Mapping[str, Any] | None
    b: Mapping[str, Any] | None
    by: str | None = None

    @property
    def either(self) -> Mapping[str, Any]:
        arm = self.b or self.a
        assert arm is not None
        return arm

    def runs(self) -> tuple[dict[int, Any], dict[int, Any]]:
        """Seed -> run, on each side."""
        a, b = ({run["seed"]: run for run in arm["runs"]} if arm else {} for arm in (self.a, self.b))
        return a, b


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


# ---- what belongs together


def align(a: Results, b: Results) -> list[Pair]:
    """The arms of both, in B's order and then those A alone has.

    First come arms of one name with equal settings (the recipe and the arm's own), then equal settings by another name,
    then one name with other settings, then equal differences from the recipe by another name. A control, which all arms
    of an architecture share, is found by its name alone.
    """
    keys: list[tuple[str, Callable[[Results, Mapping[str, Any]], Any]]] = [
        ("name and settings", lambda side, arm: [arm["name"], _effective(side, arm)]),
        ("settings", lambda side, arm: None if arm["is_control"] else _effective(side, arm)),
        ("name", lambda side, arm: arm["name"]),
        ("differences from the recipe", lambda side, arm: None if arm["is_control"] else dict(arm["settings"])),
    ]
    left = dict(enumerate(a["arms"]))
    found: dict[int, Pair] = {}
    for by, key in keys:
        waiting = defaultdict(list)
        for place, arm in left.items():
            waiting[_plain([arm["is_control"], key(a, arm)])].append(place)
        for index, arm in enumerate(b["arms"]):
            places = waiting[_plain([arm["is_control"], key(b, arm)])]
            if index not in found and places and key(b, arm) is not None:
                found[index] = Pair(a=left.pop(places.pop(0)), b=arm, by=by)
    both = [found.get(index) or Pair(a=None, b=arm) for index, arm in enumerate(b["arms"])]
    return [*both, *(Pair(a=arm, b=None) for arm in left.values())]


def is_same_run(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return a["digest"] == b["digest"]


def has_equal_results(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether every number that both of two runs record is the same, bit for bit: log, accuracies, collapse metrics and
    verdict. What one side alone records, because the other was made before it was, makes no difference."""
    return all(_equal_where_both(a[key], b[key]) for key in _MEASURED)


def _equal_where_both(a: Any, b: Any) -> bool:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return bool(a.keys() & b.keys() or a == b) and all(_equal_where_both(a[key], b[key]) for key in a.keys() & b.keys())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_equal_where_both(one, other) for one, other in zip(a, b))
    return _plain(a) == _plain(b)


# ---- what changed


def changes(a: Results, b: Results) -> dict[str, list[tuple[str, str, str]]]:
    """Kind of change -> (what, in A, in B), only of what differs; `unrecorded` lists what results do not say."""
    identities = [side.get("identity") or {} for side in (a, b)]
    codes = [one.get("definitions") for one in identities]
    environments = [{**side["environment"], **(one.get("machinery") or {})} for side, one in zip((a, b), identities)]
    found = {
        "code": _changed_code(*codes),
        "data": _differing(*({key: side["data"].get(key) for key in ("dataset", "digest", "train", "validation", "test")}
                             for side in (a, b))),
        "parameters": _differing(a["recipe"], b["recipe"]),
        "environment": _differing(*environments),
        "commits": _differing(*({"commits": ", ".join(side.get("commits") or [])} for side in (a, b))),
        "unrecorded": [(f"the code of {name}", "", "") for name, code in zip("AB", codes) if code is None],
    }  # fmt: skip
    return {kind: rows for kind, rows in found.items() if rows}


def _changed_code(a: Mapping[str, str] | None, b: Mapping[str, str] | None) -> list[tuple[str, str, str]]:
    """The definitions in which the code that trains differs; none where a side does not record its own."""
    if a is None or b is None:
        return []
    return [(name, _shown(a, name), _shown(b, name)) for name in changed_definitions(a, b)]


def settings_changes(pair: Pair, a: Results, b: Results) -> list[tuple[str, str, str]]:
    """What the runs of an arm differ in between the two sides, of the settings that either side's arm names."""
    if not (pair.a and pair.b):
        return []
    named = {*pair.a["settings"], *pair.b["settings"]}
    before, after = _effective(a, pair.a), _effective(b, pair.b)
    return _differing(*({key: side[key] for key in named if key in side} for side in (before, after)))


# ---- what it did


def effects(pairs: Sequence[Pair], a: Results, b: Results, *, probe: str, margin: float) -> list[Effect]:
    """Each pair's difference in test accuracy; the p-values are adjusted by Holm, over all arms that have one."""
    same_images = a["data"].get("digest") == b["data"].get("digest")
    images = None if same_images else (a["data"].get("test"), b["data"].get("test"))
    found = [_effect(pair, probe=probe, margin=margin, images=images) for pair in pairs]
    adjusted = holm([effect.interval.p if effect.interval else None for effect in found])
    return [
        dataclasses.replace(effect, p_holm=p, conclusion=_conclude(effect, p))
        for effect, p in zip(found, adjusted, strict=True)
    ]


def overall(told: Sequence[tuple[Pair, Effect]], *, margin: float) -> tuple[int, Interval, Equivalence] | None:
    """(number of arms, difference, equivalence) of the mean accuracy over the arms that were tested and are healthy on both
    sides, paired by seed. Arms of one seed are not independent, so each seed counts once. None for fewer than two arms, or
    fewer than three seeds that all of them have.
    """
    healthy = [
        dict(zip(effect.seeds, zip(effect.a, effect.b)))
        for pair, effect in told
        if pair.a and pair.b and effect.paired and effect.p_holm is not None
        and pair.a["verdict"]["name"] == pair.b["verdict"]["name"] == "healthy"
    ]  # fmt: skip
    seeds = sorted(set.intersection(*(set(arm) for arm in healthy))) if healthy else []
    if len(healthy) < 2 or len(seeds) < 3:
        return None
    others, values = ([mean([arm[seed][side] for arm in healthy]) for seed in seeds] for side in (0, 1))
    return len(healthy), paired_difference(values, others), equivalence(values, others, margin=margin, alpha=ALPHA)


def rank_change(pair: Pair, space: str, *, seeds: Sequence[int]) -> tuple[float, float, Interval] | None:
    """(A, B, B - A) of RankMe over the seeds both have; None where there are none."""
    a, b = pair.runs()
    values = [[run[seed]["collapse"][space]["rankme"] for seed in seeds] for run in (a, b) if set(seeds) <= run.keys()]
    if len(values) < 2 or not seeds:
        return None
    return mean(values[0]), mean(values[1]), paired_difference(values[1], values[0])


def measured(runs: Mapping[int, Any], probe: str) -> dict[int, float]:
    """Seed -> test accuracy, where there is one."""
    return {seed: run["test"][probe]["top1"] for seed, run in sorted(runs.items()) if probe in run["test"]}


def _effect(pair: Pair, *, probe: str, margin: float, images: tuple[int, int] | None) -> Effect:
    runs_a, runs_b = pair.runs()
    of_a, of_b = measured(runs_a, probe), measured(runs_b, probe)
    seeds = tuple(sorted(of_a.keys() & of_b.keys()))
    shared = [(runs_a[seed], runs_b[seed]) for seed in runs_a if seed in runs_b]
    if images is not None and of_a and of_b:
        values, others = tuple(of_b.values()), tuple(of_a.values())
        interval, close = on_different_images(values, others, images=images[::-1], margin=margin)
        return Effect(
            seeds=seeds, a=others, b=values, paired=False, interval=interval, equivalence=close,
            conclusion=UNDECIDED if interval.low is not None else FEW,
        )  # fmt: skip
    values, others = tuple(of_b[seed] for seed in seeds), tuple(of_a[seed] for seed in seeds)
    effect = Effect(seeds=seeds, a=others, b=values, paired=True, interval=None, equivalence=None, conclusion=NOTHING)
    if shared and all(is_same_run(*both) for both in shared):
        return dataclasses.replace(effect, conclusion=SAME_RUNS)
    if shared and all(is_same_run(*both) or has_equal_results(*both) for both in shared):
        return dataclasses.replace(effect, conclusion=IDENTICAL)
    if not seeds:
        return effect
    differences = [value - other for value, other in zip(values, others, strict=True)]
    if len(seeds) < 3 or max(differences) - min(differences) < 1e-9:  # no spread: fewer images differ than a test can weigh
        even = max(map(abs, differences)) < 1e-9
        return dataclasses.replace(
            effect, conclusion=EVEN if even else FEW,
            interval=Interval(n=len(seeds), mean=mean(differences), low=None, high=None, p=None),
        )  # fmt: skip
    return dataclasses.replace(
        effect, conclusion=UNDECIDED, interval=paired_difference(values, others),
        equivalence=equivalence(values, others, margin=margin, alpha=ALPHA),
    )  # fmt: skip


def on_different_images(
    values: Sequence[float], others: Sequence[float], *, images: tuple[int, int], margin: float
) -> tuple[Interval, Equivalence]:
    """mean(values) - mean(others), two accuracies measured on different test images, so without pairing.

    Welch's t interval (Biometrika 34, 1947) with the sampling error of both test sets added, which seeds do not show and
    pairing cannot remove: the variance is the sum over the two sides of s^2 / n + p (1 - p) / N, of n seeds and N images,
    and its degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946), those of a test set N - 1. Equivalence
    is by two one-sided tests on the same error. Nothing is concluded with fewer than 3 seeds on either side.

    Args:
        values, others: accuracies (n,), shares from 0 to 1, a seed each.
        images: number of test images of each.
    """
    centre, n = mean(values) - mean(others), min(len(values), len(others))
    if n < 3:
        return Interval(n=n, mean=centre, low=None, high=None, p=None), Equivalence(n=n, mean=centre, margin=margin)
    parts: list[tuple[float, int]] = []
    for side, count in zip((values, others), images, strict=True):
        share, spread = mean(side), standard_deviation(side) or 0.0
        parts += [(spread**2 / len(side), len(side) - 1), (share * (1 - share) / count, count - 1)]
    variance = math.fsum(part for part, _ in parts)
    if variance == 0:  # everything right, or everything wrong, on both sides: no error can be estimated
        return Interval(n=n, mean=centre, low=None, high=None, p=None), Equivalence(n=n, mean=centre, margin=margin)
    freedom = variance**2 / math.fsum(part**2 / free for part, free in parts)
    error = math.sqrt(variance)
    half, narrow = (float(stats.t.ppf(share, freedom)) * error for share in (1 - ALPHA / 2, 1 - ALPHA))
    p = float(2 * stats.t.sf(abs(centre) / error, freedom))
    outside = float(stats.t.sf((margin - abs(centre)) / error, freedom))
    close = Equivalence(
        n=n, mean=centre, margin=margin, low=centre - narrow, high=centre + narrow, p=outside,
        equivalent=outside <= ALPHA, largest=abs(centre) + narrow,
    )  # fmt: skip
    return Interval(n=n, mean=centre, low=centre - half, high=centre + half, p=p), close


def _conclude(effect: Effect, p_holm: float | None) -> str:
    if effect.conclusion != UNDECIDED:
        return effect.conclusion
    if p_holm is not None and p_holm <= ALPHA:
        return DIFFERENT
    return EQUIVALENT if effect.equivalence and effect.equivalence.equivalent else UNDECIDED


def _effective(side: Results, arm: Mapping[str, Any]) -> dict[str, Any]:
    return {**side["recipe"], **arm["settings"]}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(key, _shown(a, key), _shown(b, key)) for key in sorted({*a, *b}) if _plain(a.get(key)) != _plain(b.get(key))]


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> str:
    """JSON, in which 1 and 1.0 are one number and nan equals itself."""
    return json.dumps(_as_float(value), sort_keys=True)


def _as_float(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_float(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_float(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
