"""Judge the claims about batches of 256 and 128."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from study.analysis.intervals import ratio_interval
from study.analysis.moments import ENOUGH_SEEDS, LEAST_SEEDS
from study.analysis.spread import last_epochs, spread_ratio, wander
from study.analysis.wording import probe_name
from study.paper.evidence import accuracies, by_name, deviations_of_arms, digests, nearest, paired, probe_of
from study.paper.judged import FAILS, HOLDS, OPEN, Finding, Judged, decide, without_interval
from study.paper.published import SourcePaper
from study.reporting.panels.lines import logged_value
from study.results.comparisons import Interval
from study.results.schema import ArmResults, StudyResults

MARGIN = 0.01  # a smaller difference is too small to be called an improvement
SMALL, LARGE = "size-128", "size-256"
SIZES: dict[str, dict[str, Any]] = {  # what each arm has in place of the paper's recipe
    SMALL: {"pretrain.backbone": "resnet18"},
    LARGE: {"pretrain.backbone": "resnet18", "pretrain.batch_size": 256},
}
STUDY = "batch-size"


def judge_batch_accuracy(name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Judge "does not improve": the difference is below a point, with its whole interval."""
    row = Judged(claim=name, says=says, study=STUDY, dataset="cifar10", kind="points")
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [replace(row, missing=f"the study {STUDY}")]
    small, large, probe = by_name(results, SMALL), by_name(results, LARGE), probe_of(results)
    difference = paired(large, small, probe, least=ENOUGH_SEEDS)
    row = replace(
        row, arm=f"batch 256 over batch 128, by the {probe_name(probe)}", ours=difference, results=results,
        runs=digests(small, large), deviations=deviations_of_arms(results, SIZES, paper, probe=probe),
    )  # fmt: skip
    return [decide(row, weigh_improvement(difference))]


def weigh_improvement(difference: Interval | None) -> Finding:
    """Return whether an improvement of a point is ruled out."""
    if difference is None or difference.low is None or difference.high is None:
        return without_interval(difference)
    if difference.high < MARGIN:
        return Finding(outcome=HOLDS, against="an improvement of a point is ruled out")
    if difference.low > MARGIN:
        return Finding(outcome=FAILS, against="an improvement of more than a point is found")
    return Finding(outcome=OPEN, against="an improvement of a point is neither found nor ruled out", missing="more seeds")


def judge_batch_stability(name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Judge "more stable", two ways.

    One is how far the loss and the logged accuracy wander over the last epochs, paired by seed. The other is how far
    accuracy spreads over seeds, which takes many seeds.
    """
    row = Judged(claim=name, says=says, study=STUDY, dataset="cifar10", kind="ratio")
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [replace(row, missing=f"the study {STUDY}")]
    small, large, probe = by_name(results, SMALL), by_name(results, LARGE), probe_of(results)
    row = replace(row, results=results, runs=digests(small, large))
    found, rows = deviations_of_arms(results, SIZES, paper, probe=None), []
    for what, key in (("loss", "total"), ("k-NN accuracy", "knn")):
        ratio = wander_ratio(large, small, key)
        if ratio is not None:
            arm = f"wander of the {what} over the last epochs, 256 over 128"
            rows.append(decide(replace(row, arm=arm, ours=ratio, deviations=found), weigh_ratio(ratio)))
    spread = spread_ratio(accuracies(large, probe), accuracies(small, probe))
    row = replace(
        row, arm=f"spread of accuracy over seeds, 256 over 128, by the {probe_name(probe)}", ours=spread,
        deviations=deviations_of_arms(results, SIZES, paper, probe=probe),
    )  # fmt: skip
    return [*rows, decide(row, weigh_ratio(spread, least=LEAST_SEEDS))]


def weigh_ratio(ratio: Interval | None, *, least: int = ENOUGH_SEEDS) -> Finding:
    """Return whether a ratio is below 1, which is more stable, with its whole interval; `least` are the seeds it takes."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return without_interval(ratio, least=least)
    if ratio.high < 1:
        return Finding(outcome=HOLDS, against="the interval lies below 1")
    if ratio.low > 1:
        return Finding(outcome=FAILS, against="the interval lies above 1")
    return Finding(outcome=OPEN, against="the interval takes in 1", missing="more seeds")


def wander_ratio(arm: ArmResults | None, reference: ArmResults | None, key: str) -> Interval | None:
    """Return the ratio of two arms' wander of one logged quantity over the last epochs, paired by seed.

    None where it was not logged at two of these epochs, or did not move.
    """
    own, others = _at_the_end(arm, key), _at_the_end(reference, key)
    seeds = [seed for seed in sorted(set(own) & set(others)) if min(len(own[seed]), len(others[seed])) >= 2]
    pairs = [(wander(own[seed]), wander(others[seed])) for seed in seeds]
    pairs = [pair for pair in pairs if min(pair) > 0]
    return ratio_interval(*zip(*pairs, strict=True), least=ENOUGH_SEEDS) if pairs else None


def _at_the_end(arm: ArmResults | None, key: str) -> dict[int, list[float]]:
    """Return a logged quantity over the last epochs of an arm's finished runs, by seed."""
    return {
        run.seed: last_epochs([logged_value(record, key) for record in run.history])
        for run in (arm.runs if arm else ())
        if run.status == "finished"
    }
