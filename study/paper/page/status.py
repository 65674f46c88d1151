"""The status of a claim, from all its measurements, and how a page marks it."""

from collections.abc import Iterable, Sequence

from study.paper.judged import (
    FAILS,
    HOLDS,
    NOT_RUN,
    OTHER_PROTOCOL,
    SMALLER,
    TRIED,
    UNDETERMINED,
    Judged,
    is_not_reproduced,
    is_reproduced,
    is_settled,
)
from study.paper.protocol import DATASETS

DEPENDS = "depends on the reading"  # one reading of the claim is reproduced, another is not
# Sign and class of style of each status; a verdict on a copy has those of the verdict.
_MARKS = {DEPENDS: ("◐", "depends"), UNDETERMINED: ("◆", "undetermined"), SMALLER: ("▼", "smaller"),
          OTHER_PROTOCOL: ("▶", "other-protocol"), NOT_RUN: ("○", "not-run")}  # fmt: skip
_ON_COPY = "on-copy"  # one more class of style


def mark_of(status: str) -> tuple[str, str]:
    """Return the sign of a status and its classes of style."""
    if is_settled(status):
        sign, style = ("●", "reproduced") if is_reproduced(status) else ("✖", "not-reproduced")
        return sign, f"{style} {_ON_COPY}" if " on the " in status else style
    return _MARKS[status]


def in_order(statuses: Iterable[str]) -> list[str]:
    """Return each status once: what is reproduced first, then what is not, what is open, what was tried, and not run."""
    return sorted(set(statuses), key=lambda status: (_rank(status), status))


def _rank(status: str) -> int:
    if is_settled(status):
        return 0 if is_reproduced(status) else 1
    return 2 + list(_MARKS).index(status)


def is_measured(row: Judged) -> bool:
    """Return whether there is anything of ours beside the claim."""
    return row.ours is not None or row.outcome in (HOLDS, FAILS)


def status_of(rows: Sequence[Judged]) -> str:
    """Return the status of a claim from its rows.

    Rows on one data set are readings of the claim: where some are reproduced and others not, it depends on the reading. It
    has to hold on every data set that it names: one on which it does not decides, and else the one furthest from a verdict.
    """
    own = [_of_readings([row for row in rows if row.dataset == dataset]) for dataset in _datasets(rows)]
    failed = [status for status in own if is_not_reproduced(status)]
    return failed[0] if failed else max(own, key=lambda status: (_rank(status), status))


def _of_readings(rows: Sequence[Judged]) -> str:
    """Return the status of a claim on one data set. What has a verdict, or could have, comes before what was tried."""
    measured = [row.verdict for row in rows if is_measured(row)]
    by_protocol = {verdict for verdict in measured if verdict not in TRIED}
    if not by_protocol:
        return next((status for status in (SMALLER, OTHER_PROTOCOL) if status in measured), NOT_RUN)
    if UNDETERMINED in by_protocol:
        return UNDETERMINED
    if any(map(is_reproduced, by_protocol)) and any(map(is_not_reproduced, by_protocol)):
        return DEPENDS
    return in_order(by_protocol)[-1]


def note_of(rows: Sequence[Judged]) -> str:
    """Return why a claim has its status where its rows do not say so themselves; else an empty text."""
    status, datasets = status_of(rows), _datasets(rows)
    if len(datasets) > 1:
        own = {one: _of_readings([row for row in rows if row.dataset == one]) for one in datasets}
        if len(set(own.values())) > 1:
            return " ".join(f"On {DATASETS.get(one, one)}: {said}." for one, said in own.items())
    if status == DEPENDS:
        return "Its measurements disagree, and the paper does not say which of them it means."
    if status in TRIED:
        return "Nothing here is held against the paper: it was not measured by the paper's protocol."
    settled = [row for row in rows if is_settled(row.verdict)]
    if status == UNDETERMINED:
        said = f"{len(settled)} of its {len(rows)} measurements decided, the others did not: " if settled else ""
        why = "too few seeds, or too wide an interval."
        return f"{said}{why}" if said else f"{why[0].upper()}{why[1:]}"
    left = [row for row in rows if settled and not is_settled(row.verdict)]
    if left:
        return f"By one reading of the claim. {_listed(left)}."
    return ""


def _listed(rows: Sequence[Judged]) -> str:
    """Return the readings that did not decide, with what became of each."""
    return "; ".join(f"{row.arm or 'another'}: {row.verdict}" for row in rows)


def _datasets(rows: Sequence[Judged]) -> list[str]:
    return list(dict.fromkeys(row.dataset for row in rows))
