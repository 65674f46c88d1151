"""One claim beside one measurement, and the verdict."""

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
class Finding:
    """What a measurement says of a claim by itself, why, and what is missing to say more."""

    outcome: str  # HOLDS, FAILS or OPEN
    reason: str = ""
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One claim beside one measurement. Shares and ratios are numbers; the page formats them.

    `kind` says what `ours` and `difference` are: `accuracy` (shares), `points` (differences of shares), `ratio` (of two
    positive numbers) or `share`. `outcome` is what the measurement says by itself, as a `Finding` has it. The verdict
    follows it where the protocol has no `deviations`. `missing` says what it would take. `reference` are results of another
    study, where a claim takes two.
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
    outcome: str | None = None
    deviations: tuple[str, ...] = ()
    verdict: str = UNDETERMINED
    reason: str = ""
    missing: str = ""
    results: StudyResults | Projection | None = None
    reference: StudyResults | None = None
    runs: tuple[str, ...] = ()


def decide(row: Judged, finding: Finding) -> Judged:
    """Return a row with a finding, and the verdict that follows from it where the protocol has no deviations."""
    row = replace(row, outcome=finding.outcome, reason=finding.reason, missing=finding.missing)
    if finding.outcome == OPEN or row.deviations:
        return row
    return replace(row, verdict=REPRODUCED if finding.outcome == HOLDS else NOT_REPRODUCED)


def without_interval(known: Interval | None) -> Finding:
    """Return the finding of a measurement without an interval: seeds are too few, or none of them differ."""
    return Finding(outcome=OPEN, missing="three seeds" if known is None or known.n < LEAST_SEEDS else "more seeds")
