"""A comparison of two results in sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence

from study.analysis.moments import LEAST_SEEDS, mean, standard_deviation
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

_OTHERWISE = {
    EQUIVALENT: "within the margin", UNDECIDED: "undecided", SAME_RUNS: "of the very same runs",
    IDENTICAL: "identical, bit for bit,", EVEN: "equal on every seed", FEW: "described, with too little to test,",
    NOTHING: "not to be compared",
}  # fmt: skip


def changed_sentence(changes: Mapping[str, Sequence[Change]], arms: int) -> str:
    """Return what B differs from A in, as the end of a sentence; `arms` is the number whose settings changed."""
    parts = []
    if "code" in changes:
        names = [name for name, _, _ in changes["code"]]
        parts.append(f"the code of {count_of(len(names), 'definition')} ({many(names)})")
    if "data" in changes:
        parts.append("the data")
    if "parameters" in changes:
        words = [f"{key_name(key)} {before} → {after}" for key, before, after in changes["parameters"]]
        parts.append(f"{count_of(len(words), 'parameter')} ({many(words)})")
    if arms:
        parts.append(f"the settings of {count_of(arms, 'arm')}")
    if "environment" in changes:
        parts.append(f"the environment ({many([f'{key} {old} → {new}' for key, old, new in changes['environment']])})")
    text = "; ".join(parts) or "nothing that is recorded"
    if unrecorded := [what for what, _, _ in changes.get("unrecorded", [])]:
        text += f"; {' and '.join(unrecorded)} {'is' if len(unrecorded) == 1 else 'are'} not recorded"
    return text


def accuracy_sentence(effects: Sequence[tuple[Pair, Effect]], probe: str) -> str:
    """Return what became of accuracy, as a sentence or two."""
    counts = Counter(effect.conclusion for _, effect in effects)
    runs = sum(len(set(pair.runs()[0]) & set(pair.runs()[1])) for pair, _ in effects)
    if not runs:
        return "No run of one stands beside a run of the other, so nothing is compared."
    if counts[SAME_RUNS] == len(effects):
        return f"Every one of the {runs} runs they share is the same run, so there is nothing to test."
    if counts[SAME_RUNS] + counts[IDENTICAL] == len(effects):
        return f"All {runs} pairs of runs have the same results, bit for bit, so there is nothing to test."
    different = [
        f"{pair.either.label} {points(effect.interval.mean)}"
        for pair, effect in effects
        if effect.conclusion == DIFFERENT and effect.interval
    ]
    named = f" ({many(different)})" if different else ""
    parts = [f"different in {len(different)} of {count_of(len(effects), 'arm')}{named}"]
    parts += [f"{_OTHERWISE[name]} in {counts[name]}" for name in _OTHERWISE if counts[name]]
    sentence = f"Test accuracy ({measure_name(probe)}) is {', '.join(parts)}."
    limits = [
        effect.equivalence.largest for _, effect in effects if effect.equivalence and effect.equivalence.largest is not None
    ]
    if limits and not different:
        sentence += f" In no arm that was tested is the difference larger than {figure_of(max(limits), '.2f', 100)} points."
    return sentence


def overall_sentences(found: Overall | None) -> list[str]:
    """Return a sentence on the healthy arms together, which show a small change that no arm shows by itself."""
    if found is None:
        return []
    interval, close = found.interval, found.equivalence
    bounds = f"{points(interval.mean)} points, 95 % interval [{points(interval.low)}, {points(interval.high)}]"
    says = ", which is within the margin" if close.equivalent else ""
    return [
        f"Averaged over the {found.arms} arms that are healthy in both and tested, seed by seed: {bounds}, "
        f"n = {interval.n}, no difference larger than {figure_of(close.largest, '.2f', 100)} points{says}."
    ]


def method_sentences(a: StudyResults, b: StudyResults, effects: Sequence[Effect], *, margin: float) -> list[str]:
    """Return how runs were compared: paired or not, and what p-values and bounds mean."""
    tested = sum(effect.p_holm is not None for effect in effects)
    limit = f"{figure_of(margin, '.3g', 100)} {'point' if margin == 0.01 else 'points'}"
    notes = []
    if a.data.digest != b.data.digest:
        notes.append(
            f"The data differ, so the tests are on different images ({a.data.test} in A, {b.data.test} in B) and a seed "
            "does not make a pair: intervals are Welch's, of unpaired seeds, with the sampling error of both test sets in "
            "them."
        )
    elif tested:
        notes.append("Each run of B is paired with A's of the same seed; intervals are paired t intervals.")
    if tested:
        notes.append(
            f"p is adjusted by Holm over the {count_of(tested, 'arm')} tested. Within the margin means: two one-sided tests "
            f"at 5 % find the difference smaller than {limit}. Each bound on a difference stands for itself, at 95 %; the "
            "one over all arms holds for all at once."
        )
    return notes


def conclusion_of(effect: Effect, *, margin: float) -> str:
    """Return what can be concluded of one arm."""
    close, n = effect.equivalence, len(effect.seeds)
    largest = figure_of(close.largest, ".2f", 100) if close and close.largest is not None else None
    if effect.conclusion == DIFFERENT:
        return "different" + (f", yet by less than {figure_of(margin, '.3g', 100)}" if close and close.equivalent else "")
    if effect.conclusion == EQUIVALENT:
        return f"no difference larger than {largest} points"
    if effect.conclusion == UNDECIDED:
        return f"undecided: could be as large as {largest} points"
    if effect.conclusion == EVEN:
        return f"the same accuracy on each of {count_of(n, 'seed')}, though not the same numbers throughout"
    if effect.conclusion != FEW:
        return effect.conclusion
    if n >= LEAST_SEEDS and effect.paired:
        return f"the same difference on each of {n} seeds, which leaves no spread to test it by"
    return f"n = {n if effect.paired else min(len(effect.a), len(effect.b))}: descriptive only"


def source_sentence(letter: str, source: Source) -> str:
    """Return what one side is: its study, profile, arms, runs and commits."""
    results = source.results
    statuses = Counter(run.status for arm in results.arms for run in arm.runs)
    runs = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    commits = ", ".join(results.commits) or "unknown"
    return (
        f"{letter} is {source.name}: study {results.study}, profile {results.profile}, "
        f"{count_of(len(results.arms), 'arm')}, runs: {runs}; commits {commits}."
    )


def one_sided_sentences(pairs: Sequence[Pair], probe: str) -> list[str]:
    """Return a sentence for each side that has arms of its own."""
    alone = {"A": [pair.a for pair in pairs if not pair.b], "B": [pair.b for pair in pairs if not pair.a]}
    lines = []
    for letter, arms in alone.items():
        if arms:
            named = [_with_accuracy(arm, probe) for arm in arms if arm]
            lines.append(f"{letter} alone has {count_of(len(named), 'arm')}: {'; '.join(named)}.")
    return lines


def count_of(count: int, what: str) -> str:
    """Return `1 arm` or `2 arms`."""
    return f"{count} {what}" + ("" if count == 1 else "s")


def _with_accuracy(arm: ArmResults, probe: str) -> str:
    values = list(accuracies_by_seed({run.seed: run for run in arm.runs}, probe).values())
    if not values:
        return f"{arm.label} (no result)"
    return f"{arm.label} ({percent(mean(values), standard_deviation(values))} %)"
