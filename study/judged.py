"""What is said of one claim of the source paper: a measurement beside it, a verdict, and what is missing for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from study.protocol import dataset_of, differences
from study.statistics import Interval, paired_difference

REPRODUCED, NOT_REPRODUCED, UNDETERMINED = "reproduced", "not reproduced", "undetermined"
HOLDS, FAILS, OPEN = "it holds", "it does not hold", "it cannot be told"

Results = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One claim beside one measurement. Shares and ratios are numbers; the page formats them.

    `kind` says what `ours` and `difference` are: `accuracy` (shares), `points` (differences of shares), `ratio` (of two
    positive numbers) or `share`. `apart` is all in which the protocol differs; `told` what the measurement says by itself
    (holds, does not hold, cannot be told), which is the verdict's where nothing is apart. `missing` says what it would take.
    """

    claim: str
    says: str
    study: str
    dataset: str
    arm: str = ""
    kind: str = "accuracy"
    paper: float | None = None
    ours: Interval | None = None
    difference: Interval | None = None
    told: str | None = None
    apart: tuple[str, ...] = ()
    verdict: str = UNDETERMINED
    reason: str = ""
    missing: str = ""
    results: Results | None = None
    runs: tuple[str, ...] = ()


def decide(row: Judged) -> Judged:
    """The verdict that follows from what was told and what is apart."""
    if row.told is None or row.told == OPEN or row.apart:
        return replace(row, verdict=UNDETERMINED)
    return replace(row, verdict=REPRODUCED if row.told == HOLDS else NOT_REPRODUCED)


# ---- results


def nearest(
    candidates: Sequence[Results], paper: Mapping[str, Any], *, dataset: str, trained: bool = True
) -> Results | None:
    """Of the results on a data set those whose baseline is nearest to the paper's protocol; of equals the first."""
    known = [one for one in candidates if dataset_of(one["data"]) == dataset and arms_of(one)]
    return min(known, key=lambda one: len(differences(one, baseline_of(one), paper, trained=trained)), default=None)


def arms_of(results: Results) -> list[Mapping[str, Any]]:
    """The arms of a study that some run of has been measured, controls left out."""
    return [arm for arm in results["arms"] if not arm["is_control"] and arm["summary"]]


def baseline_of(results: Results) -> Mapping[str, Any]:
    return next((arm for arm in results["arms"] if arm["is_baseline"]), results["arms"][0])


def by_name(results: Results, name: str) -> Mapping[str, Any]:
    return next((arm for arm in results["arms"] if arm["name"] == name), {"name": name, "settings": {}, "runs": []})


def probe_of(results: Results) -> str:
    """The paper's linear evaluation where it was measured, else the study's own accuracy."""
    measured = any("linear" in run["test"] for arm in results["arms"] for run in arm["runs"])
    return "linear" if measured else results["primary"]


def accuracies(arm: Mapping[str, Any], probe: str) -> list[float]:
    """Test top-1 of an arm's runs, by seed."""
    return [top1 for _, top1 in sorted(_by_seed(arm, probe).items())]


def paired(arm: Mapping[str, Any], reference: Mapping[str, Any], probe: str) -> Interval | None:
    """The paired difference of two arms' accuracies; None where they share no seed."""
    own, others = _by_seed(arm, probe), _by_seed(reference, probe)
    seeds = sorted(set(own) & set(others))
    return paired_difference([own[seed] for seed in seeds], [others[seed] for seed in seeds]) if seeds else None


def digests(arm: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(run["digest"] for run in arm["runs"])


def _by_seed(arm: Mapping[str, Any], probe: str) -> dict[int, float]:
    return {run["seed"]: run["test"][probe]["top1"] for run in arm["runs"] if probe in run["test"]}
