"""Judge the claim that 100 epochs gain two points over 50."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from study.paper.evidence import by_name, deviations_of_arms, digests, nearest, paired, probe_of
from study.paper.judged import FAILS, HOLDS, OPEN, Finding, Judged, decide, without_interval
from study.paper.published import SourcePaper
from study.results.comparisons import Interval
from study.results.schema import StudyResults

GAIN = 0.02  # the paper's "+2 points"
LONG = "epochs-100"
# The arms of 50 epochs, half-way through the same schedule and with one of their own: what each has in place of the recipe.
SHORT: dict[str, dict[str, Any]] = {
    "halfway": {"pretrain.stop_after": 50},
    "epochs-50": {"pretrain.epochs": 50, "pretrain.warmup_epochs": 5},
}
READINGS = {"halfway": "over 50 epochs of the same schedule", "epochs-50": "over a schedule of 50 epochs"}


def judge_epochs(name: str, says: str, candidates: Sequence[StudyResults], paper: SourcePaper) -> list[Judged]:
    """Return 100 epochs against 50, a row for each reading of 50."""
    row = Judged(claim=name, says=says, study="epochs", dataset="cifar10", kind="points", paper=GAIN)
    results = nearest(candidates, paper, dataset="cifar10")
    if results is None:
        return [replace(row, missing="the study epochs")]
    probe, rows = probe_of(results), []
    for other, instead in SHORT.items():
        long, short = by_name(results, LONG), by_name(results, other)
        gain = paired(long, short, probe)
        measured = replace(
            row, arm=f"100 epochs {READINGS[other]}", ours=gain, results=results, runs=digests(long, short),
            deviations=deviations_of_arms(results, {LONG: {}, other: instead}, paper, probe=probe),
        )  # fmt: skip
        rows.append(decide(measured, weigh_gain(gain)))
    return rows


def weigh_gain(gain: Interval | None) -> Finding:
    """Return whether two points are among the gains that one more pair of our runs would have.

    The paper's two points are the difference of one pair. The prediction interval is sqrt(n + 1) times as wide as that of
    the mean. They are found where they lie in it, it reaches no more than two points to either side, and our mean gain is
    above none. They are refuted where they do not lie in it.
    """
    if gain is None or gain.low is None or gain.high is None:
        return without_interval(gain)
    reach = (gain.high - gain.mean) * math.sqrt(gain.n + 1)
    said = f"one more pair of runs would gain {100 * (gain.mean - reach):.1f} to {100 * (gain.mean + reach):.1f} points"
    if abs(GAIN - gain.mean) > reach:
        return Finding(outcome=FAILS, reason=said, against="two are not among them")
    if gain.low > 0 and reach <= GAIN:
        return Finding(outcome=HOLDS, reason=said, against="two are among them, and the mean gain is above none")
    return Finding(outcome=OPEN, reason=said, against="that is too wide to tell two from none", missing="more seeds")
