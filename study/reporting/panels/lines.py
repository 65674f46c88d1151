"""The lines of curves: mean and range over an arm's runs."""

import math
from collections.abc import Mapping, Sequence

from study.reporting.figures.curves import Line, LineStyle, RunEnd
from study.reporting.format import figure_of, finite, is_finite
from study.reporting.panels.panel import Table
from study.results.runs import EpochRecord
from study.results.schema import ArmResults

THINNED = 11  # epochs in the table behind a curve


def style_of(arm: ArmResults, *, label: str | None = None, is_baseline: bool | None = None) -> LineStyle:
    """Return how an arm's line is drawn; `label` and `is_baseline` take the place of the arm's own."""
    return {
        "label": arm.label if label is None else label,
        "is_baseline": arm.is_baseline if is_baseline is None else is_baseline,
        "is_control": arm.is_control,
        "type": arm.collapse_type.name,
    }


def histories(arm: ArmResults) -> list[tuple[EpochRecord, ...]]:
    """Return the logs of an arm's finished runs, or of the others where none has finished."""
    finished = [run.history for run in arm.runs if run.status == "finished" and run.history]
    return finished or [run.history for run in arm.runs if run.history]


def trace(arm: ArmResults, key: str) -> Line:
    """Return a logged quantity by epoch; `key` is its name, such as `total`, or a path such as `embeddings.rankme`."""
    by_epoch: dict[int, list[float]] = {}
    for history in histories(arm):
        for record in history:
            value = logged_value(record, key)
            if is_finite(value):
                by_epoch.setdefault(record.epoch, []).append(value)
    epochs = sorted(by_epoch)
    return epochs, [mean_and_range(by_epoch[epoch]) for epoch in epochs]


def run_ends(arm: ArmResults, key: str, *, scale: float = 1) -> list[RunEnd]:
    """Return the last value of a logged quantity, times `scale`, of each run that `trace` shows."""
    shown = histories(arm)
    ends = []
    for run in arm.runs:
        known = [(record.epoch, logged_value(record, key)) for record in run.history] if run.history in shown else []
        finite_ones = [(epoch, value) for epoch, value in known if is_finite(value)]
        if finite_ones:
            epoch, value = finite_ones[-1]
            ends.append(RunEnd(run.seed, epoch, scale * value))
    return ends


def logged_value(record: EpochRecord, key: str) -> float | None:
    """Return what an epoch's record says under `key`, None where it says nothing."""
    space, _, metric = key.rpartition(".")
    if space:
        metrics = record.embeddings if space == "embeddings" else record.representations
        return metrics.metric(metric) if metrics else None
    return record.total if key == "total" else record.logged.get(key)


def spectrum(arm: ArmResults, space: str) -> Line:
    """Return the eigenvalues of an arm's finished runs by index, each run's largest set to 1."""
    spectra = [finite(run.collapse[space].spectrum or ()) for run in arm.runs if space in run.collapse]
    spectra = [[value / values[0] for value in values] for values in spectra if values and values[0] > 0]
    columns = list(zip(*spectra))
    return list(range(1, len(columns) + 1)), [mean_and_range(column) for column in columns]


def probe_curve(arm: ArmResults) -> Line:
    """Return the test accuracy after each epoch of the linear evaluation."""
    curves = [run.test["linear"].curve for run in arm.runs if "linear" in run.test]
    columns = list(zip(*(curve for curve in curves if curve)))
    return list(range(1, len(columns) + 1)), [(sum(c) / len(c), min(c), max(c)) for c in columns]


def mean_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    """Return (mean, lowest, highest) of (n,) values."""
    return math.fsum(values) / len(values), min(values), max(values)


def in_percent(line: Line) -> Line:
    """Return a line of shares in percent."""
    x, y = line
    return x, [(100 * mean, 100 * low, 100 * high) for mean, low, high in y]


def lines_table(styles: Sequence[LineStyle], lines: Sequence[Line], what: str) -> Table:
    """Return the table behind curves, a row a line, at some of the epochs; `what` names one, such as `epoch`."""
    longest = max((x for x, _ in lines), key=len, default=[])
    shown = [longest[index] for index in _thinned(len(longest))]
    rows = []
    for style, (x, y) in zip(styles, lines):
        means: Mapping[int, float] = {epoch: point[0] for epoch, point in zip(x, y)}
        if means:
            rows.append([style["label"], *(figure_of(means.get(epoch), ".3g") for epoch in shown)])
    return ["Setting", *(f"{what} {epoch}" for epoch in shown)], rows


def _thinned(count: int) -> list[int]:
    """Return the indices of `count` epochs that a table shows: all of a few, else some evenly spaced."""
    if count <= THINNED:
        return list(range(count))
    return sorted({round(index * (count - 1) / (THINNED - 1)) for index in range(THINNED)})
