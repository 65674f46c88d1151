"""One claim beside one measurement, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from study.analysis.moments import ENOUGH_SEEDS
from study.analysis.wording import in_words
from study.paper.protocol import Deviation, Kind, barring, copy_name
from study.projection.results import ProjectedData, Projection
from study.results.comparisons import Interval
from study.results.schema import DataDescription, StudyResults

REPRODUCED, NOT_REPRODUCED, UNDETERMINED = "reproduced", "not reproduced", "undetermined"
SMALLER, OTHER_PROTOCOL, NOT_RUN = "tried at a smaller scale", "tried by another protocol", "not run"
TRIED = (SMALLER, OTHER_PROTOCOL)  # nothing of these is held against the paper
HOLDS, FAILS, OPEN = "it holds", "it does not hold", "it cannot be told"

Measure = Literal["accuracy", "points", "ratio", "share"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a measurement says of a claim by itself, why, and what is missing to say more.

    `reason` describes the measurement; `against` says what follows for the claim, for a row that has a verdict.
    """

    outcome: str  # HOLDS, FAILS or OPEN
    reason: str = ""
    against: str = ""
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One claim beside one measurement. Shares and ratios are numbers; the page formats them.

    `kind` says what `ours` and `difference` are: `accuracy` (shares), `points` (differences of shares), `ratio` (of two
    positive numbers) or `share`. `outcome` is what the measurement says by itself, as a `Finding` has it. The verdict
    follows it where no difference from the paper's protocol bars one. `missing` says what it would take. `reference` are
    results of another study, where a claim takes two.
    """

    claim: str
    says: str
    study: str
    dataset: str
    arm: str = ""
    kind: Measure = "accuracy"
    paper: float | None = None
    ours: Interval | None = None
    difference: Interval | None = None
    outcome: str | None = None
    deviations: tuple[Deviation, ...] = ()
    verdict: str = NOT_RUN
    reason: str = ""
    missing: str = ""
    results: StudyResults | Projection | None = None
    reference: StudyResults | None = None
    runs: tuple[str, ...] = ()

    @property
    def data(self) -> DataDescription | ProjectedData | None:
        """The images that it was measured on."""
        return self.results.data if self.results is not None else None

    @property
    def barring(self) -> tuple[Deviation, ...]:
        """The differences from the paper's protocol with which nothing is held against its number."""
        return barring(self.deviations)

    @property
    def copy(self) -> str:
        """What the copy of the images is called, `JPEG copy` say; empty where all are canonical."""
        measured = [one.data for one in (self.results, self.reference) if one is not None and one.data is not None]
        return next((name for data in measured if (name := copy_name(data))), "")


def decide(row: Judged, finding: Finding) -> Judged:
    """Return a row with a finding, and the verdict that follows from it where no difference from the protocol bars one."""
    row = replace(row, outcome=finding.outcome, missing=finding.missing, reason=finding.reason)
    if row.ours is None and finding.outcome == OPEN:
        return row
    if row.barring:
        return replace(row, verdict=tried_as(row.barring))
    row = replace(row, reason="; ".join(text for text in (finding.reason, finding.against) if text))
    if finding.outcome == OPEN:
        return replace(row, verdict=UNDETERMINED)
    verdict = REPRODUCED if finding.outcome == HOLDS else NOT_REPRODUCED
    return replace(row, verdict=on_copy(verdict, row.copy))


def tried_as(barring: Sequence[Deviation]) -> str:
    """Return how a claim was tried, given what bars a verdict: at a smaller scale if some of it is smaller, none larger."""
    kinds = {one.kind for one in barring}
    return SMALLER if Kind.SMALLER in kinds and Kind.LARGER not in kinds else OTHER_PROTOCOL


def on_copy(verdict: str, copy: str) -> str:
    """Return a verdict with the copy of the images that it was reached on; as it is for the canonical ones."""
    return f"{verdict} on the {copy}" if copy else verdict


def is_reproduced(verdict: str) -> bool:
    """Return whether a verdict says `reproduced`, on whatever bytes."""
    return verdict == REPRODUCED or verdict.startswith(f"{REPRODUCED} on ")


def is_not_reproduced(verdict: str) -> bool:
    """Return whether a verdict says `not reproduced`, on whatever bytes."""
    return verdict == NOT_REPRODUCED or verdict.startswith(f"{NOT_REPRODUCED} on ")


def is_settled(verdict: str) -> bool:
    """Return whether a verdict says either."""
    return is_reproduced(verdict) or is_not_reproduced(verdict)


def without_interval(known: Interval | None, *, least: int = ENOUGH_SEEDS) -> Finding:
    """Return the finding of a measurement without an interval: seeds are fewer than `least`, or none of them differ."""
    too_few = known is None or known.n < least
    return Finding(outcome=OPEN, missing=f"{in_words(least)} seeds" if too_few else "more seeds")
