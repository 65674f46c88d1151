"""Compares arms: means over seeds, paired differences, and how sure they are."""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from study.analysis.effect_sizes import effect_size, probability_better
from study.analysis.intervals import paired_difference, wilson
from study.analysis.moments import mean, standard_deviation
from study.analysis.multiple_testing import holm
from study.analysis.sampling_error import paired_sampling_error, sampling_error
from study.results.comparisons import Adjusted, ColumnSummary, Difference, DifferenceDetail, Outcomes
from study.results.runs import SPACES, RunResults
from study.results.schema import ArmResults
from study.runs.outcomes import PRUNED
from vicreg.evaluation.collapse_criteria import CHANCE_LEVEL, VIEW_DEPENDENT

COLLAPSE_COLUMNS = ("rankme", "std_mean", "rms_correlation", "normalised_std", "view_discrepancy")
COLLAPSES = ("complete", "dimensional", "informational", VIEW_DEPENDENT, CHANCE_LEVEL)

Rows = Mapping[int, Mapping[str, float]]  # seed -> column -> number
Compared = Literal["difference", "gain"]


def compare_arms(arms: Sequence[ArmResults], *, baseline: str, primary: str, test_images: int) -> tuple[ArmResults, ...]:
    """Return the arms with `summary` and `outcomes` filled in from their runs.

    Each column has its mean and its paired difference from the baseline and gain over the arm's control. The primary column
    says more: each seed's difference, effect size and Holm's p.
    """
    rows = {arm.name: {run.seed: columns_of(run) for run in arm.runs if run.test} for arm in arms}
    runs = {arm.name: {run.seed: run for run in arm.runs if run.test} for arm in arms}
    compared = []
    for arm in arms:
        own, references = rows[arm.name], {"difference": baseline, "gain": arm.control or ""}
        summary = {
            key: _summarise(arm, own, {name: rows.get(other, {}) for name, other in references.items()}, key)
            for key in dict.fromkeys(key for row in own.values() for key in row)
        }
        if primary in summary:
            summary[primary] = _in_detail(
                summary[primary], runs[arm.name], {name: runs.get(other, {}) for name, other in references.items()},
                primary, test_images,
            )  # fmt: skip
        compared.append(dataclasses.replace(arm, summary=summary, outcomes=outcomes(arm.runs)))
    return adjust(adjust(compared, primary, "difference"), primary, "gain")


def columns_of(run: RunResults) -> dict[str, float]:
    """Return one run's numbers by column: top-1 of each probe on both splits, and collapse metrics of both spaces.

    A metric that is not a number in this run (a spread of nothing) is left out of its columns.
    """
    row: dict[str, float | None] = {probe: measured.top1 for probe, measured in run.test.items()}
    row |= {f"validation_{probe}": measured.top1 for probe, measured in run.validation.items()}
    for space in SPACES:
        row |= {f"{name}_{space}": run.collapse[space].metric(name) for name in COLLAPSE_COLUMNS}
    return {name: value for name, value in row.items() if value is not None and math.isfinite(value)}


def outcomes(runs: Sequence[RunResults]) -> Outcomes:
    """Return how the runs asked for ended, and the share that collapsed, of all of them, with Wilson's interval."""
    counts = Counter(run.outcome for run in runs)
    collapsed = sum(counts[name] for name in (*COLLAPSES, PRUNED))  # a run is pruned for complete collapse alone
    low, high = wilson(collapsed, len(runs))
    return Outcomes(asked=len(runs), counts=dict(sorted(counts.items())), collapsed=collapsed, low=low, high=high)


def compared_arms(arms: Sequence[ArmResults]) -> list[ArmResults]:
    """Return the arms that a study compares, the baseline among them.

    Trials, tuning and controls are left out, and so are other names of the baseline's runs.
    """
    baseline = [digests_of(arm) for arm in arms if arm.is_baseline]
    ours = [arm for arm in arms if arm.role in ("arm", "step")]
    return [arm for arm in ours if arm.is_baseline or digests_of(arm) not in baseline]


def digests_of(arm: ArmResults) -> tuple[str, ...]:
    """Return the digests of an arm's runs, which two arms of the same runs share."""
    return tuple(sorted(run.digest for run in arm.runs))


def adjust(arms: Sequence[ArmResults], primary: str, name: Compared) -> tuple[ArmResults, ...]:
    """Return the arms with Holm's adjustment of the primary column's differences from the baseline, or of its gains.

    Either is a family of its own. Trials and tuning are no tests, and the control's difference is no arm's. Two arms of the
    same runs (a path's last step and the arm it walks to) are one test. The baseline by another name is none.
    """
    family: dict[tuple[str, ...], list[str]] = {}
    p_values: dict[tuple[str, ...], float | None] = {}
    for arm in compared_arms(arms):
        entry = _difference_of(arm, primary, name)
        if entry is not None:
            family.setdefault(digests_of(arm), []).append(arm.name)
            p_values.setdefault(digests_of(arm), entry.p)
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    found = {arm: p for digests, p in adjusted.items() for arm in family[digests]}
    return tuple(_with_p(arm, primary, name, found[arm.name]) if arm.name in found else arm for arm in arms)


def _summarise(arm: ArmResults, own: Rows, references: Mapping[str, Rows], key: str) -> ColumnSummary:
    values = [row[key] for row in own.values() if key in row]
    return ColumnSummary(
        n=len(values),
        mean=mean(values),
        sd=standard_deviation(values),
        difference=None if arm.is_baseline else _paired(own, references["difference"], key),
        gain=None if arm.is_control else _paired(own, references["gain"], key),
    )


def _paired(own: Rows, reference: Rows, key: str) -> Difference | None:
    seeds = sorted(seed for seed in own.keys() & reference.keys() if key in own[seed] and key in reference[seed])
    if not seeds:
        return None
    interval = paired_difference([own[seed][key] for seed in seeds], [reference[seed][key] for seed in seeds])
    return Difference(**dataclasses.asdict(interval))


def _in_detail(
    column: ColumnSummary,
    own: Mapping[int, RunResults],
    references: Mapping[str, Mapping[int, RunResults]],
    probe: str,
    images: int,
) -> ColumnSummary:
    """Return the primary column with what is said of it alone."""
    return dataclasses.replace(
        column,
        test_error=sampling_error(column.mean, images),
        difference=_with_detail(column.difference, own, references["difference"], probe, images),
        gain=_with_detail(column.gain, own, references["gain"], probe, images),
    )


def _with_detail(
    difference: Difference | None,
    own: Mapping[int, RunResults],
    reference: Mapping[int, RunResults],
    probe: str,
    images: int,
) -> Difference | None:
    if difference is None:
        return None
    seeds = sorted(
        seed for seed in own.keys() & reference.keys() if probe in own[seed].test and probe in reference[seed].test
    )
    values, others = ([runs[seed].test[probe].top1 for seed in seeds] for runs in (own, reference))
    detail = DifferenceDetail(
        seeds=tuple(seeds),
        values=tuple(value - other for value, other in zip(values, others, strict=True)),
        effect_size=effect_size(values, others),
        probability_better=probability_better(values, others),
        test_error=_test_error(own, reference, probe, images),
    )
    return dataclasses.replace(difference, detail=detail)


def _test_error(own: Mapping[int, RunResults], reference: Mapping[int, RunResults], probe: str, images: int) -> float | None:
    """Return the standard error of a difference from the choice of test images.

    None where it was not kept which images were right.
    """
    seeds = sorted(own.keys() & reference.keys())
    rows: list[list[NDArray[np.uint8]]] = []
    for runs in (own, reference):
        kept = [runs[seed].test[probe].correct if probe in runs[seed].test else None for seed in seeds]
        rows.append([_bits(text, images) for text in kept if text is not None])
    if any(len(row) < len(seeds) for row in rows):
        return None
    return paired_sampling_error(*rows)


def _bits(text: str, images: int) -> NDArray[np.uint8]:
    """Return `Accuracy.correct` as (N,) zeros and ones."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8))[:images]


def _difference_of(arm: ArmResults, primary: str, name: Compared) -> Difference | None:
    column = arm.summary.get(primary)
    if column is None:
        return None
    return column.difference if name == "difference" else column.gain


def _with_p(arm: ArmResults, primary: str, name: Compared, p: float | None) -> ArmResults:
    entry = _difference_of(arm, primary, name)
    assert entry is not None
    adjusted = dataclasses.replace(entry, adjusted=Adjusted(p_holm=p))
    column = arm.summary[primary]
    if name == "difference":
        column = dataclasses.replace(column, difference=adjusted)
    else:
        column = dataclasses.replace(column, gain=adjusted)
    return dataclasses.replace(arm, summary={**arm.summary, primary: column})
