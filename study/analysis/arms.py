"""Compares arms: means over seeds, paired differences, and how sure they are."""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from study.analysis.decisions import adjust_gains, decide
from study.analysis.effect_sizes import effect_size, probability_better
from study.analysis.intervals import CONFIDENCE, paired_difference, wilson
from study.analysis.moments import mean, paired_differences, standard_deviation
from study.analysis.multiple_testing import ALPHA
from study.analysis.sampling_error import paired_sampling_error, sampling_error
from study.results.comparisons import ColumnSummary, Difference, DifferenceDetail, Outcomes
from study.results.runs import SPACES, RunResults
from study.results.schema import ArmResults
from study.runs.outcomes import PRUNED
from study.spec.about import COLLAPSES

COLLAPSE_COLUMNS = (
    "rankme", "effective_rank", "participation_ratio", "stable_rank", "nesum", "alpha_req", "lidar", "std_mean",
    "rms_correlation", "normalised_std", "view_discrepancy", "alignment", "uniformity", "cluster_learnability",
    "intrinsic_dimension",
)  # fmt: skip

Rows = Mapping[int, Mapping[str, float]]  # seed -> column -> number


def compare_arms(
    arms: Sequence[ArmResults], *, baseline: str, primary: str, test_images: int, margin: float, price: float = 1
) -> tuple[ArmResults, ...]:
    """Return the arms with `summary` and `outcomes` filled in from their runs.

    Each column has its mean and its paired difference from the baseline and gain over the arm's control. The primary column
    says more: each seed's difference, effect size, Holm's p and what is decided. Its differences from the baseline have
    moderated intervals. Its intervals are at 1 - 0.05 / price, those of other columns at 95 %.

    Args:
        arms: with their runs.
        baseline: the name of the arm that all others are compared with.
        primary: the probe whose accuracy is compared.
        test_images: number of test images.
        margin: the smallest difference of the primary accuracy that would matter, a share.
        price: of looking at the results more than once, 1 for one look. P-values are times it.
    """
    rows = {arm.name: {run.seed: columns_of(run) for run in arm.runs if run.test} for arm in arms}
    runs = {arm.name: {run.seed: run for run in arm.runs if run.test} for arm in arms}
    compared = []
    for arm in arms:
        own, references = rows[arm.name], {"difference": baseline, "gain": arm.control or ""}
        summary = {
            key: _summarise(
                arm, own, {name: rows.get(other, {}) for name, other in references.items()}, key,
                confidence=1 - ALPHA / price if key == primary else CONFIDENCE,
            )
            for key in dict.fromkeys(key for row in own.values() for key in row)
        }  # fmt: skip
        if primary in summary:
            summary[primary] = _in_detail(
                summary[primary], runs[arm.name], {name: runs.get(other, {}) for name, other in references.items()},
                primary, test_images,
            )  # fmt: skip
        compared.append(dataclasses.replace(arm, summary=summary, outcomes=outcomes(arm.runs)))
    decided = decide(compared, baseline=baseline, primary=primary, margin=margin, price=price)
    return adjust_gains(decided, primary, price=price)


def columns_of(run: RunResults) -> dict[str, float]:
    """Return one run's numbers by column: top-1 of each probe on both splits, and collapse metrics of both spaces.

    A metric that is not a number in this run (a spread of nothing) is left out of its columns.
    """
    row: dict[str, float | None] = {probe: measured.top1 for probe, measured in run.test.items()}
    row |= {f"validation_{probe}": measured.top1 for probe, measured in run.validation.items()}
    for space in SPACES:
        row |= {f"{name}_{space}": run.metric(name, space) for name in COLLAPSE_COLUMNS}
    return {name: value for name, value in row.items() if value is not None and math.isfinite(value)}


def outcomes(runs: Sequence[RunResults]) -> Outcomes:
    """Return how the runs asked for ended, and the share that collapsed, of all of them, with Wilson's interval."""
    counts = Counter(run.outcome for run in runs)
    collapsed = sum(counts[name] for name in (*COLLAPSES, PRUNED))  # a run is pruned for complete collapse alone
    low, high = wilson(collapsed, len(runs))
    return Outcomes(asked=len(runs), counts=dict(sorted(counts.items())), collapsed=collapsed, low=low, high=high)


def _summarise(arm: ArmResults, own: Rows, references: Mapping[str, Rows], key: str, *, confidence: float) -> ColumnSummary:
    values = [row[key] for row in own.values() if key in row]
    return ColumnSummary(
        n=len(values),
        mean=mean(values),
        sd=standard_deviation(values),
        difference=None if arm.is_baseline else _paired(own, references["difference"], key, confidence),
        gain=None if arm.is_control else _paired(own, references["gain"], key, confidence),
    )


def _paired(own: Rows, reference: Rows, key: str, confidence: float) -> Difference | None:
    seeds = sorted(seed for seed in own.keys() & reference.keys() if key in own[seed] and key in reference[seed])
    if not seeds:
        return None
    values, others = [own[seed][key] for seed in seeds], [reference[seed][key] for seed in seeds]
    interval = paired_difference(values, others, confidence=confidence)
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
    differences = paired_differences(values, others)
    has_interval = difference.low is not None
    detail = DifferenceDetail(
        seeds=tuple(seeds),
        values=tuple(differences),
        effect_size=effect_size(values, others),
        probability_better=probability_better(values, others),
        test_error=_test_error(own, reference, probe, images),
        spread=standard_deviation(differences) if has_interval else None,
        freedom=len(seeds) - 1 if has_interval else None,
        moderated=False if has_interval else None,
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
