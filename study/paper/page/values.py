"""Measured numbers in their own units, as text."""

from study.paper.judged import Measure
from study.paper.protocol import data_of
from study.reporting.format import figure_of, signed
from study.results.comparisons import Interval
from study.results.schema import StudyResults


def value_text(value: Interval | None, kind: Measure) -> str:
    """Return a measured number in its own unit; a dash where nothing was measured."""
    if value is None:
        return "–"
    if kind == "accuracy":
        return f"{figure_of(value.mean, '.2f', 100)} %"
    if kind == "points":
        return f"{signed(100 * value.mean)} points"
    return f"{figure_of(value.mean, '#.3g')} times" if kind == "ratio" else f"{figure_of(value.mean, '.0f', 100)} %"


def bounds_text(value: Interval | None, kind: Measure) -> str:
    """Return the interval of a measured number, and how many seeds it is from; empty where nothing was measured."""
    if value is None:
        return ""
    if value.low is None or value.high is None:
        return f"n = {value.n}, no interval"
    low, high = (_bound(bound, kind) for bound in (value.low, value.high))
    return f"[{low}, {high}], n = {value.n}"


def _bound(bound: float, kind: Measure) -> str:
    if kind == "points":
        return signed(100 * bound)
    if kind == "ratio":
        return figure_of(bound, "#.3g")
    return figure_of(min(1.0, max(0.0, bound)), ".2f" if kind == "accuracy" else ".0f", 100)  # no share lies outside


def basis_text(results: StudyResults | None) -> str:
    """Return on which images and by which profile results were measured; empty without any."""
    return "" if results is None else f"{data_of(results.data)}, profile {results.profile}"
