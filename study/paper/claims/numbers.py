"""Judge a published accuracy beside every arm that measures it."""

from collections.abc import Sequence
from dataclasses import replace

from study.analysis.intervals import mean_interval, prediction_interval
from study.analysis.moments import ENOUGH_SEEDS
from study.paper.evidence import accuracies, arms_of, digests, measured_elsewhere, nearest, probe_of, recipe_arm
from study.paper.judged import FAILS, HOLDS, OPEN, Finding, Judged, decide
from study.paper.protocol import SIZES, STOP, deviations, settings_of
from study.paper.published import PublishedNumber, SourcePaper
from study.paper.wording import STEM, arm_in_full
from study.results.comparisons import Interval
from study.results.schema import StudyResults

WIDEST_TO_AGREE = 0.05  # half a prediction interval: a wider one would take in almost any number, and agree with it


def judge_number(number: PublishedNumber, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Return a row for each choice about which the paper is silent: for each stem, or size of images.

    Of the studies that measure one, that is taken which is nearest to the paper's protocol. Where a choice has been measured
    by it, those at another scale are left out. A look at a training stands for it as long as it has not ended.
    """
    trained = number.study != "generalisation"
    row = Judged(
        claim=number.id, says=number.says, study=number.study, dataset=number.dataset, paper=number.share
    )  # fmt: skip
    rows: dict[tuple[str, ...], Judged] = {}
    for study in dict.fromkeys(one.study for one in candidates):
        own = [one for one in candidates if one.study == study]
        results = nearest(own, paper, dataset=number.dataset, trained=trained)
        for choice, measured in [] if results is None else _rows_of(results, row, number, paper):
            rows[choice] = min(rows.get(choice, measured), measured, key=_distance)
    if not rows:
        return [replace(row, missing=f"the study {number.study} on {number.dataset}")]
    by_protocol = [one for one in rows.values() if not one.barring]
    return by_protocol or list(rows.values())


def _rows_of(
    results: StudyResults, row: Judged, number: PublishedNumber, paper: SourcePaper
) -> list[tuple[tuple[str, ...], Judged]]:
    """Return (choice, row) of each arm of a study that differs from its recipe in nothing else."""
    trained = number.study != "generalisation"
    free, stop = (STEM,) if trained else SIZES, recipe_arm(results).settings.get(STOP)
    rows, probe = [], probe_of(results)
    for arm in arms_of(results):
        if arm.settings.get(STOP) != stop:
            continue
        values, settings = accuracies(arm, probe), settings_of(results, arm)
        found = deviations(settings, results.data, paper, probe=probe, free=free, trained=trained)
        measured = replace(
            row, arm=arm_in_full(arm, settings), results=results, runs=digests(arm), ours=_mean(values),
            difference=difference_from(values, number.share), deviations=(*found, *measured_elsewhere(arm)),
        )  # fmt: skip
        choice = tuple(str(settings.get(key)) for key in free)
        rows.append((choice, decide(measured, weigh_number(values, number.share))))
    return rows


def _distance(row: Judged) -> tuple[bool, int, bool, bool, int]:
    """Return how far a row is from the paper's protocol, and then from a verdict, for the nearest to be taken."""
    n = row.ours.n if row.ours is not None else 0
    return n == 0, len(row.barring), n < ENOUGH_SEEDS, bool(row.copy), -n


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
    if (high - low) / 2 > WIDEST_TO_AGREE:
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
