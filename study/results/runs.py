"""What results say of one run: its log, accuracies and collapse metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.results.json_values import from_values, json_field

SPACES = ("representations", "embeddings")
_OF_THE_MACHINE = ("images_per_second", "joules")  # of what a store says of a run


@dataclass(frozen=True, kw_only=True)
class DecidingMeasure:
    """The measure that decided a collapse type, and the threshold that it is `below` or `above`.

    For a healthy network it is the measure that is closest to its threshold. `owner` says in words whose number the
    threshold is; it is empty for a constant.
    """

    measure: str
    value: float
    side: str
    threshold: float
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class CollapseType:
    """How a network collapsed, or `healthy`, and the reason in a sentence.

    `borderline` says in a sentence which threshold a metric is within 10 % of, where that would change the name; None where
    none is, and in files of earlier versions. `deciding` is the measure that the name hangs on, where that was kept.
    """

    name: str
    reason: str = ""
    borderline: str | None = json_field(omitted=True)
    deciding: DecidingMeasure | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class CollapseMetrics:
    """Collapse metrics of one space; `vicreg.metrics` defines each in a function of its name.

    `spectrum` holds the descending eigenvalues of the covariance, `std_quantiles` five quantiles of the std over dimensions.
    A log has six of the numbers alone. `others` are metrics that this class does not name.
    """

    rankme: float | None = json_field(omitted=True)
    participation_ratio: float | None = json_field(omitted=True)
    std_mean: float | None = json_field(omitted=True)
    std_min: float | None = json_field(omitted=True)
    std_quantiles: tuple[float, ...] | None = json_field(omitted=True)
    normalised_std: float | None = json_field(omitted=True)
    dead_share: float | None = json_field(omitted=True)
    rms_correlation: float | None = json_field(omitted=True)
    alignment: float | None = json_field(omitted=True)
    uniformity: float | None = json_field(omitted=True)
    view_discrepancy: float | None = json_field(omitted=True)
    relative_dead_share: float | None = json_field(omitted=True)
    effective_rank: float | None = json_field(omitted=True)
    stable_rank: float | None = json_field(omitted=True)
    nesum: float | None = json_field(omitted=True)
    alpha_req: float | None = json_field(omitted=True)
    lidar: float | None = json_field(omitted=True)
    cluster_learnability: float | None = json_field(omitted=True)
    intrinsic_dimension: float | None = json_field(omitted=True)
    spectrum: tuple[float, ...] | None = json_field(omitted=True)
    others: Mapping[str, Any] = json_field(rest=True)

    def metric(self, name: str) -> float | None:
        """Return the metric of this name, or None where it was not measured."""
        value: float | None = getattr(self, name, None) if name != "others" else None
        return self.others.get(name) if value is None else value


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """One epoch's line of a training log.

    `total` is the loss. `representations` and `embeddings` are collapse metrics on held-out images. `logged` are the numbers
    that the method and the loop log beside these, by name: terms of the loss, `learning_rate`, `gradient_norm`, `knn`.
    """

    epoch: int
    total: float
    representations: CollapseMetrics | None = json_field(omitted=True)
    embeddings: CollapseMetrics | None = json_field(omitted=True)
    logged: Mapping[str, float | None] = json_field(rest=True)

    @property
    def knn(self) -> float | None:
        """The k-NN accuracy on validation, where this epoch was probed."""
        return self.logged.get("knn")

    def term(self, name: str) -> float:
        """Return a number that the method logs. Raise KeyError where it logs none of this name."""
        value = self.logged[name]
        if value is None:
            raise KeyError(name)
        return value


@dataclass(frozen=True, kw_only=True)
class ProbeAccuracy:
    """How often a probe was right on one split, as shares from 0 to 1.

    On test `per_class`, `confusion` (actual x predicted, counts) and `correct` (hexadecimal bits, one an image) are there
    too. The linear protocol adds `curve`, top-1 after each of its epochs. `chosen` are settings chosen on validation.
    """

    top1: float
    top5: float | None = json_field(omitted=True)
    per_class: tuple[float, ...] | None = json_field(omitted=True)
    confusion: tuple[tuple[int, ...], ...] | None = json_field(omitted=True)
    correct: str | None = json_field(omitted=True)
    curve: tuple[float, ...] | None = json_field(omitted=True)
    chosen: Mapping[str, float] = json_field(rest=True)


@dataclass(frozen=True, kw_only=True)
class RunResults:
    """One run of an arm: how it ended and what was measured of it.

    `validation` and `test` map probes to accuracies, `collapse` maps spaces to metrics; all three are empty where the run
    has not finished. `collapse_type` is then None. `measured_elsewhere` says on what, and from which weights, a run was
    measured that another machine trained.
    """

    seed: int
    digest: str
    status: str
    history: tuple[EpochRecord, ...]
    validation: Mapping[str, ProbeAccuracy]
    test: Mapping[str, ProbeAccuracy]
    collapse: Mapping[str, CollapseMetrics]
    collapse_type: CollapseType | None = json_field(key="verdict")
    reason: str | None = None
    commit: str | None = None
    effective_coefficients: Mapping[str, float] | None = None
    command: str | None = json_field(omitted=True)
    measured_elsewhere: str | None = json_field(omitted=True)

    @property
    def outcome(self) -> str:
        """The name of the run's collapse type, or without one its status."""
        return self.collapse_type.name if self.collapse_type else self.status

    def validation_top1(self, probe: str) -> float | None:
        """Return the probe's validation accuracy, or None where it was not measured."""
        return self.validation[probe].top1 if probe in self.validation else None

    def metric(self, name: str, space: str) -> float | None:
        """Return a collapse metric of a space, or None where it was not measured."""
        return self.collapse[space].metric(name) if space in self.collapse else None

    def test_top1(self, probe: str) -> float | None:
        """Return the probe's test accuracy, or None where it was not measured."""
        return self.test[probe].top1 if probe in self.test else None


def looks_at_others(runs: Iterable[RunResults]) -> frozenset[str]:
    """Return the digests of runs whose log is the beginning of another's: looks at a training, which is trained once."""
    by_first: dict[tuple[int, float], list[RunResults]] = {}
    for run in runs:
        if run.history:
            by_first.setdefault((run.seed, run.history[0].total), []).append(run)
    return frozenset(
        run.digest for group in by_first.values() for run in group
        if any(_begins(run.history, other.history) for other in group)
    )  # fmt: skip


def _begins(log: Sequence[EpochRecord], other: Sequence[EpochRecord]) -> bool:
    """Return whether a log is the beginning of a longer one. At its last epoch more may have been measured."""
    n = len(log)
    return n < len(other) and log[: n - 1] == other[: n - 1] and log[n - 1].total == other[n - 1].total


def run_results(stored: Mapping[str, Any]) -> RunResults:
    """Return what a store says of a run, without what depends on where and when it ran.

    Raises:
        InputError: for a key that `RunResults` does not know: what is measured must not be lost on the way.
    """
    values = {key: value for key, value in stored.items() if key not in _OF_THE_MACHINE}
    return from_values(RunResults, values, where=f"run {stored.get('digest')}", strict=True)
