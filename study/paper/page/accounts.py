"""Why a number may not come out: what the paper is silent about, with what each silence moves."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from study.paper.evidence import ResultsByStudy, arms_of, baseline_of, deviations_of_study, nearest, paired
from study.paper.judged import NOT_RUN, Judged, is_not_reproduced, tried_as
from study.paper.page.commands import ablate_alike
from study.paper.page.values import bounds_text, value_text
from study.paper.protocol import EARLIER, barring, data_of, settings_of
from study.paper.published import Silence, SourcePaper
from study.paper.wording import arm_in_full, arm_name
from study.results.comparisons import Interval
from study.results.schema import StudyResults

AUTHORS = "generalisation"  # the study of the network that the paper did not train


class Account(TypedDict):
    """A silence that could explain a difference: what its study measured, and the command of it."""

    about: str
    moved: list[str]
    status: str
    command: str


def apart_text(rows: Sequence[Judged]) -> str:
    """Return by how much a number does not come out, in a sentence; empty for any other claim."""
    row = _missed(rows)
    if row is None or row.difference is None:
        return ""
    points = value_text(row.difference, "points").lstrip("+−")
    side = "below" if row.difference.mean < 0 else "above"
    return f"Ours lies {points} {side} the paper's number. What the paper is silent about may be why:"


def accounts_of(rows: Sequence[Judged], paper: SourcePaper, found: ResultsByStudy) -> list[Account]:
    """Return the paper's silences that could account for a number that is not reproduced; nothing for any other claim."""
    row = _missed(rows)
    if row is None or row.difference is None:
        return []
    silences = [one for one in paper.silent if (one.study == AUTHORS) == (row.study == AUTHORS)]
    return [_account(silence, row, paper, found) for silence in silences]


def _missed(rows: Sequence[Judged]) -> Judged | None:
    """Return the row of a number that is not reproduced: that of its study's baseline before any other."""
    missed = [row for row in rows if row.kind == "accuracy" and is_not_reproduced(row.verdict)]
    return min(missed, key=lambda row: not _is_baseline(row), default=None)


def _is_baseline(row: Judged) -> bool:
    if not isinstance(row.results, StudyResults):
        return False
    baseline = baseline_of(row.results)
    return row.arm == arm_in_full(baseline, settings_of(row.results, baseline))


def _settings_of(row: Judged) -> dict[str, Any]:
    """Return the settings that a row's runs were made with."""
    if not isinstance(row.results, StudyResults):
        return {}
    results = row.results
    named = (arm for arm in arms_of(results) if arm_in_full(arm, settings_of(results, arm)) == row.arm)
    arm = next(named, baseline_of(results))
    return {**EARLIER, **settings_of(row.results, arm)}


def _account(silence: Silence, row: Judged, paper: SourcePaper, found: ResultsByStudy) -> Account:
    trained = silence.study != AUTHORS
    results = nearest(found.get(silence.study, ()), paper, dataset=row.dataset, trained=trained)
    moves = [] if results is None else _moves(results, _settings_of(row))
    return {
        "about": silence.about, "moved": [_moved(*move) for move in moves],
        "status": _status(results, [move for _, move in moves], row, paper, trained=trained),
        "command": ablate_alike(silence.study, row.results) if isinstance(row.results, StudyResults) else "",
    }  # fmt: skip


def _moves(results: StudyResults, own: Mapping[str, Any]) -> list[tuple[str, Interval]]:
    """Return what each arm comes to by the paper's linear evaluation against the one that is like the number's runs.

    That is the baseline, unless another arm has the settings `own` of these runs and it has not.
    """
    baseline, arms = baseline_of(results), arms_of(results)
    alike = [arm for arm in (baseline, *arms) if all(own.get(key) == value for key, value in arm.settings.items())]
    reference = next(iter(alike), baseline)
    others = [arm for arm in arms if arm is not reference]
    found = [(f"{arm_name(arm)} over {arm_name(reference)}", paired(arm, reference, "linear")) for arm in others]
    return [(names, move) for names, move in found if move is not None]


def _moved(names: str, move: Interval) -> str:
    return f"{names}: {value_text(move, 'points')} {bounds_text(move, 'points')}"


def _status(
    results: StudyResults | None, moves: Sequence[Interval], row: Judged, paper: SourcePaper, *, trained: bool
) -> str:  # fmt: skip
    """Return whether what a silence moves is as much as the number is off, and where that was measured."""
    if results is None or not moves or row.difference is None:
        return NOT_RUN
    if barred := barring(deviations_of_study(results, paper, trained=trained)):
        return f"{tried_as(barred)}, on {data_of(results.data)}"
    bounds = [bound for move in moves for bound in (move.low, move.high) if bound is not None]
    needed = -row.difference.mean
    if not bounds:
        return "measured, without an interval"
    reach = max(bounds) if needed > 0 else -min(bounds)
    return "it could account for the difference" if reach >= abs(needed) else "too small to account for it alone"
