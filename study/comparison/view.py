"""What a comparison says: two results aligned, as the sentences and rows that the terminal and both pages show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.statistics import mean, standard_deviation
from study.comparison import alignment
from study.comparison.alignment import Effect, Pair
from study.comparison.sources import Source
from study.reporting.formatting import figure_of, key_name, measure_name, signed, without_paths
from study.reporting.pages import badge, many, percent, points
from vicreg.errors import InputError

_KINDS = {"code": "Code", "data": "Data", "parameters": "Parameters", "environment": "Environment", "commits": "Commits"}


def build_view(a: Source, b: Source, *, margin: float) -> dict[str, Any]:
    """Everything the terminal and both pages show, formatted: strings, lists and dicts.

    Args:
        margin: the smallest difference in accuracy that would matter, a share: 0.01 is one percentage point.

    Raises:
        InputError: where the two have no probe in common, or for a margin that is not above 0.
    """
    if not margin > 0:
        raise InputError(f"--margin must be above 0, but got {margin}; it is the smallest difference that would matter.")
    probe = _shared_probe(a.results, b.results)
    pairs = alignment.align(a.results, b.results)
    both = [pair for pair in pairs if pair.a and pair.b]
    effects = alignment.effects(both, a.results, b.results, probe=probe, margin=margin)
    changes = alignment.changes(a.results, b.results)
    told = list(zip(both, effects, strict=True))
    own = [alignment.settings_changes(pair, a.results, b.results) for pair in both]
    return {
        "a": a.name,
        "b": b.name,
        "answer": f"B differs from A in {_changed(changes, sum(map(bool, own)))}. {_accuracy(told, probe)}",
        "about": [_about(letter, source) for letter, source in (("A", a), ("B", b))],
        "notes": [*_overall(told, margin=margin), *_notes(a.results, b.results, effects, margin=margin)],
        "probe": measure_name(probe),
        "margin": figure_of(margin, ".3g", 100),
        "changes": [(_KINDS[kind], rows) for kind, rows in _readable(changes).items()],
        "arms": [_arm(pair, effect, settings, margin=margin) for (pair, effect), settings in zip(told, own, strict=True)],
        "one_sided": _one_sided(pairs, probe),
        "cells": [cell for pair in both for cell in _cells(pair, probe)],
    }


# ---- sentences


def _changed(changes: Mapping[str, Any], arms: int) -> str:
    """What B differs from A in, as the end of a sentence."""
    parts = []
    if "code" in changes:
        count = len(changes["code"])
        parts.append(f"the code of {_count(count, 'definition')} ({many([name for name, _, _ in changes['code']])})")
    if "data" in changes:
        parts.append("the data")
    if "parameters" in changes:
        words = [f"{key_name(key)} {before} → {after}" for key, before, after in changes["parameters"]]
        parts.append(f"{_count(len(words), 'parameter')} ({many(words)})")
    if arms:
        parts.append(f"the settings of {_count(arms, 'arm')}")
    if "environment" in changes:
        parts.append(f"the environment ({many([f'{key} {old} → {new}' for key, old, new in changes['environment']])})")
    text = "; ".join(parts) or "nothing that is recorded"
    if unrecorded := [what for what, _, _ in changes.get("unrecorded", [])]:
        text += f"; {' and '.join(unrecorded)} {'is' if len(unrecorded) == 1 else 'are'} not recorded"
    return text


def _accuracy(told: Sequence[tuple[Pair, Effect]], probe: str) -> str:
    """What became of accuracy, as a sentence or two."""
    counts = Counter(effect.conclusion for _, effect in told)
    runs = sum(len(set(pair.runs()[0]) & set(pair.runs()[1])) for pair, _ in told)
    if not runs:
        return "No run of one stands beside a run of the other, so nothing is compared."
    if counts[alignment.SAME_RUNS] == len(told):
        return f"Every one of the {runs} runs they share is the same run, so there is nothing to test."
    if counts[alignment.SAME_RUNS] + counts[alignment.IDENTICAL] == len(told):
        return f"All {runs} pairs of runs have the same results, bit for bit, so there is nothing to test."
    different = [
        f"{pair.either['label']} {points(effect.interval.mean)}"
        for pair, effect in told if effect.conclusion == alignment.DIFFERENT and effect.interval
    ]  # fmt: skip
    parts = [f"different in {len(different)} of {_count(len(told), 'arm')}" + (f" ({many(different)})" if different else "")]
    parts += [f"{_OTHERWISE[name]} in {counts[name]}" for name in _OTHERWISE if counts[name]]
    sentence = f"Test accuracy ({measure_name(probe)}) is {', '.join(parts)}."
    limits = [
        effect.equivalence.largest for _, effect in told if effect.equivalence and effect.equivalence.largest is not None
    ]
    if limits and not different:
        sentence += f" In no arm that was tested is the difference larger than {figure_of(max(limits), '.2f', 100)} points."
    return sentence


def _overall(told: Sequence[tuple[Pair, Effect]], *, margin: float) -> list[str]:
    """One sentence on the healthy arms together, which tell a small change that no arm tells by itself."""
    found = alignment.overall(told, margin=margin)
    if found is None:
        return []
    count, interval, close = found
    bounds = f"{points(interval.mean)} points, 95 % interval [{points(interval.low)}, {points(interval.high)}]"
    says = ", which is within the margin" if close.equivalent else ""
    return [
        f"Averaged over the {count} arms that are healthy in both and tested, seed by seed: {bounds}, n = {interval.n}, no "
        f"difference larger than {figure_of(close.largest, '.2f', 100)} points{says}."
    ]


_OTHERWISE = {
    alignment.EQUIVALENT: "within the margin", alignment.UNDECIDED: "undecided",
    alignment.SAME_RUNS: "of the very same runs",
    alignment.IDENTICAL: "identical, bit for bit,", alignment.EVEN: "equal on every seed",
    alignment.FEW: "described, with too little to test,", alignment.NOTHING: "not to be compared",
}  # fmt: skip


def _notes(a: Mapping[str, Any], b: Mapping[str, Any], effects: Sequence[Effect], *, margin: float) -> list[str]:
    tested = sum(effect.p_holm is not None for effect in effects)
    limit = f"{figure_of(margin, '.3g', 100)} {'point' if margin == 0.01 else 'points'}"
    notes = []
    if a["data"].get("digest") != b["data"].get("digest"):
        notes.append(
            f"The data differ, so the tests are on different images ({a['data'].get('test')} in A, {b['data'].get('test')} "
            "in B) and a seed does not make a pair: intervals are Welch's, of unpaired seeds, with the sampling error of "
            "both test sets in them."
        )
    elif tested:
        notes.append("Each run of B is paired with A's of the same seed; intervals are paired t intervals.")
    if tested:
        notes.append(
            f"p is adjusted by Holm over the {_count(tested, 'arm')} tested. Within the margin means: two one-sided tests "
            f"at 5 % find the difference smaller than {limit}. Each bound on a difference stands for itself, at 95 %; the "
            "one over all arms holds for all at once."
        )
    return notes


def _says(effect: Effect, *, margin: float) -> str:
    """What can be concluded of one arm."""
    close, n = effect.equivalence, len(effect.seeds)
    largest = figure_of(close.largest, ".2f", 100) if close and close.largest is not None else None
    match effect.conclusion:
        case alignment.DIFFERENT:
            within = f", yet by less than {figure_of(margin, '.3g', 100)}" if close and close.equivalent else ""
            return f"different{within}"
        case alignment.EQUIVALENT:
            return f"no difference larger than {largest} points"
        case alignment.UNDECIDED:
            return f"undecided: could be as large as {largest} points"
        case alignment.EVEN:
            return f"the same accuracy on each of {_count(n, 'seed')}, though not the same numbers throughout"
        case alignment.FEW if n >= 3 and effect.paired:
            return f"the same difference on each of {n} seeds, which leaves no spread to test it by"
        case alignment.FEW:
            count = n if effect.paired else min(len(effect.a), len(effect.b))
            return f"n = {count}: descriptive only"
        case _:
            return effect.conclusion


def _about(letter: str, source: Source) -> str:
    results = source.results
    statuses = Counter(run["status"] for arm in results["arms"] for run in arm["runs"])
    runs = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    commits = ", ".join(results.get("commits") or []) or "unknown"
    return (
        f"{letter} is {source.name}: study {results['study']}, profile {results['profile']}, "
        f"{_count(len(results['arms']), 'arm')}, runs: {runs}; commits {commits}."
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


# ---- rows


def _arm(pair: Pair, effect: Effect, settings: Sequence[tuple[str, str, str]], *, margin: float) -> dict[str, Any]:
    interval = effect.interval
    sides = [percent(mean(side), standard_deviation(side)) if side else "–" for side in (effect.a, effect.b)]
    bounds = interval and interval.low is not None
    return {
        "label": _label(pair),
        "is_baseline": pair.either["is_baseline"],
        "is_control": pair.either["is_control"],
        "by": pair.by,
        "settings": [f"{key_name(key)} {before} → {after}" for key, before, after in settings],
        "n": str(len(effect.seeds)) if effect.paired else f"{len(effect.a)} | {len(effect.b)}",
        "a": sides[0],
        "b": sides[1],
        "difference": points(interval.mean) if interval else "–",
        "interval": f"[{points(interval.low)}, {points(interval.high)}]" if interval and bounds else "–",
        "p": "–" if effect.p_holm is None else "< 0.001" if effect.p_holm < 0.001 else f"{effect.p_holm:.3f}",
        "says": _says(effect, margin=margin),
        "is_different": effect.conclusion == alignment.DIFFERENT,
        "ranks": [_rank(pair, space, effect.seeds) for space in alignment.SPACES],
        "verdict": _verdicts(pair),
        "status": _statuses(pair),
    }


def _label(pair: Pair) -> str:
    labels = list(dict.fromkeys(arm["label"] for arm in (pair.a, pair.b) if arm))
    return " → ".join(labels)


def _rank(pair: Pair, space: str, seeds: Sequence[int]) -> dict[str, str]:
    """`12.1 → 13.4`, RankMe of A and B, and `+1.3 [+0.2, +2.4]`, the paired difference."""
    found = alignment.rank_change(pair, space, seeds=seeds)
    if found is None:
        return {"text": "–", "interval": ""}
    a, b, interval = found
    text = f"{figure_of(a, '.1f')} → {figure_of(b, '.1f')}"
    if interval.low is None or interval.high is None or interval.low == interval.high:
        return {"text": text, "interval": ""}
    return {"text": text, "interval": f"{signed(interval.mean)} [{signed(interval.low)}, {signed(interval.high)}]"}


def _verdicts(pair: Pair) -> str:
    """The arm's verdict, `A → B` where it changed, and on how many seeds it did."""
    assert pair.a and pair.b
    names = [arm["verdict"]["name"] for arm in (pair.a, pair.b)]
    a, b = pair.runs()
    changed = [seed for seed in a if seed in b and _name(a[seed]) != _name(b[seed])]
    text = names[0] if names[0] == names[1] else " → ".join(names)
    return text + (f" (changed on {_seeds(changed)})" if changed else "")


def _statuses(pair: Pair) -> str:
    """How the runs of both sides stand, where any has not simply finished, and which seeds one side alone has."""
    a, b = pair.runs()
    parts = [
        f"seed {seed} {a[seed]['status']}" + (f" → {b[seed]['status']}" if a[seed]["status"] != b[seed]["status"] else "")
        for seed in sorted(a.keys() & b.keys())
        if {a[seed]["status"], b[seed]["status"]} != {"finished"}
    ]
    parts += [f"{_seeds(sorted(own - other))} in {letter} alone"
              for letter, own, other in (("A", a.keys(), b.keys()), ("B", b.keys(), a.keys())) if own - other]  # fmt: skip
    return "; ".join(parts) or "all finished"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _one_sided(pairs: Sequence[Pair], probe: str) -> list[str]:
    """A sentence for each side that has arms of its own."""
    lines = []
    for letter, arms in (("A", [pair.a for pair in pairs if not pair.b]), ("B", [pair.b for pair in pairs if not pair.a])):
        if arms:
            named = [_with_accuracy(arm, probe) for arm in arms if arm]
            lines.append(f"{letter} alone has {_count(len(named), 'arm')}: {'; '.join(named)}.")
    return lines


def _with_accuracy(arm: Mapping[str, Any], probe: str) -> str:
    values = list(alignment.measured({run["seed"]: run for run in arm["runs"]}, probe).values())
    return (
        f"{arm['label']} ({percent(mean(values), standard_deviation(values))} %)"
        if values
        else f"{arm['label']} (no result)"
    )


def _cells(pair: Pair, probe: str) -> list[dict[str, Any]]:
    """A row a seed, of those either side has."""
    a, b = pair.runs()
    of_a, of_b = alignment.measured(a, probe), alignment.measured(b, probe)
    rows = []
    for seed in sorted({*a, *b}):
        runs = [a.get(seed), b.get(seed)]
        shared = runs[0] is not None and runs[1] is not None
        measured = seed in of_a and seed in of_b
        if shared and alignment.is_same_run(*runs):
            same = "the same run"
        else:
            same = "equal results" if shared and alignment.has_equal_results(*runs) else ""
        rows.append({
            "arm": _label(pair), "seed": str(seed),
            "a": percent(of_a.get(seed)), "b": percent(of_b.get(seed)),
            "difference": points(of_b[seed] - of_a[seed]) if measured else "–", "same": same,
            "badges": [badge(_name(run), run["status"]) if run else None for run in runs],
            "digests": [run["digest"] if run else "–" for run in runs],
        })  # fmt: skip
    return rows


def _name(run: Mapping[str, Any]) -> str | None:
    return run["verdict"]["name"] if run["verdict"] else None


def _readable(changes: Mapping[str, Any]) -> dict[str, list[tuple[str, str, str]]]:
    """The changes as a table shows them: a path is cut to its end, a digest to its first digits."""
    cut = lambda text: without_paths(text.removeprefix("sha256:")[:60])  # noqa: E731
    return {
        kind: [(what, cut(old), cut(new)) for what, old, new in rows] for kind, rows in changes.items() if kind in _KINDS
    }


def _shared_probe(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """The primary probe, or where it differs the first of the two that both sides have measured."""
    has = [{probe for arm in side["arms"] for run in arm["runs"] for probe in run["test"]} for side in (a, b)]
    for probe in (b["primary"], a["primary"]):
        if all(probe in measured for measured in has):
            return probe
    if not all(has):
        return b["primary"]
    raise InputError(
        f"A and B must have a probe in common, but A has {', '.join(sorted(has[0]))} and B {', '.join(sorted(has[1]))}; "
        "set ablate.probes alike and run one of them again."
    )
