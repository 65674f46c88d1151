"""What collapses in a study that asks for it: methods as they are, and with a part changed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.analysis.by_decision import is_collapsed
from study.analysis.decisions import compared_arms
from study.analysis.wording import agree, capitalised, in_words, listed, name_of, noun, spelled, word_count
from study.results.methods import METHOD
from study.results.schema import ArmResults, StudyResults
from study.spec.about import COLLAPSES
from vicreg.evaluation.collapse_diagnosis import HEALTHY

TYPES = ("complete", *(name for name in COLLAPSES if name != "complete"))
MOST_NAMED, MOST_NAMED_WORDS = 4, 13  # methods in a sentence, and words of their names
MOST_TOLD = 2  # changes whose seeds differ, that have a sentence each
MOST_WORDS = 19  # of names in a sentence


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A method with a part changed, beside the same method as it is. `what` are the settings that differ.

    `same_as` names an earlier one whose runs came to the same numbers: with this part changed the two methods are one.
    """

    method: str
    what: str
    changed: ArmResults
    unchanged: ArmResults
    same_as: str = ""

    @property
    def name(self) -> str:
        return name_of(f"{self.method}, {self.what}")

    @property
    def is_conclusive(self) -> bool:
        """Whether a collapse is the change's doing, and counts: as it is, the method is healthy at every seed."""
        return set(self.unchanged.collapse_type.counts) == {HEALTHY} and not self.same_as

    @property
    def is_open(self) -> bool:
        """Whether nothing follows from it, since the method as it is is not healthy at every seed."""
        return not self.is_conclusive and not self.same_as


def ablations(results: StudyResults) -> list[Ablation]:
    """Return the arms that are another arm with more settings, each beside the one with the fewest."""
    arms = compared_arms(results.arms)
    found: list[Ablation] = []
    for arm in arms:
        if (unchanged := _unchanged(arm, arms, results)) is not None:
            method, what = _title(unchanged, results), _what(arm, unchanged)
            others = [one for one in found if one.is_conclusive and results.method_of(one.changed) != results.method_of(arm)]
            same = next((one.name for one in others if _has_same_numbers(one.changed, arm)), "")
            found.append(Ablation(method=method, what=what, changed=arm, unchanged=unchanged, same_as=same))
    return found


def _has_same_numbers(one: ArmResults, other: ArmResults) -> bool:
    """Return whether two arms' runs agree in every accuracy and every measure of collapse, to the last digit."""
    own, others = ([(run.seed, run.test, run.collapse) for run in arm.runs if run.test] for arm in (one, other))
    return bool(own) and own == others


def _unchanged(arm: ArmResults, arms: Sequence[ArmResults], results: StudyResults) -> ArmResults | None:
    """Return the arm of the same method with the fewest of this arm's settings; None where there is none with fewer."""
    own = _settings(arm)
    smaller = [
        other
        for other in arms
        if results.method_of(other) == results.method_of(arm)
        and len(_settings(other)) < len(own)
        and all(key in own and own[key] == value for key, value in _settings(other).items())
    ]
    return min(smaller, key=lambda other: len(_settings(other)), default=None)


def _settings(arm: ArmResults) -> Mapping[str, Any]:
    """Return what an arm sets, without its method and what tuning chose."""
    return {key: value for key, value in arm.settings.items() if key != METHOD and key not in arm.tuned}


def _what(arm: ArmResults, unchanged: ArmResults) -> str:
    """Return the part of an arm's label that the other's has not."""
    before = unchanged.label.split(", ")
    return ", ".join(part for part in arm.label.split(", ") if part not in before) or arm.name


def _title(arm: ArmResults, results: StudyResults) -> str:
    described = results.methods.description(arm.name) if results.methods else None
    return described.called if described else name_of(arm.label)


def answer_of_collapse(results: StudyResults) -> list[str]:
    """Return how many changes collapse their method and how, of which methods nothing follows, and at how many seeds."""
    every = ablations(results)
    if not every:
        return ["Add an arm that changes a part of another: there is none, so nothing is shown to prevent collapse."]
    clear = [one for one in every if one.is_conclusive]
    if not clear:
        different = [one for one in every if not one.same_as]
        return ["Nothing follows: no method is healthy at every seed before a part of it is changed.", _sure(different)]
    return [_collapsed(clear), _inconclusive(every), _sure(clear)]


def _collapsed(clear: Sequence[Ablation]) -> str:
    """Return how many changes to methods that are healthy collapse them, by type."""
    types = Counter(one.changed.collapse_type.name for one in clear if is_collapsed(one.changed))
    count, of = types.total(), spelled(len(clear), "change")
    if not count:
        which = agree(len(clear), "The one change does not collapse", f"None of {of} collapses")
        return f"{which} a healthy method."
    counted = listed([f"{in_words(types[name])} {name}" for name in TYPES if types[name]])
    if count == 1:
        which = agree(len(clear), "The one change", f"One of {of}")
        return f"{which} collapses a healthy method, and the collapse is {next(iter(types))}."
    how = f"all {next(iter(types))}" if len(types) == 1 else counted
    return f"{capitalised(in_words(count))} of {of} collapse a healthy method: {how}."


def _inconclusive(every: Sequence[Ablation]) -> str:
    """Return which methods are not healthy as they are, so that nothing follows from changing them."""
    methods = list(dict.fromkeys(one.method for one in every if one.is_open))
    if not methods:
        return ""
    names = listed(methods)
    if len(methods) > MOST_NAMED or word_count(names) > MOST_NAMED_WORDS:
        names = capitalised(spelled(len(methods), "method"))
    are, what = agree(len(methods), "is", "are"), agree(len(methods), "changing it", "changing them")
    return f"{names} {are} not always healthy unchanged, so {what} shows nothing."


def _sure(changes: Sequence[Ablation]) -> str:
    """Return at how many changes that collapse all seeds have the same type."""
    seeds = min(len(one.changed.runs) for one in changes)
    if seeds == 1:
        return "Each ran at one seed, so a type may be chance."
    collapsed = [one for one in changes if is_collapsed(one.changed)] or list(changes)
    same = sum(len(one.changed.collapse_type.counts) == 1 for one in collapsed)
    if same == len(collapsed):
        return f"All {in_words(seeds)} seeds agree."
    of, all_seeds = f"of the {in_words(len(collapsed))}", f"all {in_words(seeds)} seeds agree"
    return f"At {in_words(same)} {of}, {all_seeds}." if same else f"At none {of} do {all_seeds}."


def trust_in_collapse(results: StudyResults) -> list[str]:
    """Return how many seeds there were, whose seeds differ, what is near a threshold, and what accuracy says."""
    every = ablations(results)
    if not every:
        return []
    clear = [one for one in every if one.is_conclusive]
    seeds = max(len(one.changed.runs) for one in every)
    return [
        f"{capitalised(spelled(seeds, 'seed'))} {agree(seeds, 'was', 'were')} run.",
        *_same(every),
        *_disagreeing(clear),
        *_already(every),
        *_near(clear),
        *_accuracy(clear, results.primary),
    ]


def _same(every: Sequence[Ablation]) -> list[str]:
    """Return which changes came to the same numbers as others, and are counted once with them."""
    return [f"{one.name} came to the same numbers as {one.same_as}, so the two count once." for one in every if one.same_as]


def _disagreeing(clear: Sequence[Ablation]) -> list[str]:
    """Return at which changes the seeds have different types: two of them with the types, the others as a number."""
    differ = [one for one in clear if len(one.changed.collapse_type.counts) > 1]
    said = []
    for one in differ[:MOST_TOLD]:
        counts = Counter(one.changed.collapse_type.counts).most_common()
        said.append(f"At {one.name} seeds differ: {listed([f'{count} {name}' for name, count in counts])}.")
    more = len(differ) - MOST_TOLD
    return [*said, *([f"They differ at {spelled(more, 'other change')} too."] if more > 0 else [])]


def _already(every: Sequence[Ablation]) -> list[str]:
    """Return at how many seeds methods are not healthy as they are."""
    found: dict[str, str] = {}
    for one in every:
        counts = one.unchanged.collapse_type.counts
        if one.is_open and one.method not in found and (total := sum(counts.values())):
            seeds = f"{total} {noun(total, 'seed')}" if not found else f"{total}"
            found[one.method] = f"{one.method} ({total - counts.get(HEALTHY, 0)} of {seeds})"
    return [f"Not healthy unchanged: {_fitting(list(found.values()))}."] if found else []


def _near(clear: Sequence[Ablation]) -> list[str]:
    """Return at how many changes a seed is so near a threshold that its type could be another."""
    near = sum(one.changed.collapse_type.borderline is not None for one in clear)
    if not near:
        return []
    where = f"{in_words(near)} of {spelled(len(clear), 'change')}"
    return [f"At {where}, a seed lies within 10 % of a threshold between types."]


def _accuracy(clear: Sequence[Ablation], primary: str) -> list[str]:
    """Return how many changes that collapse also leave the accuracy below the untrained network's."""
    gains = [gain for one in clear if is_collapsed(one.changed) and (gain := one.changed.gain(primary)) is not None]
    below = sum(gain.mean < 0 for gain in gains)
    if not gains:
        return []
    return [
        f"Of {spelled(len(gains), 'collapse')}, {in_words(below) if below else 'none'} "
        f"{agree(max(below, 1), 'has', 'have')} an accuracy below the untrained network's on average."
    ]


def found_collapses(results: StudyResults) -> list[str]:
    """Return which changes end in which type, a sentence a type, and from which nothing follows."""
    every = ablations(results)
    clear = [one for one in every if one.is_conclusive]
    ended = dict.fromkeys([*TYPES, HEALTHY, *(one.changed.collapse_type.name for one in clear)])
    said = [
        f"{capitalised(name)}: {_fitting(names)}."
        for name in ended
        if (names := [one.name for one in clear if one.changed.collapse_type.name == name])
    ]
    others = [one.name for one in every if one.is_open]
    return [*said, *([f"Nothing follows: {_fitting(others)}."] if others else [])]


def _fitting(names: Sequence[str]) -> str:
    """Return names, parted by semicolons where they have commas, as many as a sentence has room for."""
    kept: list[str] = []
    for name in names:
        if kept and word_count(" ".join([*kept, name])) > MOST_WORDS:
            break
        kept.append(name)
    comma = "; " if any("," in name for name in names) else ", "
    return comma.join(kept) + (f" and {len(names) - len(kept)} more" if len(kept) < len(names) else "")
