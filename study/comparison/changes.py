"""Finds what changed between two results, by kind."""

import json
from collections.abc import Mapping
from typing import Any

from study.comparison.alignment import Pair, canonical, effective_settings
from study.results.schema import StudyResults
from study.runs.code_digest import changed_definitions

Change = tuple[str, str, str]  # what, in A, in B


def changes(a: StudyResults, b: StudyResults) -> dict[str, list[Change]]:
    """Return kind of change -> what changed, only of what differs; `unrecorded` lists what results do not say."""
    codes = [_definitions(side) for side in (a, b)]
    found = {
        "code": _changed_code(*codes),
        "data": _differing(_data(a), _data(b)),
        "parameters": _differing(a.recipe, b.recipe),
        "environment": _differing(_environment(a), _environment(b)),
        "commits": _changed_commits(a, b),
        "unrecorded": [(f"the code of {name}", "", "") for name, code in zip("AB", codes) if code is None],
    }
    return {kind: rows for kind, rows in found.items() if rows}


def settings_changes(pair: Pair, a: StudyResults, b: StudyResults) -> list[Change]:
    """Return what the runs of an arm differ in between the two sides, of the settings that either side's arm names."""
    if not (pair.a and pair.b):
        return []
    named = {*pair.a.settings, *pair.b.settings}
    before, after = effective_settings(a, pair.a), effective_settings(b, pair.b)
    return _differing(*({key: side[key] for key in named if key in side} for side in (before, after)))


def _definitions(side: StudyResults) -> Mapping[str, str] | None:
    return side.identity.definitions if side.identity else None


def _data(side: StudyResults) -> dict[str, Any]:
    return {key: getattr(side.data, key) for key in ("dataset", "digest", "train", "validation", "test")}


def _environment(side: StudyResults) -> dict[str, Any]:
    machinery = side.identity.machinery if side.identity else None
    return {**side.environment, **(machinery or {})}


def _changed_code(a: Mapping[str, str] | None, b: Mapping[str, str] | None) -> list[Change]:
    """Return the definitions in which the code that trains differs; none where a side does not record its own."""
    if a is None or b is None:
        return []
    return [(name, _shown(a, name), _shown(b, name)) for name in changed_definitions(a, b)]


def _changed_commits(a: StudyResults, b: StudyResults) -> list[Change]:
    """Return the commits where they differ; none where a side does not record its own."""
    if not (a.commits and b.commits):
        return []
    return _differing({"commits": ", ".join(a.commits)}, {"commits": ", ".join(b.commits)})


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    keys = sorted({*a, *b})
    return [(key, _shown(a, key), _shown(b, key)) for key in keys if canonical(a.get(key)) != canonical(b.get(key))]


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
