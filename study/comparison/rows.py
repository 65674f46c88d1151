"""A comparison of two results as rows of tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.analysis.moments import mean, standard_deviation
from study.comparison.alignment import Pair, has_equal_results, is_same_run
from study.comparison.changes import Change
from study.comparison.effects import DIFFERENT, Effect, accuracies_by_seed, rank_change
from study.comparison.sentences import conclusion_of
from study.reporting.format import figure_of, p_value, percent, points, signed
from study.reporting.names import key_name
from study.reporting.palette import badge
from study.results.runs import SPACES, RunResults


def arm_row(pair: Pair, effect: Effect, settings: Sequence[Change], *, margin: float) -> dict[str, Any]:
    """Return what the table of arms shows of a pair, as text."""
    interval = effect.interval
    a, b = (percent(mean(side), standard_deviation(side)) if side else "–" for side in (effect.a, effect.b))
    bounded = interval is not None and interval.low is not None
    return {
        "label": label_of(pair),
        "is_baseline": pair.either.is_baseline,
        "is_control": pair.either.is_control,
        "by": pair.by,
        "settings": [f"{key_name(key)} {before} → {after}" for key, before, after in settings],
        "n": str(len(effect.seeds)) if effect.paired else f"{len(effect.a)} | {len(effect.b)}",
        "a": a,
        "b": b,
        "difference": points(interval.mean) if interval else "–",
        "interval": f"[{points(interval.low)}, {points(interval.high)}]" if interval and bounded else "–",
        "p": str(p_value(effect.p_holm)),
        "says": conclusion_of(effect, margin=margin),
        "is_different": effect.conclusion == DIFFERENT,
        "ranks": [_rank(pair, space, effect.seeds) for space in SPACES],
        "verdict": _collapse_types(pair),
        "status": _statuses(pair),
    }


def more_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns that the table of arms has no room for, from its rows."""
    order = ["To other settings, on both"] if any(row["order"] for row in rows) else []
    return {
        "columns": ["Setting", "n", "p (Holm)", *(f"RankMe, {space}" for space in SPACES), *order],
        "rows": [
            [row["label"], row["n"], row["p"], *map(_rank_text, row["ranks"]), *([row["order"]] if order else [])]
            for row in rows
        ],
    }


def _rank_text(rank: Mapping[str, str]) -> str:
    return f"{rank['text']} {rank['interval']}".strip()


def cell_rows(pair: Pair, probe: str) -> list[dict[str, Any]]:
    """Return a row for each seed that either side has, as text."""
    a, b = pair.runs()
    of_a, of_b = accuracies_by_seed(a, probe), accuracies_by_seed(b, probe)
    return [
        {
            "key": f"{label_of(pair)}-{seed}",
            "arm": label_of(pair),
            "seed": str(seed),
            "a": percent(of_a.get(seed)),
            "b": percent(of_b.get(seed)),
            "difference": points(of_b[seed] - of_a[seed]) if seed in of_a and seed in of_b else "–",
            "same": _sameness(a.get(seed), b.get(seed)),
            "badges": [badge(_type_name(run), run.status) if run else None for run in (a.get(seed), b.get(seed))],
            "digests": [run.digest if run else "–" for run in (a.get(seed), b.get(seed))],
        }
        for seed in sorted({*a, *b})
    ]


def label_of(pair: Pair) -> str:
    """Return the arm's label, `A → B` where it has another on either side."""
    return " → ".join(dict.fromkeys(arm.label for arm in (pair.a, pair.b) if arm))


def _sameness(a: RunResults | None, b: RunResults | None) -> str:
    if a is None or b is None:
        return ""
    if is_same_run(a, b):
        return "the same run"
    return "equal results" if has_equal_results(a, b) else ""


def _rank(pair: Pair, space: str, seeds: Sequence[int]) -> dict[str, str]:
    """Return `12.1 → 13.4`, RankMe of A and B, and `+1.3 [+0.2, +2.4]`, the paired difference."""
    found = rank_change(pair, space, seeds=seeds)
    if found is None:
        return {"text": "–", "interval": ""}
    a, b, interval = found
    text = f"{figure_of(a, '.1f')} → {figure_of(b, '.1f')}"
    if interval.low is None or interval.high is None or interval.low == interval.high:
        return {"text": text, "interval": ""}
    return {"text": text, "interval": f"{signed(interval.mean)} [{signed(interval.low)}, {signed(interval.high)}]"}


def _collapse_types(pair: Pair) -> str:
    """Return the arm's collapse type, `A → B` where it changed, and on how many seeds it did."""
    assert pair.a and pair.b
    names = dict.fromkeys(arm.collapse_type.marked_name for arm in (pair.a, pair.b))
    a, b = pair.runs()
    changed = [seed for seed in a if seed in b and _type_name(a[seed]) != _type_name(b[seed])]
    return " → ".join(names) + (f" (changed on {_seeds(changed)})" if changed else "")


def _statuses(pair: Pair) -> str:
    """Return how the runs of both sides stand where any has not finished, and which seeds one side alone has."""
    a, b = pair.runs()
    parts = [
        f"seed {seed} {a[seed].status}" + (f" → {b[seed].status}" if a[seed].status != b[seed].status else "")
        for seed in sorted(a.keys() & b.keys())
        if {a[seed].status, b[seed].status} != {"finished"}
    ]
    for letter, own, other in (("A", a.keys(), b.keys()), ("B", b.keys(), a.keys())):
        if own - other:
            parts.append(f"{_seeds(sorted(own - other))} in {letter} alone")
    return "; ".join(parts) or "all finished"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"


def _type_name(run: RunResults) -> str | None:
    return run.collapse_type.name if run.collapse_type else None
