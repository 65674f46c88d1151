"""Rates with their Monte Carlo errors, and tables of them."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.measure import table

Rows = Iterator[dict[str, Any]]
Bounds = tuple[float, float]


def row(
    what: str, n: int, outcomes: Any, asked: Bounds | None = None, *, unit: str = "share", **more: Any
) -> dict[str, Any]:
    """Return a rate and its Monte Carlo error.

    Outcomes of one study, (studies, arms), share its baseline and count as one. Those that are nan, of an arm without an
    interval, are left out.
    """
    values = np.asarray(outcomes, float)
    values = values.reshape(len(values), math.prod(values.shape[1:]))
    there = ~np.isnan(values)
    counted = there.any(axis=1)
    by_study = np.where(there, values, 0)[counted].sum(axis=1) / there[counted].sum(axis=1)
    rate = float(by_study.mean()) if len(by_study) else math.nan
    error = float(by_study.std(ddof=1) / math.sqrt(len(by_study))) if len(by_study) > 1 else 0.0
    holds = None if asked is None else bool(asked[0] <= rate <= asked[1])
    return {"what": what, "n": n, "rate": rate, "error": error, "asked": asked, "holds": holds, "unit": unit, **more}


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return a table for each set of sizes: what was measured by line, n by column.

    Rows of one `table` stand together, those of a `column` beside the others of the same line.
    """
    by_table: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for one in rows:
        by_table.setdefault(one.get("table", ""), {}).setdefault(one["what"], []).append(one)
    found = []
    for lines in by_table.values():
        by_columns: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for what, several in lines.items():
            cells = {_column(one): number(one["rate"], one["unit"]) for one in several}
            line = {"": what, **cells, "asked": _asked([one for one in several if one["asked"] is not None])}
            by_columns.setdefault(tuple(cells), []).append(line)
        found += [table(one) for one in by_columns.values()]
    return "\n\n".join(found)


def number(value: float, unit: str) -> str:
    """Return a value in its unit: a share in percent, runs with a digit, a ratio with two."""
    if math.isnan(value):
        return "–"
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:.1f}" if unit == "runs" else f"{value:.2f}"


def _column(one: dict[str, Any]) -> str:
    return one.get("column") or f"n = {one['n']}"


def _asked(rows: Sequence[dict[str, Any]]) -> str:
    """Return what is asked of a line, and of which of its columns where not of all."""
    if not rows:
        return ""
    (low, high), unit = rows[0]["asked"], rows[0]["unit"]
    where = f", {rows[0]['asked_at']}" if rows[0].get("asked_at") else ""
    if low == 0:
        return f"at most {number(high, unit)}{where}"
    return f"at least {number(low, unit)}{where}" if high == 1 else f"{number(low, unit)} to {number(high, unit)}{where}"
