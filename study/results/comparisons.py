"""What results say of arms: means, differences and their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

from study.results.json_values import json_field
from study.spec.about import BETTER, EQUIVALENT, WORSE

UNDECIDED = "undecided"
DECISIONS = (BETTER, WORSE, EQUIVALENT, UNDECIDED)  # of an arm against the baseline; equivalent is within the margin


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of n paired differences, its confidence interval and the two-sided p-value against zero.

    `low`, `high` and `p` are None where n is too small to estimate a spread. Of ratios the mean is geometric and p is
    against 1.
    """

    n: int
    mean: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A rank correlation of n points and its 95 % interval.

    `value` is None where an input is constant, `low` and `high` also where there are fewer than 5 independent units.
    """

    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class DifferenceDetail:
    """What a difference of the primary accuracy says beside its interval.

    `values` are the differences at `seeds`, `effect_size` is Hedges' g, and `probability_better` how likely one more seed
    is above. `test_error` is the standard error from the choice of test images. `spread` is the standard deviation of one
    difference that the interval rests on, `freedom` its degrees of freedom, and `moderated` whether other arms of the same
    class had a part in it; files of earlier versions have none of these.
    """

    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    effect_size: float | None = None
    probability_better: float | None = None
    test_error: float | None = None
    spread: float | None = json_field(omitted=True)
    freedom: float | None = json_field(omitted=True)
    moderated: bool | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Adjusted:
    """What a test says as one of a study's.

    `p_holm` is the p-value adjusted by Holm over the study's tests, times the price of its looks; None where the test has
    none. `decision` is one of `DECISIONS`; None for gains, and in files of earlier versions.
    """

    p_holm: float | None = None
    decision: str | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """A difference paired by seed. `detail` is that of the primary accuracy; `adjusted` that of a test."""

    detail: DifferenceDetail | None = json_field(inline=True)
    adjusted: Adjusted | None = json_field(inline=True)

    @property
    def p_holm(self) -> float | None:
        """The p-value adjusted by Holm; None where this is no test or has no p-value."""
        return self.adjusted.p_holm if self.adjusted else None

    @property
    def decision(self) -> str | None:
        """One of `DECISIONS`; None where this is no test of an arm."""
        return self.adjusted.decision if self.adjusted else None


@dataclass(frozen=True, kw_only=True)
class ColumnSummary:
    """One column of an arm over its seeds.

    `difference` is from the baseline, `gain` from the arm's untrained control; each is None where there is nothing to pair.
    `test_error` is the standard error of the mean from the choice of test images, of the primary accuracy alone.
    """

    n: int
    mean: float
    sd: float | None
    difference: Difference | None
    gain: Difference | None
    test_error: float | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """How an arm's runs ended: collapse type, or else status -> count; and how many collapsed, with Wilson's interval."""

    asked: int
    counts: Mapping[str, int]
    collapsed: int
    low: float
    high: float
