"""One claim beside one measurement: what the measurement says, and the verdict."""

from dataclasses import dataclass, replace
from typing import Literal

from study.analysis.moments import LEAST_SEEDS
from study.projection.results import Projection
from study.results.comparisons import Interval
from study.results.schema import StudyResults

REPRODUCED, NOT_REPRODUCED, UNDETERMINED = "reproduced", "not reproduced", "undetermined"
HOLDS, FAILS, OPEN = "it holds", "it does not hold", "it cannot be told"

Kind = Literal["accuracy", "points", "ratio", "share"]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a measurement says of a claim by itself, why, and what is missing to say more."""

    told: str
    reason: str = ""
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One claim beside one measurement. Shares and ratios are numbers; the page formats them.

    `kind` says what `ours` and `difference` are: `accuracy` (shares), `points` (differences of shares), `ratio` (of two
    positive numbers) or `share`. `apart` is all in which the protocol differs. `told` is what the measurement says by itself
    (holds, does not hold, cannot be told), which is the verdict's where nothing is apart. `missing` says what it would take.
    `reference` are results of another study, where a claim takes two.
    """

    claim: str
    says: str
    study: str
    dataset: str
    arm: str = ""
    kind: Kind = "accuracy"
    paper: float | None = None
    ours: Interval | None = None
    difference: Interval | None = None
    told: str | None = None
    apart: tuple[str, ...] = ()
    verdict: str = UNDETERMINED
    reason: str = ""
    missing: str = ""
    results: StudyResults | Projection | None = None
    reference: StudyResults | None = None
    runs: tuple[str, ...] = ()


def decide(row: Judged, told: Told) -> Judged:
    """Return a row with what was told of it, and the verdict that follows from that and from what is apart."""
    row = replace(row, told=told.told, reason=told.reason, missing=told.missing)
    if told.told == OPEN or row.apart:
        return row
    return replace(row, verdict=REPRODUCED if told.told == HOLDS else NOT_REPRODUCED)


def unsure(known: Interval | None) -> Told:
    """Return what is told of a measurement without an interval: seeds are too few, or none of them differ."""
    return Told(told=OPEN, missing="three seeds" if known is None or known.n < LEAST_SEEDS else "more seeds")
