"""Where things stand: a sentence, what to do, and counts by status."""

from collections.abc import Sequence
from typing import TypedDict

from study.analysis.wording import agree, count_of
from study.paper.judged import FAILS, HOLDS, NOT_REPRODUCED, REPRODUCED, UNDETERMINED, Judged
from study.paper.page.claims import NOT_MEASURED, STATUSES, claims_of, is_measured, status_of


class Count(TypedDict):
    """How many claims have a status."""

    status: str
    sign: str
    style: str
    count: int


def counts_of(rows: Sequence[Judged]) -> list[Count]:
    """Return how many claims have each status, those with none too."""
    found = [status_of(claim) for claim in claims_of(rows)]
    return [
        {"status": status, "sign": sign, "style": style, "count": found.count(status)}
        for status, (sign, style) in STATUSES.items()
    ]


def standing_text(rows: Sequence[Judged]) -> str:
    """Return where the paper's claims stand, in a sentence."""
    counts = {one["status"]: one["count"] for one in counts_of(rows)}
    total = sum(counts.values())
    open_ = f"{counts[UNDETERMINED]} {agree(counts[UNDETERMINED], 'is', 'are')} undetermined"
    absent = f"{counts[NOT_MEASURED]} {agree(counts[NOT_MEASURED], 'was', 'were')} not measured"
    if counts[NOT_MEASURED] == total:
        return f"None of the paper's {total} claims has been measured yet."
    rest = " and ".join(text for text, n in ((open_, counts[UNDETERMINED]), (absent, counts[NOT_MEASURED])) if n)
    if not counts[REPRODUCED] and not counts[NOT_REPRODUCED]:
        return f"None of the paper's {total} claims is settled: {rest}."
    yes, no = counts[REPRODUCED], counts[NOT_REPRODUCED]
    decided = f"{yes} {agree(yes, 'is', 'are')} reproduced and {no} {agree(no, 'is', 'are')} not"
    return f"Of the paper's {total} claims {decided}" + (f"; {rest}." if rest else ".")


def next_commands(rows: Sequence[Judged]) -> list[str]:
    """Return the commands that run the paper's whole recipe on the images of those claims that are open."""
    left = [claim for claim in claims_of(rows) if status_of(claim) in (UNDETERMINED, NOT_MEASURED)]
    datasets = sorted({row.dataset for claim in left for row in claim if row.verdict == UNDETERMINED})
    return [f"dvc exp run -S profile={name}" for name in datasets]


def smaller_text(rows: Sequence[Judged]) -> str:
    """Return what other protocols than the paper's say of its claims; empty where there is none."""
    outcomes = [outcome for claim in claims_of(rows) if (outcome := _by_other_protocols(claim))]
    if not outcomes:
        return ""
    holds, fails = outcomes.count(HOLDS), outcomes.count(FAILS)
    rest, n = len(outcomes) - holds - fails, len(outcomes)
    measured = f"{count_of(n, 'claim')} {agree(n, 'was', 'were')} measured"
    said = f"{measured} by another protocol, which decides nothing about the paper's."
    tally = f"By it {holds} {agree(holds, 'holds', 'hold')}, {fails} {agree(fails, 'does', 'do')} not hold"
    return f"{said} {tally}, and {rest} cannot be told."


def _by_other_protocols(claim: Sequence[Judged]) -> str:
    """Return what the measurements by other protocols say of a claim; empty where there are none, or one by the paper's."""
    measured = [row for row in claim if is_measured(row)]
    if not measured or not all(row.deviations for row in measured):
        return ""
    outcomes = {row.outcome or "" for row in measured}
    return outcomes.pop() if len(outcomes) == 1 else "they differ"
