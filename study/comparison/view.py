"""The sentences and rows that the terminal and both pages show."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.comparison.alignment import align
from study.comparison.changes import Change, changes, settings_changes
from study.comparison.effects import effects, overall
from study.comparison.machine_sentences import machine_sentences, order_text
from study.comparison.machines import compare_machines
from study.comparison.rows import arm_row, cell_rows, more_table
from study.comparison.sentences import (
    accuracy_sentences,
    changed_sentences,
    method_sentences,
    one_sided_sentences,
    overall_sentences,
    source_sentence,
)
from study.comparison.sources import Source
from study.reporting.format import figure_of, without_paths
from study.reporting.names import measure_name
from study.results.schema import StudyResults
from vicreg.errors import InputError

_KINDS = {"code": "Code", "data": "Data", "parameters": "Parameters", "environment": "Environment", "commits": "Commits"}
_LONGEST = 60  # characters of a value that a table has room for


def build_view(a: Source, b: Source, *, margin: float) -> dict[str, Any]:
    """Return everything the terminal and both pages show, formatted: strings, lists and dicts.

    Args:
        a, b: the two sides; every difference is B - A.
        margin: the smallest difference in accuracy that would matter, a share: 0.01 is one percentage point.

    Raises:
        InputError: where the two have no probe in common, or for a margin that is not above 0.
    """
    if not margin > 0:
        raise InputError(f"--margin must be above 0, but got {margin}; it is the smallest difference that would matter.")
    probe = shared_probe(a.results, b.results)
    pairs = align(a.results, b.results)
    both = [pair for pair in pairs if pair.a and pair.b]
    found = effects(both, a.results, b.results, probe=probe, margin=margin)
    told = list(zip(both, found, strict=True))
    changed = changes(a.results, b.results)
    settings = [settings_changes(pair, a.results, b.results) for pair in both]
    machines = compare_machines(both, a.results, b.results, probe=probe)
    rows = [
        {**arm_row(pair, effect, own, margin=margin), "order": order_text(machines, place)}
        for place, ((pair, effect), own) in enumerate(zip(told, settings, strict=True))
    ]
    also = [what for what in ("code", "parameters") if what in changed] + (["settings of arms"] if any(settings) else [])
    differs = changed_sentences(changed, sum(map(bool, settings)))
    return {
        "a": a.name,
        "b": b.name,
        "answer": " ".join([*accuracy_sentences(told, probe, margin=margin), *differs]),
        "about": [source_sentence(letter, source) for letter, source in (("A", a), ("B", b))],
        "notes": [
            *machine_sentences(machines, both, differs=also),
            *overall_sentences(overall(told, margin=margin)),
            *method_sentences(a.results, b.results, found, margin=margin),
        ],
        "probe": measure_name(probe),
        "margin": figure_of(margin, ".3g", 100),
        "changes": _readable(changed),
        "arms": rows,
        "more": more_table(rows),
        "has_order": any(row["order"] for row in rows),
        "one_sided": one_sided_sentences(pairs, probe),
        "cells": [row for pair in both for row in cell_rows(pair, probe)],
    }


def shared_probe(a: StudyResults, b: StudyResults) -> str:
    """Return the primary probe, or where it differs the first of the two that both sides have measured.

    Raises:
        InputError: where they have no probe in common.
    """
    has = [{probe for arm in side.arms for run in arm.runs for probe in run.test} for side in (a, b)]
    for probe in (b.primary, a.primary):
        if all(probe in measured for measured in has):
            return probe
    if not all(has):
        return b.primary
    raise InputError(
        f"A and B must have a probe in common, but A has {', '.join(sorted(has[0]))} and B {', '.join(sorted(has[1]))}; "
        "set ablate.probes alike and run one of them again."
    )


def _readable(changed: Mapping[str, Sequence[Change]]) -> list[tuple[str, list[Change]]]:
    """Return the changes as a table shows them: a path is cut to its end, a digest to its first digits."""
    return [
        (_KINDS[kind], [(what, _cut(old), _cut(new)) for what, old, new in rows])
        for kind, rows in changed.items()
        if kind in _KINDS
    ]


def _cut(text: str) -> str:
    shown: str = without_paths(text.removeprefix("sha256:")[:_LONGEST])
    return shown
