"""How sure differences are, and how many seeds would tell more."""

from collections.abc import Sequence
from typing import TypedDict

from study.analysis.alerts import ENDINGS
from study.analysis.looks import confidence_of
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import count_of, listed, points
from study.reporting.names import measure_name
from study.reporting.selection import seeds_of, trained_arms
from study.results.findings import Power
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import FINISHED, OUTCOMES


class PowerView(TypedDict):
    """What a study could have seen, and the command that adds the seeds it would take."""

    text: str
    command: str | None


def certainty_texts(study: StudyResults, arms: Sequence[ArmResults]) -> list[str]:
    """Return what may be concluded from as many seeds as there are, a paragraph each."""
    counts = {sum(run.status == FINISHED for run in arm.runs) for arm in trained_arms(arms)}
    most = max(counts, default=0)
    if most == 0:
        ended = sorted({run.status for arm in trained_arms(arms) for run in arm.runs if run.status in OUTCOMES})
        if ended:
            return [
                f"Every run that ended {listed([ENDINGS[one][0] for one in ended], word='or')}, so there is no accuracy."
            ]
        return ["No run has ended yet, so there is no accuracy."]
    if most == 1:
        return ["n = 1: descriptive only. Each arm has one finished seed at most, so there is no standard deviation and no "
                "interval. A difference between two arms may be chance; run three seeds or more to tell."]  # fmt: skip
    seeds = ", ".join(map(str, seeds_of(arms)))
    read = (f"± is the standard deviation over seeds. A difference is the mean over pairs of runs with the same seed, in "
            f"percentage points of “{measure_name(study.primary)}”. A gain is the difference from the untrained "
            "network.")  # fmt: skip
    if most == 2:
        return [f"n = 2: descriptive only. Each arm has two finished seeds at most ({seeds}). {read} Two seeds give no "
                "interval, and a difference may be chance."]  # fmt: skip
    return [f"Seeds {seeds}. {read}", _interval_text(study), _star_text(study), _detail_text(),
            "Validation chooses the best arm, a probe's regularisation and a search's settings. Test chooses none of these. "
            "Differences are tested on it.",
            *(["Where n is 2 or less, no interval is given."] if min(counts) <= 2 else [])]  # fmt: skip


def _interval_text(study: StudyResults) -> str:
    """Return how the intervals were made: each from its own arm's seeds, or with a spread that arms of one class share."""
    confidence = confidence_of(study.looks)
    columns = [arm.summary[study.primary] for arm in study.arms if study.primary in arm.summary]
    details = [column.difference.detail for column in columns if column.difference]
    if not any(detail and detail.moderated for detail in details):
        return f"A {confidence} interval is a paired t interval; n is the number of pairs."
    return (f"A {confidence} interval rests on the arm's own spread and on that of arms that ended alike. "
            "Few seeds tell little of one arm's spread, and arms that ended alike spread alike. "
            "n is the number of pairs.")  # fmt: skip


def _star_text(study: StudyResults) -> str:
    """Return what a star marks, over which tests, and what its absence does not say."""
    gains = " Gains are a family of their own." if any(arm.is_control for arm in study.arms) else ""
    return ("* marks a difference whose p-value, adjusted by Holm over the study's arms, is below 0.05: better or worse "
            f"beyond chance.{gains} Without a star the study cannot tell; that does not mean there is no "
            "effect.")  # fmt: skip


def _detail_text() -> str:
    return ("g is Hedges' effect size, in standard deviations over seeds. P(better) is the probability that the arm "
            "beats the "
            "baseline at a new seed. With few seeds it is too sure where differences are small. Intervals cover the "
            "choice of "
            "seeds. “Test images” is the standard error that the choice of test images adds.")  # fmt: skip


def power_view(study: StudyResults) -> PowerView | None:
    """Return what a study could have seen, and the command that adds seeds; None for results that do not say."""
    power = study.power
    if power is None:
        return None
    if power.spread is None:
        if power.n >= LEAST_SEEDS:
            return {"text": "Differences are the same at each seed, so there is no spread to test them by.", "command": None}
        text = f"With n = {power.n} nothing is concluded and no spread is known. Run three seeds first:"
        return {"text": text, "command": power.command}
    arms = count_of(power.arms, f"{power.spread_of or 'compared'} arm")
    if power.spread_of == "mixed":
        arms = f"{count_of(power.arms, 'arm')} whose seeds end differently"
    text = f"The differences of {arms} vary by {100 * power.spread:.2f} points from seed to seed."
    return {"text": " ".join([text, *_detectable(power), *_needed(power)]), "command": power.command}


def _detectable(power: Power) -> list[str]:
    """Return the smallest difference that would have been found; nothing where it is not known."""
    if power.detectable is None:
        return []
    level = f"{100 * power.alpha:.0f} %"
    family = f"tested at {level} over {power.family} comparisons" if power.family > 1 else f"tested at {level}"
    share = f"{100 * power.power:.0f} % of repetitions"
    if power.detectable >= 1:
        return [f"With n = {power.n}, no difference there can be would be found in {share}, {family}."]
    return [f"With n = {power.n}, a difference of {100 * power.detectable:.1f} points would be found in {share}, {family}."]


def _needed(power: Power) -> list[str]:
    """Return how many seeds the smallest difference of interest would take; nothing where the spread is too uncertain."""
    margin = points(power.margin)
    if power.needed is None:
        if power.command is None:
            return []
        if " --look " in power.command:
            return ["The next look that was declared is run by:"]
        return [f"The spread is too uncertain to say how many seeds a difference of {margin} needs. Twice as many:"]
    if power.needed <= power.n:
        return [f"That is enough for a difference of {margin}."]
    asked = ", which were asked for but have not all finished:" if power.needed <= power.asked else ":"
    asked = asked if power.command else "."  # no look is left that has them
    low, high = power.needed_range or (power.needed, power.needed)
    span = f" ({low} to {high}, for the spread is uncertain)" if low < high else ""
    return [f"A difference of {margin} would take {count_of(power.needed, 'seed')}{span}{asked}"]
