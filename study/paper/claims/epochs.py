"""Judge the claim that 100 epochs gain two points over 50."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from study.analysis.moments import ENOUGH_SEEDS
from study.analysis.wording import signed
from study.paper.evidence import arms_of, by_name, deviations_of_arms, digests, nearest, paired, probe_of
from study.paper.judged import FAILS, HOLDS, OPEN, Finding, Judged, decide, without_interval
from study.paper.published import RECIPE, SourcePaper
from study.results.comparisons import Interval
from study.results.schema import StudyResults

GAIN = 0.02  # the paper's "+2 points"
LONG = "epochs-100"
# The arms of 50 epochs, half-way through the same schedule and with one of their own: what each has in place of the recipe.
SHORT: dict[str, dict[str, Any]] = {
    "halfway": {"pretrain.stop_after": 50},
    "epochs-50": {"pretrain.epochs": 50, "pretrain.warmup_epochs": 5},
}
STUDIES = {"halfway": RECIPE, "epochs-50": "epochs"}  # the cheapest study of each reading
READINGS = {"halfway": "over 50 epochs of the same schedule", "epochs-50": "over a schedule of 50 epochs"}


def judge_epochs(name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Return 100 epochs against 50, a row for each reading of 50; one alone where neither is measured."""
    row = Judged(claim=name, says=says, study=STUDIES["halfway"], dataset="cifar10", kind="points", paper=GAIN)
    rows = [_judge_reading(replace(row, study=STUDIES[short]), candidates, paper, short=short) for short in SHORT]
    if all(one.results is None for one in rows):
        return [replace(row, missing=f"the study {row.study}")]
    return rows


def _judge_reading(row: Judged, candidates: Sequence[StudyResults], paper: SourcePaper, *, short: str) -> Judged:
    """Return the row of one reading of 50 epochs, by the results that have both arms; as it is where there are none."""
    both = [one for one in candidates if {LONG, short} <= {arm.name for arm in arms_of(one)}]
    results = nearest(both, paper, dataset="cifar10")
    if results is None:
        return replace(row, arm=f"100 epochs {READINGS[short]}", missing=f"the study {row.study}")
    probe, arms = probe_of(results), (by_name(results, LONG), by_name(results, short))
    gain = paired(*arms, probe, least=ENOUGH_SEEDS)
    measured = replace(
        row, arm=f"100 epochs {READINGS[short]}", ours=gain, results=results, runs=digests(*arms),
        deviations=deviations_of_arms(results, {LONG: {}, short: SHORT[short]}, paper, probe=probe),
    )  # fmt: skip
    return decide(measured, weigh_gain(gain))


def weigh_gain(gain: Interval | None) -> Finding:
    """Return whether two points are among the gains that one more pair of our runs would have.

    The paper's two points are the difference of one pair. The prediction interval is sqrt(n + 1) times as wide as that of
    the mean. They are found where they lie in it, it reaches no more than two points to either side, and our mean gain is
    above none. They are refuted where they do not lie in it.
    """
    if gain is None or gain.low is None or gain.high is None:
        return without_interval(gain)
    reach = (gain.high - gain.mean) * math.sqrt(gain.n + 1)
    said = f"one more pair of runs would gain {signed(gain.mean - reach)} to {signed(gain.mean + reach)} points"
    if abs(GAIN - gain.mean) > reach:
        return Finding(outcome=FAILS, reason=said, against="two are not among them")
    if gain.low > 0 and reach <= GAIN:
        return Finding(outcome=HOLDS, reason=said, against="two are among them, and the mean gain is above none")
    return Finding(outcome=OPEN, reason=said, against="that is too wide to tell two from none", missing="more seeds")
