"""The claims as cards, each with what was measured of it."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, REPRODUCED, UNDETERMINED, Judged
from study.paper.page.commands import made_by, missing_text, next_command
from study.paper.page.values import bounds_text, value_text
from study.paper.protocol import DATASETS, data_of
from study.paper.published import SourcePaper
from study.reporting.format import short, signed

NOT_MEASURED = "not measured"
STATUSES = {  # -> its sign, and its class of style
    REPRODUCED: ("●", "reproduced"), NOT_REPRODUCED: ("✖", "not-reproduced"), UNDETERMINED: ("◆", "undetermined"),
    NOT_MEASURED: ("○", "not-measured"),
}  # fmt: skip
NOT_RECORDED = "where in the paper: not recorded"

Protocols = Mapping[tuple[str, ...], str]  # deviations from the paper's -> the letter for them


class Fact(TypedDict):
    """What a card says of one measurement: a name and a text."""

    name: str
    text: str


class Measurement(TypedDict):
    """One measurement of a claim, as text."""

    arm: str
    facts: list[Fact]
    runs: str


class Missing(TypedDict):
    """What a verdict would take, and the command that measures it."""

    text: str
    command: str


class ClaimCard(TypedDict):
    """A claim with all that was measured of it, as text."""

    says: str
    place: str
    paper: str
    status: str
    sign: str
    style: str
    note: str
    measurements: list[Measurement]
    made: list[str]
    missing: list[Missing]


class Group(TypedDict):
    """The claims of one status; `title` says it with their number."""

    status: str
    title: str
    cards: list[ClaimCard]


def claims_of(rows: Sequence[Judged]) -> list[list[Judged]]:
    """Return the rows of each claim, in the paper's order."""
    found: dict[str, list[Judged]] = {}
    for row in rows:
        found.setdefault(row.claim, []).append(row)
    return list(found.values())


def is_measured(row: Judged) -> bool:
    """Return whether there is anything of ours beside the claim."""
    return row.ours is not None or row.outcome in (HOLDS, FAILS)


def status_of(rows: Sequence[Judged]) -> str:
    """Return the status of a claim: the verdict that all its measurements share, and undetermined where they differ."""
    if not any(map(is_measured, rows)):
        return NOT_MEASURED
    verdicts = {row.verdict for row in rows}
    return verdicts.pop() if len(verdicts) == 1 else UNDETERMINED


def protocols_of(rows: Sequence[Judged]) -> dict[tuple[str, ...], str]:
    """Return the letter that stands on the cards for each protocol other than the paper's."""
    different = dict.fromkeys(row.deviations for row in rows if row.deviations and is_measured(row))
    return {deviations: chr(ord("A") + number) for number, deviations in enumerate(different)}


def groups_of(rows: Sequence[Judged], paper: SourcePaper, protocols: Protocols) -> list[Group]:
    """Return the claims by status: those that are decided first, those not measured last."""
    cards = [claim_card(claim, paper, protocols) for claim in claims_of(rows)]
    grouped = {status: [card for card in cards if card["status"] == status] for status in STATUSES}
    return [
        {"status": status, "title": f"{status[0].upper()}{status[1:]}: {len(own)} of {len(cards)}", "cards": own}
        for status, own in grouped.items() if own
    ]  # fmt: skip


def claim_card(rows: Sequence[Judged], paper: SourcePaper, protocols: Protocols) -> ClaimCard:
    """Return the card of a claim from its rows, one a measurement."""
    first, status = rows[0], status_of(rows)
    sign, style = STATUSES[status]
    made = dict.fromkeys(command for row in rows for command in made_by(row))
    missing = {next_command(row): missing_text(row) for row in rows if next_command(row)}
    return {
        "says": first.says, "place": paper.places.get(first.claim, NOT_RECORDED), "paper": _paper(first),
        "status": status, "sign": sign, "style": style, "note": _note(rows, status),
        "measurements": [_measurement(row, protocols) for row in rows if is_measured(row) or row.reason],
        "made": list(made), "missing": [{"text": text, "command": command} for command, text in missing.items()],
    }  # fmt: skip


def _note(rows: Sequence[Judged], status: str) -> str:
    """Return why a claim is undetermined, in a sentence; empty for any other."""
    if status != UNDETERMINED:
        return ""
    measured = [row for row in rows if is_measured(row)]
    lacking = [DATASETS.get(row.dataset, row.dataset) for row in rows if not is_measured(row)]
    if all(row.deviations for row in measured):
        return "Measured by another protocol than the paper's."
    if len({row.verdict for row in measured}) > 1:
        return "Its measurements disagree, and the paper does not say which of them it means."
    if lacking:
        return f"Not measured on {' and '.join(dict.fromkeys(lacking))}."
    return "Too few seeds, or too wide an interval, to decide."


def _measurement(row: Judged, protocols: Protocols) -> Measurement:
    ours = " ".join(text for text in (value_text(row.ours, row.kind), bounds_text(row.ours, row.kind)) if text)
    facts = [("Ours", ours), ("Difference", _difference(row)), ("How sure", row.reason), ("On", _basis(row, protocols)),
             ("Verdict", _verdict(row))]  # fmt: skip
    return {
        "arm": row.arm, "facts": [{"name": name, "text": text} for name, text in facts if text],
        "runs": ", ".join(short(digest) for digest in row.runs),
    }  # fmt: skip


def _verdict(row: Judged) -> str:
    """Return the verdict of one measurement; where the protocol is another, what it says there."""
    if row.verdict != UNDETERMINED or not row.outcome:
        return row.verdict
    return f"{row.outcome} by this protocol" if row.deviations else f"{row.outcome} yet; it takes {missing_text(row)}"


def _paper(row: Judged) -> str:
    """Return the paper's number; empty for a claim in words."""
    if row.paper is None:
        return ""
    return signed(100 * row.paper, ".0f") + " points" if row.kind == "points" else f"{100 * row.paper:.2f} %"


def _basis(row: Judged, protocols: Protocols) -> str:
    """Return on what a measurement stands: images, and whether the protocol is the paper's."""
    data = row.results.data if row.results is not None else None
    if data is None:
        return ""
    protocol = f"protocol {protocols[row.deviations]}" if row.deviations in protocols else "the paper's protocol"
    return f"{data_of(data)}, {protocol}"


def _difference(row: Judged) -> str:
    """Return ours less the paper's where the protocol is the paper's: nothing is subtracted across protocols."""
    if row.difference is None or row.ours is None or row.deviations:
        return ""
    return f"{value_text(row.difference, 'points')} {bounds_text(row.difference, 'points')}"
