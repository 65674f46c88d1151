"""Judge a published accuracy beside every arm that measures it."""

from collections.abc import Sequence
from dataclasses import replace

from study.analysis.intervals import mean_interval, prediction_interval
from study.paper.evidence import accuracies, arms_of, digests, nearest, recipe_arm
from study.paper.judged import ENOUGH_SEEDS, FAILS, HOLDS, OPEN, Finding, Judged, decide
from study.paper.protocol import SIZES, STOP, deviations, settings_of
from study.paper.published import PublishedNumber, SourcePaper
from study.paper.wording import arm_in_full
from study.results.comparisons import Interval
from study.results.schema import StudyResults

WIDEST = 0.05  # half a prediction interval: a wider one would take in almost any number, and agree with it


def judge_number(number: PublishedNumber, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Return a row an arm: what the paper is silent about is an arm. Looks at a training before its end are none."""
    trained = number.study != "generalisation"
    row = Judged(
        claim=number.id, says=number.says, study=number.study, dataset=number.dataset, paper=number.share
    )  # fmt: skip
    results = nearest(candidates, paper, dataset=number.dataset, trained=trained)
    if results is None:
        return [replace(row, missing=f"the study {number.study} on {number.dataset}")]
    free, stop = ("pretrain.stem",) if trained else SIZES, recipe_arm(results).settings.get(STOP)
    rows = []
    for arm in arms_of(results):
        if arm.settings.get(STOP) != stop:
            continue
        values = accuracies(arm, "linear")
        found = deviations(settings_of(results, arm), results.data, paper, free=free, trained=trained)
        measured = replace(
            row, arm=arm_in_full(arm), results=results, runs=digests(arm), ours=_mean(values),
            difference=difference_from(values, number.share), deviations=tuple(found),
        )  # fmt: skip
        rows.append(decide(measured, weigh_number(values, number.share)))
    return rows


def weigh_number(values: Sequence[float], paper: float) -> Finding:
    """Return whether a published single run is one of ours, given accuracies (n,) as shares."""
    if not values:
        return Finding(outcome=OPEN, reason="not judged by the paper's linear evaluation", missing="the linear evaluation")
    if len(values) < ENOUGH_SEEDS:
        return Finding(outcome=OPEN, reason="one seed says nothing of the spread over seeds", missing="two seeds")
    bounds = prediction_interval(values, least=ENOUGH_SEEDS)
    if bounds is None:
        return Finding(outcome=OPEN, reason="all seeds came to the same number", missing="more seeds")
    low, high = bounds
    said = f"one more run would lie in {100 * low:.1f} to {100 * high:.1f} %"
    if not low <= paper <= high:
        side = "above" if paper > high else "below"
        return Finding(outcome=FAILS, reason=said, against=f"the paper's number lies {side}")
    if (high - low) / 2 > WIDEST:
        return Finding(outcome=OPEN, reason=said, against="that is too wide to agree with a number", missing="more seeds")
    return Finding(outcome=HOLDS, reason=said, against="the paper's number is among them")


def difference_from(values: Sequence[float], paper: float) -> Interval | None:
    """Return ours less the paper's number, with the interval of our mean; a single run does not tell its own uncertainty."""
    if not values:
        return None
    own = mean_interval(values, least=ENOUGH_SEEDS)
    low, high = (None if bound is None else bound - paper for bound in (own.low, own.high))
    return Interval(n=own.n, mean=own.mean - paper, low=low, high=high, p=None)


def _mean(values: Sequence[float]) -> Interval | None:
    """Return the mean of accuracies (n,), with the interval of it; None where there are none."""
    return mean_interval(values, least=ENOUGH_SEEDS) if values else None
