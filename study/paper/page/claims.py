"""The table of claims, and what is said beneath it."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, REPRODUCED, UNDETERMINED, Judged
from study.paper.page.commands import made_by, missing_text, next_command
from study.paper.page.values import bounds_text, value_text
from study.paper.protocol import DATASETS, data_of
from study.reporting.format import short, signed

SIGNS = {REPRODUCED: ("●", "healthy"), NOT_REPRODUCED: ("✖", "complete"), UNDETERMINED: ("◆", "view-dependent")}

Protocols = Mapping[tuple[str, ...], str]  # deviations from the paper's -> the letter for them


class Difference(TypedDict):
    """Ours less the paper's, as text."""

    text: str
    interval: str


class ClaimRow(TypedDict):
    """A row of the table of claims, as text."""

    says: str
    arm: str
    dataset: str
    paper: str
    ours: str
    interval: str
    basis: str
    difference: Difference
    certainty: str
    verdict: str
    sign: str
    style: str


class Detail(TypedDict):
    """What is said of a row beneath the table: its runs, the commands that made them, and the one that is missing."""

    title: str
    made: list[str]
    runs: str
    missing: str
    command: str


def answer_text(rows: Sequence[Judged]) -> str:
    """Return how many rows have which verdict, in a sentence or two."""
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in SIGNS}
    reduced = [row for row in rows if row.deviations and (row.ours is not None or row.outcome in (HOLDS, FAILS))]
    holds, fails = (sum(row.outcome == outcome for row in reduced) for outcome in (HOLDS, FAILS))
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    sentence = f"Of {len(rows)} comparisons with the paper's numbers and claims: {said}."
    if reduced:
        sentence += (f" {len(reduced)} of the undetermined were measured by another protocol, which decides nothing about "
                     f"the paper's: there {holds} hold, {fails} do not, and {len(reduced) - holds - fails} cannot be "
                     "told.")  # fmt: skip
    return sentence


def protocols_of(rows: Sequence[Judged]) -> dict[tuple[str, ...], str]:
    """Return the letter that stands in the table for each protocol other than the paper's."""
    different = dict.fromkeys(row.deviations for row in rows if row.deviations)
    return {deviations: chr(ord("A") + number) for number, deviations in enumerate(different)}


def claim_row(row: Judged, protocols: Protocols) -> ClaimRow:
    """Return a row of the table."""
    sign, style = SIGNS[row.verdict]
    return {
        "says": row.says, "arm": row.arm, "dataset": DATASETS.get(row.dataset, row.dataset),
        "paper": _paper(row), "ours": value_text(row.ours, row.kind), "interval": bounds_text(row.ours, row.kind),
        "basis": _basis(row, protocols), "difference": _difference(row), "certainty": _certainty(row),
        "verdict": _verdict(row, protocols), "sign": sign, "style": style,
    }  # fmt: skip


def _verdict(row: Judged, protocols: Protocols) -> str:
    """Return the verdict; where it is undetermined with what another protocol told, or with what is missing."""
    if row.verdict != UNDETERMINED:
        return row.verdict
    if row.deviations and row.outcome:
        return f"{row.verdict}; by protocol {protocols[row.deviations]} {row.outcome}"
    return f"{row.verdict}; missing: {missing_text(row)}"


def _paper(row: Judged) -> str:
    if row.paper is None:
        return "–"
    return signed(100 * row.paper, ".0f") + " points" if row.kind == "points" else f"{100 * row.paper:.2f} %"


def _basis(row: Judged, protocols: Protocols) -> str:
    """Return on what a measurement stands: images, and whether the protocol is the paper's."""
    data = row.results.data if row.results is not None else None
    if data is None:
        return ""
    protocol = f"protocol {protocols[row.deviations]}" if row.deviations else "the paper's protocol"
    return f"{data_of(data)}, {protocol}"


def _difference(row: Judged) -> Difference:
    """Return ours less the paper's, where the protocol is the paper's; nothing is subtracted across protocols."""
    if row.difference is None or row.ours is None:
        return {"text": "–", "interval": ""}
    if row.deviations:
        return {"text": "–", "interval": "another protocol"}
    return {"text": value_text(row.difference, "points"), "interval": bounds_text(row.difference, "points")}


def _certainty(row: Judged) -> str:
    if row.ours is None and not row.reason:
        return "not measured"
    return row.reason or (f"{row.ours.n} seeds" if row.ours else "–")


def details_of(rows: Sequence[Judged]) -> list[Detail]:
    """Return what is said of each row beneath the table."""
    return [
        {
            "title": f"{row.says} ({DATASETS.get(row.dataset, row.dataset)})" + (f": {row.arm}" if row.arm else ""),
            "made": made_by(row), "runs": ", ".join(short(digest) for digest in row.runs),
            "missing": missing_text(row), "command": next_command(row),
        }
        for row in rows
    ]  # fmt: skip
