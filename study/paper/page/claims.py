"""The claims as cards, each with what was measured of it."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from study.paper.copy_cost import CopyCost
from study.paper.evidence import ResultsByStudy
from study.paper.judged import TRIED, UNDETERMINED, Judged, is_settled
from study.paper.page.accounts import Account, accounts_of, apart_text
from study.paper.page.commands import made_by, missing_text, next_command
from study.paper.page.copies import brief_cost_text
from study.paper.page.status import in_order, is_measured, mark_of, note_of, status_of
from study.paper.page.values import bounds_text, value_text
from study.paper.protocol import Deviation, Kind, data_of, trained_on
from study.paper.published import SourcePaper
from study.reporting.format import short, signed

NOT_RECORDED = "where in the paper: not recorded"

Protocols = Mapping[tuple[Deviation, ...], str]  # differences from the paper's -> the letter for them


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
    """A claim with all that was measured of it, as text. `accounts` could explain why a number does not come out."""

    says: str
    place: str
    paper: str
    status: str
    sign: str
    style: str
    note: str
    copies: list[str]
    measurements: list[Measurement]
    apart: str
    accounts: list[Account]
    made: list[str]
    missing: list[Missing]


class Group(TypedDict):
    """The claims of one status; `title` says it with their number, `anchor` is its address on the page."""

    status: str
    anchor: str
    title: str
    cards: list[ClaimCard]


def claims_of(rows: Sequence[Judged]) -> list[list[Judged]]:
    """Return the rows of each claim, in the paper's order."""
    found: dict[str, list[Judged]] = {}
    for row in rows:
        found.setdefault(row.claim, []).append(row)
    return list(found.values())


def protocols_of(rows: Sequence[Judged]) -> dict[tuple[Deviation, ...], str]:
    """Return the letter that stands on the cards for each protocol with which nothing is held against the paper."""
    different = dict.fromkeys(row.deviations for row in rows if row.barring and is_measured(row))
    return {deviations: chr(ord("A") + number) for number, deviations in enumerate(different)}


def groups_of(
    rows: Sequence[Judged], paper: SourcePaper, protocols: Protocols, found: ResultsByStudy, cost: CopyCost
) -> list[Group]:  # fmt: skip
    """Return the claims by status: those that are decided first, those not run last."""
    cards = [claim_card(claim, paper, protocols, found, cost) for claim in claims_of(rows)]
    statuses = in_order(card["status"] for card in cards)
    grouped = {status: [card for card in cards if card["status"] == status] for status in statuses}
    return [
        {
            "status": status, "anchor": anchor_of(status), "cards": own,
            "title": f"{status[0].upper()}{status[1:]}: {len(own)} of {len(cards)}",
        }
        for status, own in grouped.items()
    ]  # fmt: skip


def copies_of(rows: Sequence[Judged]) -> list[str]:
    """Return the name of each copy of which a measurement is held against the paper's."""
    held = [row.copy for row in rows if row.copy and is_measured(row) and row.verdict not in TRIED]
    return list(dict.fromkeys(held))


def anchor_of(status: str) -> str:
    """Return the address on the page of the claims of a status."""
    return status.lower().replace(" ", "-")


def claim_card(
    rows: Sequence[Judged], paper: SourcePaper, protocols: Protocols, found: ResultsByStudy, cost: CopyCost
) -> ClaimCard:  # fmt: skip
    """Return the card of a claim from its rows, one a measurement.

    Args:
        rows: of one claim.
        paper: what it says, and is silent about.
        protocols: the letter of each protocol that is not the paper's.
        found: all results, for what the paper's silences move.
        cost: what a copy of the images may cost.
    """
    first, status = rows[0], status_of(rows)
    sign, style = mark_of(status)
    made = dict.fromkeys(command for row in rows for command in made_by(row))
    missing = {next_command(row): missing_text(row) for row in rows if next_command(row)}
    return {
        "says": first.says, "place": paper.places.get(first.claim, NOT_RECORDED), "paper": paper_text(first),
        "status": status, "sign": sign, "style": style, "note": note_of(rows),
        "copies": [brief_cost_text(copy, cost) for copy in copies_of(rows)],
        "measurements": [_measurement(row, status, protocols) for row in rows if is_measured(row) or row.reason],
        "apart": apart_text(rows), "accounts": accounts_of(rows, paper, found),
        "made": list(made), "missing": [{"text": text, "command": command} for command, text in missing.items()],
    }  # fmt: skip


def _measurement(row: Judged, status: str, protocols: Protocols) -> Measurement:
    ours = " ".join(text for text in (value_text(row.ours, row.kind), bounds_text(row.ours, row.kind)) if text)
    facts = [
        ("Ours", ours), ("Difference", _difference(row)), ("How sure", row.reason), ("On", _images(row)),
        ("Protocol", _protocol(row, protocols)), _verdict(row, status),
    ]  # fmt: skip
    return {
        "arm": row.arm, "facts": [{"name": name, "text": text} for name, text in facts if text],
        "runs": ", ".join(short(digest) for digest in row.runs),
    }  # fmt: skip


def _verdict(row: Judged, status: str) -> tuple[str, str]:
    """Return the verdict of one measurement; of one that has none its status, where the card has another."""
    if is_settled(row.verdict):
        return "Verdict", row.verdict
    if row.verdict == UNDETERMINED:
        return "Verdict", f"{UNDETERMINED}; it takes {missing_text(row)}"
    return "Status", "" if row.verdict == status else row.verdict


def paper_text(row: Judged) -> str:
    """Return the paper's number; empty for a claim in words."""
    if row.paper is None:
        return ""
    return signed(100 * row.paper, ".0f") + " points" if row.kind == "points" else f"{100 * row.paper:.2f} %"


def _images(row: Judged) -> str:
    return data_of(row.data) if row.data is not None and is_measured(row) else ""


def _protocol(row: Judged, protocols: Protocols) -> str:
    """Return whether the protocol is the paper's, and what else has to be known of how a measurement was made."""
    if row.data is None or not is_measured(row):
        return ""
    named = "the paper's" if row.deviations not in protocols else f"{protocols[row.deviations]}, which is not the paper's"
    kinds = (Kind.ARITHMETIC,) if row.barring else (Kind.ARITHMETIC, Kind.SILENT)  # others stand under the letter
    beside = [one.text for one in row.deviations if one.kind in kinds]
    return "; ".join([named, trained_on(row.data, row.deviations), *beside])


def _difference(row: Judged) -> str:
    """Return ours less the paper's where the protocol is the paper's: nothing is subtracted across protocols."""
    if row.difference is None or row.ours is None or row.barring:
        return ""
    return f"{value_text(row.difference, 'points')} {bounds_text(row.difference, 'points')}"
