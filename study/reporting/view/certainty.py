"""How sure differences are, and how many seeds would tell more."""

from collections.abc import Sequence
from typing import TypedDict

from study.reporting.names import measure_name
from study.reporting.selection import seeds_of, trained_arms
from study.results.findings import Power
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import OUTCOMES


class PowerView(TypedDict):
    """What a study could have seen, and the command that adds the seeds it would take."""

    text: str
    command: str | None


def certainty_texts(study: StudyResults, arms: Sequence[ArmResults]) -> list[str]:
    """Return what may be concluded from as many seeds as there are, a paragraph each."""
    counts = {sum(run.status == "finished" for run in arm.runs) for arm in trained_arms(arms)}
    most, seeds = max(counts, default=0), ", ".join(map(str, seeds_of(arms)))
    if most == 0:
        ended = {run.status for arm in trained_arms(arms) for run in arm.runs if run.status in OUTCOMES}
        if ended:
            return [f"Every run that ended was {' or '.join(sorted(ended))}, so there is no accuracy to be sure of."]
        return ["No run has ended yet, so there is nothing to be sure of."]
    if most == 1:
        return ["n = 1: descriptive only. Each arm has one finished seed at most. There is no standard deviation and no "
                "interval: a difference between two arms may be chance. Run it with three seeds or more "
                "to tell."]  # fmt: skip
    told = ("± is the standard deviation over seeds. A difference pairs runs of the same seed and is the mean over seeds, "
            f"in percentage points of “{measure_name(study.primary)}”; so is a gain over the untrained "
            "control.")  # fmt: skip
    if most == 2:
        return [f"n = 2: descriptive only. Each arm has two finished seeds at most ({seeds}). {told} With two seeds no "
                "interval is given, and a difference may be chance."]  # fmt: skip
    return [f"Seeds {seeds}. {told} An interval pairs n seeds by Student's t; that of a difference from the "
            "baseline shares the spread of arms of the same class. * marks a "
            "difference from the baseline, or a gain, whose p-value adjusted by Holm is below 0.05; the study's "
            "differences are one family and its gains another. An interval that includes zero says that this study cannot "
            "tell, not that there is no effect.",
            "g is Hedges' effect size, in standard deviations over seeds; P(better) the probability, as the same t model "
            "has it, that the arm beats the baseline at a seed not run yet; with few seeds it is too sure where "
            "differences are small. Intervals cover the choice of seeds; what the choice of test images adds is the "
            "standard error under “test images”.",
            "Validation chooses (the best arm, a probe's regularisation, a search's settings); test decides nothing.",
            *(["Where n is 2 or less, no interval is given."] if min(counts) <= 2 else [])]  # fmt: skip


def power_view(study: StudyResults) -> PowerView | None:
    """Return what a study could have seen, and the command that adds seeds; None for results that do not say."""
    power = study.power
    if power is None:
        return None
    if power.spread is None:
        text = f"With n = {power.n} nothing is concluded and no spread is known. What it takes first is three seeds:"
        return {"text": text, "command": power.command}
    arms = f"{power.arms} healthy {'arm' if power.arms == 1 else 'arms'}"
    text = f"The differences of {arms} vary by {100 * power.spread:.2f} points from seed to seed. "
    return {"text": text + _detectable(power) + _needed(power), "command": power.command}


def _detectable(power: Power) -> str:
    """Return the smallest difference that would have been found; empty where it is not known."""
    if power.detectable is None:
        return ""
    family = f"over all {power.family} comparisons" if power.family > 1 else "for its one comparison"
    size = f"{100 * power.detectable:.1f} points" if power.detectable < 1 else "beyond any there can be"
    return (f"With n = {power.n} the smallest difference this study would have found in {100 * power.power:.0f} "
            f"% of repetitions, at {100 * power.alpha:.0f} % {family}, is {size}. ")  # fmt: skip


def _needed(power: Power) -> str:
    """Return how many seeds the smallest difference of interest would take."""
    margin = f"{100 * power.margin:g} {'point' if power.margin == 0.01 else 'points'}"
    if power.needed is None:
        return f"A difference of {margin} would take more than a thousand seeds."
    if not power.command:
        return f"That is enough for a difference of {margin}."
    asked = ", which were asked for but have not all finished:" if power.needed <= power.asked else ":"
    return f"A difference of {margin} would take {power.needed} seeds{asked}"
