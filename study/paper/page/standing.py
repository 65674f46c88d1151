"""Where things stand: a sentence, what to do, and counts by status."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from study.analysis.wording import agree, capitalised, count_of, in_words, listed
from study.paper.judged import NOT_REPRODUCED, NOT_RUN, REPRODUCED, TRIED, UNDETERMINED, Judged, is_settled, on_copy
from study.paper.page.claims import anchor_of, claims_of, paper_text
from study.paper.page.commands import ablate, next_command
from study.paper.page.status import DEPENDS, in_order, mark_of, status_of
from study.paper.page.values import bounds_text, value_text
from study.paper.published import RECIPE
from study.results.schema import StudyResults


class Count(TypedDict):
    """How many claims have a status; `anchor` is the address of these on the page."""

    status: str
    anchor: str
    sign: str
    style: str
    count: int


def counts_of(rows: Sequence[Judged]) -> list[Count]:
    """Return how many claims have each status that there is, decided ones first."""
    found = [status_of(claim) for claim in claims_of(rows)]
    return [
        {"status": status, "anchor": anchor_of(status), "sign": sign, "style": style, "count": found.count(status)}
        for status, (sign, style) in ((status, mark_of(status)) for status in in_order(found))
    ]  # fmt: skip


def standing_text(rows: Sequence[Judged]) -> str:
    """Return where the paper's claims stand, in at most three sentences: verdicts, what is open, what has no verdict."""
    counts = {one["status"]: one["count"] for one in counts_of(rows)}
    total = sum(counts.values())
    if counts.get(NOT_RUN) == total:
        return f"None of the paper's {total} claims has been run yet."
    settled = _settled(counts)
    first = f"Of the paper's {total} claims {settled}" if settled else f"None of the paper's {total} claims is settled"
    undecided = [_part(status, counts[status]) for status in (DEPENDS, UNDETERMINED) if status in counts]
    rest = [_part(status, counts[status]) for status in (*TRIED, NOT_RUN) if status in counts]
    return " ".join(f"{capitalised(text)}." for text in (first, listed(undecided), listed(rest)) if text)


def numbers_of(rows: Sequence[Judged]) -> list[list[str]]:
    """Return a row for each measurement by the paper's protocol: the claim, our number, the paper's with the verdict."""
    return [
        [
            row.says,
            _number(row, named=len(claim) > 1 or row.kind == "share"),
            "; ".join(filter(None, (paper_text(row), row.verdict))),
        ]
        for claim in claims_of(rows)
        if status_of(claim) not in (*TRIED, NOT_RUN)
        for row in claim
        if row.ours is not None and row.verdict not in (*TRIED, NOT_RUN)
    ]


def _number(row: Judged, *, named: bool) -> str:
    """Return our number with its interval, behind what it is where that is not the claim's."""
    number = f"{value_text(row.ours, row.kind)} {bounds_text(row.ours, row.kind)}"
    return f"{row.arm}: {number}" if named and row.arm else number


def _settled(counts: Mapping[str, int]) -> str:
    """Return how many claims are reproduced and how many are not, those on a copy after those on canonical images."""
    copies = dict.fromkeys(status.partition(" on the ")[2] for status in counts if is_settled(status))
    return "; ".join(_pair(counts, copy) for copy in sorted(copies))


def _pair(counts: Mapping[str, int], copy: str) -> str:
    """Return how many claims are reproduced and how many are not, on one copy of the images or on the canonical ones."""
    verdicts = on_copy(REPRODUCED, copy), on_copy(NOT_REPRODUCED, copy)
    yes, no = (counts.get(verdict, 0) for verdict in verdicts)
    if yes and no:
        told = f"{in_words(yes)} {agree(yes, 'is', 'are')} {REPRODUCED} and {in_words(no)} {agree(no, 'is', 'are')} not"
        return f"{told}, on the {copy}" if copy else told
    return _part(verdicts[0] if yes else verdicts[1], yes or no)


def _part(status: str, count: int) -> str:
    """Return how many claims have a status, with its verb: `two are undetermined`, `three were not run`."""
    if status == DEPENDS:
        return f"{in_words(count)} {agree(count, 'depends', 'depend')} on the reading"
    past = status in (*TRIED, NOT_RUN)
    return f"{in_words(count)} {agree(count, 'was', 'were') if past else agree(count, 'is', 'are')} {status}"


def next_commands(rows: Sequence[Judged]) -> list[str]:
    """Return the commands that run the paper's whole recipe on the images of those claims that are open."""
    left = [claim for claim in claims_of(rows) if not (is_settled(status_of(claim)) or status_of(claim) == DEPENDS)]
    datasets = sorted({row.dataset for claim in left for row in claim if not is_settled(row.verdict)})
    return [f"dvc exp run -S profile={name}" for name in datasets]


def first_step(rows: Sequence[Judged]) -> tuple[str, str] | None:
    """Return what the cheapest study answers, in words, and its command; None where nothing that it measures is open.

    It is the study of the recipe alone: one training a seed tells of several claims.
    """
    own = [row for row in rows if row.study == RECIPE and row.dataset == "cifar10" and not is_settled(row.verdict)]
    left = [
        row for row in own if row.verdict in (*TRIED, NOT_RUN) or row.missing.endswith(" seeds")
    ]  # others need more than runs
    claims = len({row.claim for row in left})
    if not claims:
        return None
    begun = [row for row in left if isinstance(row.results, StudyResults) and row.results.study == RECIPE]
    command = next(map(next_command, begun), ablate(RECIPE, "cifar10"))
    what = "more seeds of the recipe tell" if begun else "one training a seed tells"
    return f"The cheapest step: {what} of {count_of(claims, 'claim')}.", command


def tried_text(rows: Sequence[Judged]) -> str:
    """Return what becomes of claims that were tried, but not by the paper's protocol; empty where there are none."""
    n = [status_of(claim) in TRIED for claim in claims_of(rows)].count(True)
    if not n:
        return ""
    return (f"{count_of(n, 'claim')} {agree(n, 'was', 'were')} tried, but not by the paper's protocol. Values are shown "
            "with their protocol, and nothing is held against the paper.")  # fmt: skip
