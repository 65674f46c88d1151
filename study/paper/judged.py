"""What is said of one claim of the source paper: a measurement beside it, a verdict, and what is missing for one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from study.analysis.intervals import paired_difference
from study.analysis.moments import LEAST_SEEDS
from study.paper.protocol import dataset_of, differences
from study.results.comparisons import Interval

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
    reference: Results | None = None  # of another study, where a claim takes two
    runs: tuple[str, ...] = ()


def decide(row: Judged) -> Judged:
    """The verdict that follows from what was told and what is apart."""
    if row.told is None or row.told == OPEN or row.apart:
        return replace(row, verdict=UNDETERMINED)
    return replace(row, verdict=REPRODUCED if row.told == HOLDS else NOT_REPRODUCED)


def unsure(known: Interval | None) -> dict[str, str]:
    """What is told of what has no interval: too few seeds, or none that differ."""
    return {"told": OPEN, "missing": "three seeds" if known is None or known.n < LEAST_SEEDS else "more seeds"}


# ---- results


def nearest(
    candidates: Sequence[Results], paper: Mapping[str, Any], *, dataset: str, trained: bool = True
) -> Results | None:
    """Of the results on a data set those whose baseline is nearest to the paper's protocol; of equals those of most runs,
    and of these the first."""
    known = [one for one in candidates if dataset_of(one["data"]) == dataset and arms_of(one)]

    def distance(one: Results) -> tuple[int, int]:
        apart = differences(one, baseline_of(one), paper, probe=probe_of(one), trained=trained)
        return len(apart), -sum(len(digests(arm)) for arm in arms_of(one))

    return min(known, key=distance, default=None)


def nearest_map(maps: Sequence[Results], paper: Mapping[str, Any], *, dataset: str) -> Results | None:
    """Of the maps on a data set the one whose run is nearest to the paper's recipe; of equals the first."""
    known = [one for one in maps if dataset_of(one["data"]) == dataset and one.get("quality")]
    return min(known, key=lambda one: len(differences_of_map(one, paper)), default=None)


def differences_of_map(shown: Results, paper: Mapping[str, Any]) -> list[str]:
    """In what the network of a map, and what is mapped of it, differ from the paper's."""
    apart = differences(shown, {"settings": {}}, paper, probe=None)
    if shown["features"] != "embeddings":
        apart.append(f"t-SNE of the {shown['features']} in place of the embeddings")
    if len(shown["classes"]) < len(shown["data"]["classes"]):
        apart.append(f"{len(shown['classes'])} of {len(shown['data']['classes'])} classes on the map")
    return apart


def arms_of(results: Results) -> list[Mapping[str, Any]]:
    """The arms of a study that some run of has been measured: no controls, and nothing that was tried in order to choose."""
    return [arm for arm in results["arms"] if arm.get("role", "arm") in ("arm", "step") and not arm["is_control"]
            and arm.get("summary")]  # fmt: skip


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


def digests(*arms: Mapping[str, Any]) -> tuple[str, ...]:
    """The runs of some arms of which there is anything: what is missing was not run."""
    return tuple(run["digest"] for arm in arms for run in arm["runs"] if run["history"] or run["test"])


def _by_seed(arm: Mapping[str, Any], probe: str) -> dict[int, float]:
    return {run["seed"]: run["test"][probe]["top1"] for run in arm["runs"] if probe in run["test"]}
