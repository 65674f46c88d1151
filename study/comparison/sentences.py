"""A comparison of two results in sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence

from study.analysis.moments import LEAST_SEEDS, mean, standard_deviation
from study.analysis.wording import agree, capitalised, count_of, first_of, in_words, listed, name_of, noun
from study.comparison.alignment import Pair
from study.comparison.changes import Change
from study.comparison.effects import (
    DIFFERENT,
    EQUIVALENT,
    EVEN,
    FEW,
    IDENTICAL,
    NOTHING,
    SAME_RUNS,
    UNDECIDED,
    Effect,
    Overall,
    accuracies_by_seed,
)
from study.comparison.sources import Source
from study.reporting.format import figure_of, many, percent, points
from study.reporting.names import key_name, measure_name
from study.results.schema import ArmResults, StudyResults

_OTHERWISE = {  # conclusion -> how accuracy is in so many arms
    EQUIVALENT: "within the margin", UNDECIDED: "undecided", SAME_RUNS: "of the very same runs",
    IDENTICAL: "bit-identical", EVEN: "equal on every seed", FEW: "measured at too few seeds to test",
    NOTHING: "missing on one side",
}  # fmt: skip
MOST_NAMED = 3  # of what a sentence lists


def changed_sentences(changes: Mapping[str, Sequence[Change]], arms: int) -> list[str]:
    """Return what B differs from A in, a sentence a kind; `arms` is the number whose settings changed."""
    kinds = [_KIND_NAMES[kind] for kind in _KIND_NAMES if kind in changes] + (["the settings of arms"] if arms else [])
    found = [f"B differs from A in {listed(kinds) or 'nothing that is recorded'}."]
    if "code" in changes:
        names = [name for name, _, _ in changes["code"]]
        found.append(f"Code changed in {count_of(len(names), 'definition')}: {many(names, most=MOST_NAMED)}.")
    if "parameters" in changes:
        words = [f"{key_name(key)} {_cut(before)} → {_cut(after)}" for key, before, after in changes["parameters"]]
        found.append(f"{capitalised(count_of(len(words), 'parameter'))} changed: {many(words, most=MOST_NAMED)}.")
    if arms:
        found.append(f"The settings of {count_of(arms, 'arm')} changed.")
    if "environment" in changes:
        words = [f"{key} {_cut(old)} → {_cut(new)}" for key, old, new in changes["environment"]]
        found.append(f"The environment changed: {many(words, most=MOST_NAMED)}.")
    if unrecorded := [what for what, _, _ in changes.get("unrecorded", [])]:
        found.append(f"{capitalised(listed(unrecorded))} {agree(len(unrecorded), 'is', 'are')} not recorded.")
    return found


_KIND_NAMES = {"code": "code", "data": "data", "parameters": "parameters", "environment": "environment"}


def _cut(text: str) -> str:
    """Return a value as a sentence has room for it."""
    words = text.split()
    return text if len(words) <= LONGEST_VALUE else f"{' '.join(words[:LONGEST_VALUE])}…"


LONGEST_VALUE = 3  # words


def accuracy_sentences(effects: Sequence[tuple[Pair, Effect]], probe: str, *, margin: float) -> list[str]:
    """Return what became of accuracy: what to conclude first, then the count of every conclusion."""
    counts = Counter(effect.conclusion for _, effect in effects)
    runs = sum(len(set(pair.runs()[0]) & set(pair.runs()[1])) for pair, _ in effects)
    if not runs:
        return ["No run of one stands beside a run of the other, so nothing is compared."]
    if counts[SAME_RUNS] == len(effects):
        shared = "The run they share is" if runs == 1 else f"All {runs} runs they share are"
        return [f"{shared} the same in both, so there is nothing to test."]
    if counts[SAME_RUNS] + counts[IDENTICAL] == len(effects):
        pairs = "The pair of runs has" if runs == 1 else f"All {runs} pairs of runs have"
        return [f"{pairs} the same results, bit for bit, so there is nothing to test."]
    different = [
        f"{name_of(pair.either.label)} {points(effect.interval.mean)}"
        for pair, effect in effects
        if effect.conclusion == DIFFERENT and effect.interval
    ]
    named = f": {many(different, most=2)}" if different else ""
    found = [
        f"Test accuracy ({measure_name(probe)}) differs in {in_words(len(different)) if different else 'none'} of "
        f"{count_of(len(effects), 'arm')}{named}."
    ]
    others = [f"{_OTHERWISE[name]} in {counts[name]}" for name in _OTHERWISE if counts[name]]
    found += [f"It is {listed(others)}."] if others else []
    limits = [
        effect.equivalence.largest for _, effect in effects if effect.equivalence and effect.equivalence.largest is not None
    ]
    if limits and not different:
        found.append(f"In no arm that was tested is the difference larger than {figure_of(max(limits), '.2f', 100)} points.")
    return [*found, *_tie(effects, margin=margin)]


def _tie(effects: Sequence[tuple[Pair, Effect]], *, margin: float) -> list[str]:
    """Return that A and B lead with another arm each, and that this is a tie where the two lie within the margin."""
    arms = [(pair, effect) for pair, effect in effects if effect.a and effect.b and not pair.either.is_control]
    if len(arms) < 2:
        return []
    in_a, in_b = max(arms, key=lambda one: mean(one[1].a)), max(arms, key=lambda one: mean(one[1].b))
    if in_a[0] is in_b[0]:
        return []
    apart = max(mean(in_a[1].a) - mean(in_b[1].a), mean(in_b[1].b) - mean(in_a[1].b))
    first, second = (name_of(pair.either.label) for pair, _ in (in_a, in_b))
    found = [f"The highest mean is that of {first} in A and of {second} in B."]
    if apart < margin:
        found.append(f"The two lie at most {figure_of(apart, '.2f', 100)} points apart on either side: a tie.")
    return found


def overall_sentences(found: Overall | None) -> list[str]:
    """Return a sentence on the healthy arms together, which show a small change that no arm shows by itself."""
    if found is None:
        return []
    interval, close = found.interval, found.equivalence
    mean_change = f"The mean over the {found.arms} arms that are healthy in both changed by {points(interval.mean)} points"
    if interval.low is None or close.largest is None:
        return [f"{mean_change} at each of {count_of(interval.n, 'seed')}.", "So there is no spread to test it by."]
    bounds = f"95 % interval {points(interval.low)} to {points(interval.high)}, {count_of(interval.n, 'seed')}"
    within = "is" if close.equivalent else "is not shown to be"
    return [
        f"{mean_change} ({bounds}).",
        f"That {within} within the margin; at 95 % the change is at most {figure_of(close.largest, '.2f', 100)} points.",
    ]


def method_sentences(a: StudyResults, b: StudyResults, effects: Sequence[Effect], *, margin: float) -> list[str]:
    """Return how runs were compared: paired or not, and what p-values and bounds mean."""
    tested = sum(effect.p_holm is not None for effect in effects)
    notes = []
    if a.data.digest != b.data.digest:
        notes.append(
            f"The data differ, so the tests are on different images ({a.data.test} in A, {b.data.test} in B) and a "
            "seed does "
            "not make a pair. Intervals are Welch's, of unpaired seeds, and include the sampling error of both test sets."
        )
    elif tested:
        notes.append("Each run of B is paired with A's of the same seed; intervals are paired t intervals.")
    if tested:
        notes.append(
            f"p is adjusted by Holm over the {count_of(tested, 'arm')} tested. Within the margin means that two "
            "one-sided tests "
            f"at 5 % find the difference smaller than {margin_text(margin)}. A bound on one arm's difference holds for "
            "that arm "
            "alone, at 95 %. The bound over all arms holds for all at once."
        )
    return notes


def margin_text(margin: float) -> str:
    """Return a margin as `1 point` or `0.5 points`."""
    return f"{figure_of(margin, '.3g', 100)} {'point' if margin == 0.01 else 'points'}"


def conclusion_of(effect: Effect, *, margin: float) -> str:
    """Return what can be concluded of one arm."""
    close, n = effect.equivalence, len(effect.seeds)
    largest = figure_of(close.largest, ".2f", 100) if close and close.largest is not None else None
    if effect.conclusion == DIFFERENT:
        return "different" + (f", yet by less than {margin_text(margin)}" if close and close.equivalent else "")
    if effect.conclusion == EQUIVALENT:
        return f"no difference larger than {largest} points"
    if effect.conclusion == UNDECIDED:
        return f"undecided: could be as large as {largest} points"
    if effect.conclusion == EVEN:
        return f"the same accuracy on each of {count_of(n, 'seed')}, though other numbers differ"
    if effect.conclusion != FEW:
        return effect.conclusion
    if n >= LEAST_SEEDS and effect.paired:
        return f"the same difference on each of {count_of(n, 'seed')}, so no spread to test it by"
    return f"n = {n if effect.paired else min(len(effect.a), len(effect.b))}: descriptive only"


def source_sentence(letter: str, source: Source) -> str:
    """Return what one side is: its study, profile, arms, runs and commits."""
    results = source.results
    statuses = Counter(run.status for arm in results.arms for run in arm.runs)
    runs = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())) or "none"
    commits = many(results.commits, most=MOST_NAMED) or "unknown"
    return (
        f"{letter} is {source.name}: study {results.study}, profile {results.profile}. It has "
        f"{count_of(len(results.arms), 'arm')}; "
        f"runs: {runs}; {noun(len(results.commits), 'commit') if results.commits else 'commit'}: {commits}."
    )


def one_sided_sentences(pairs: Sequence[Pair], probe: str) -> list[str]:
    """Return a sentence for each side that has arms of its own."""
    alone = {"A": [pair.a for pair in pairs if not pair.b], "B": [pair.b for pair in pairs if not pair.a]}
    lines = []
    for letter, arms in alone.items():
        if arms:
            named = [_with_accuracy(arm, probe) for arm in arms if arm]
            lines.append(f"{letter} alone has {count_of(len(named), 'arm')}: {first_of(named, MOST_NAMED)}.")
    return lines


def _with_accuracy(arm: ArmResults, probe: str) -> str:
    values = list(accuracies_by_seed({run.seed: run for run in arm.runs}, probe).values())
    if not values:
        return f"{arm.label} (no result)"
    return f"{arm.label} ({percent(mean(values), standard_deviation(values))} %)"
