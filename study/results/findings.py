"""What results say of a study as a whole and its design."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from study.results.comparisons import ColumnSummary, Correlation, Difference, Interval
from study.results.json_values import json_field


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a study's runs took, each counted once; `operations` are floating-point operations."""

    runs: int
    epochs: int
    images: int
    operations: float


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How often the results were looked at with a chance to stop or go on, and what that costs.

    `look` (from 1) of `planned` numbers of seeds is shown here. Where `declared`, `price` is the number of looks: p-values
    are times it, and intervals at 1 - 0.05 / price. Else `planned` are the numbers of seeds that were looked at, and an
    addition costs l (l + 1) at look l. With `until_decided`, arms that are decided stop: `stopped` maps each to the look
    that decided it, and `note` says why arms that are not decided got no more seeds.
    """

    look: int
    planned: tuple[int, ...]
    declared: bool
    price: int
    until_decided: bool = False
    stopped: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassPower:
    """What a study could have seen of the arms of one class: `healthy`, `collapsed`, or `mixed` seeds.

    `spread` is the standard deviation of one difference from the baseline, `detectable` the difference that is found with
    `Power.power`: both are quadratic means over the class's `arms` that have them. `freedom` is the mean of the spreads'
    degrees of freedom. `detectable_range` is `detectable` with the spread at either end of its 95 % interval.
    """

    name: str
    arms: int
    spread: float
    freedom: float
    detectable: float
    detectable_range: tuple[float, float] | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Power:
    """What a study could have seen, as one test among `family`.

    `spread`, `arms`, `detectable` and `needed` are of the class `spread_of`: the healthy arms, or where there are none the
    class of most arms. `classes` has every class. `detectable` is the difference found with `power` at `n` seeds.

    `needed` seeds find `margin`, `needed_range` with the spread at either end of its 95 % interval, and `command` adds them.
    Where that range says too little, the first two are None, and `command` doubles the seeds. Below three seeds `needed` is
    three, which is what it takes first.
    In files of earlier versions, which have no `spread_of`, the spread may be of arms that are not healthy.
    """

    n: int
    asked: int
    family: int
    alpha: float
    power: float
    margin: float
    spread: float | None
    arms: int
    detectable: float | None
    needed: int | None
    command: str | None
    spread_of: str | None = json_field(omitted=True)
    needed_range: tuple[int, int] | None = json_field(omitted=True)
    classes: tuple[ClassPower, ...] | None = json_field(omitted=True)

    @property
    def main_class(self) -> ClassPower | None:
        """The class that `spread`, `detectable` and `needed` are of; None where files do not say it."""
        return next((one for one in self.classes or () if one.name == self.spread_of), None)


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """How a collapse metric of one space goes with test accuracy, over `runs` runs of `settings` settings."""

    metric: str
    space: str
    runs: int
    settings: int
    spearman: Correlation
    kendall: Correlation


@dataclass(frozen=True, kw_only=True)
class ScaleClaim:
    """Whether two terms of the loss end on one scale: their ratio, and (collapsed, all) runs where they do or do not."""

    ratio: Interval
    weighted: Interval | None
    factor: float
    same: tuple[int, int]
    other: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class AnovaEffect:
    """One term of a grid's analysis of variance; `share` is of the sum of squares."""

    term: str
    df: int
    sum_of_squares: float
    f: float
    p: float
    partial_eta_squared: float
    omega_squared: float
    share: float


@dataclass(frozen=True, kw_only=True)
class AnovaTable:
    """A grid's analysis of variance over `n` runs; `missing` runs have no accuracy."""

    effects: tuple[AnovaEffect, ...]
    residual_df: int
    dropped: tuple[str, ...]
    n: int
    missing: int


@dataclass(frozen=True, kw_only=True)
class GridFindings:
    """A grid's factors with their levels, and its analysis of variance or the reason why there is none."""

    factors: Mapping[str, tuple[Any, ...]]
    anova: AnovaTable | None
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class TunedValue:
    """Nuisance settings tried for an arm, their validation accuracy, and whether they were chosen."""

    arm: str
    settings: Mapping[str, Any]
    value: float | None
    outcome: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a search: its settings, its value of each objective, and how many of its planned epochs it ran."""

    name: str
    number: int
    seed: int
    settings: Mapping[str, Any]
    status: str
    outcome: str
    collapse_type: str | None = json_field(key="verdict")
    values: Mapping[str, float]
    epochs: int
    planned: int


@dataclass(frozen=True, kw_only=True)
class Importance:
    """A parameter's share by fANOVA and by PED-ANOVA."""

    label: str
    fanova: float | None
    ped_anova: float | None


@dataclass(frozen=True, kw_only=True)
class ImportanceTable:
    """The importances of a search's parameters over `n` trials, and the noise floor of each method."""

    rows: tuple[Importance, ...]
    floor: Mapping[str, float]
    n: int


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """How many trials were pruned, and the epochs that saved: `saved` is a share of `planned`."""

    trials: int
    epochs: int
    planned: int
    saved: float


@dataclass(frozen=True, kw_only=True)
class SearchFindings:
    """A search's trials in the order proposed. `numeric` maps each numeric parameter to whether its range is logarithmic."""

    sampler: str
    objectives: tuple[str, ...]
    trials: tuple[Trial, ...]
    front: tuple[str, ...]
    numeric: Mapping[str, bool]
    importances: ImportanceTable | None
    importances_reason: str | None
    pruned: Pruning


@dataclass(frozen=True, kw_only=True)
class PathStep:
    """One change on a path: what it gained over the arm before it, and in total over the baseline."""

    arm: str
    change: str
    summary: ColumnSummary
    gain: Difference
    total: Difference | None
    alternatives: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PathFindings:
    """The walk from the baseline to the arm labelled `to`."""

    to: str
    steps: tuple[PathStep, ...]
    note: str
