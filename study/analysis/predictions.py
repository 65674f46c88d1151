"""Judges the predictions of a study's hypothesis by its results.

A prediction held where every arm that it speaks of came out so. It did not hold where one clearly came out otherwise, and
else it is undecided. An arm's end is clear where all its seeds agree, a difference where its whole interval lies inside the
bounds or outside. "Held" needs no correction for the number of arms, for each has to hold. "Did not hold" has none: each arm
lies outside by luck in at most 5 % of studies at 95 %.
"""

from collections import Counter
from dataclasses import dataclass

from study.analysis.by_decision import decision_of, is_whole, lost_seeds
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import in_words, listed, name_of, signed
from study.results.comparisons import UNDECIDED, WORSE
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import MISSING, PARTIAL, REPEATABLE
from study.spec.predictions import Prediction
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED

HELD, NOT_HELD, OPEN = "held", "did not hold", "undecided"
MOST_NAMED = 4  # arms whose numbers are given


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A prediction, one of `HELD`, `NOT_HELD` and `OPEN`, and the numbers of the arms that this rests on."""

    says: str
    verdict: str
    because: str


def judge_predictions(results: StudyResults) -> tuple[Judged, ...]:
    """Return what results say of each prediction of their study; none where there are none."""
    return tuple(_judge(one, results) for one in results.predictions or ())


def _judge(prediction: Prediction, results: StudyResults) -> Judged:
    arms = {arm.name: arm for arm in results.arms if arm.role in ("arm", "step")}
    found = [_of_arm(prediction, arms.get(name), name, results.primary) for name in prediction.arms]
    verdicts = {verdict for verdict, _ in found}
    verdict = NOT_HELD if NOT_HELD in verdicts else OPEN if OPEN in verdicts else HELD
    shown = [text for one, text in found if one == verdict]
    more = [f"{len(shown) - MOST_NAMED} more"] if len(shown) > MOST_NAMED else []
    return Judged(says=prediction.says, verdict=verdict, because=f"{'; '.join([*shown[:MOST_NAMED], *more])}.")


def _of_arm(prediction: Prediction, arm: ArmResults | None, name: str, primary: str) -> tuple[str, str]:
    """Return whether an arm came out as predicted, and how it came out, with its name."""
    if arm is None or all(run.status in (MISSING, PARTIAL) for run in arm.runs):
        return OPEN, f"{name_of(arm.label if arm else name)}: not run"
    verdict, how = _end(prediction, arm) if prediction.ends else _difference(prediction, arm, primary)
    return verdict, f"{name_of(arm.label)}: {how}"


def _end(prediction: Prediction, arm: ArmResults) -> tuple[str, str]:
    """Return whether an arm's runs ended as predicted, at all seeds or at none, and how they ended.

    A run that did not come to an end of its own, or too few images tell of, is evidence for nothing.
    """
    counts = Counter(run.outcome for run in arm.runs)
    total, expected = counts.total(), sum(counts[end] for end in prediction.ends)
    told = all(run.status in REPEATABLE and run.outcome != UNDETERMINED for run in arm.runs)
    verdict = HELD if expected == total else NOT_HELD if told and expected == 0 else OPEN
    if len(counts) == 1:
        return verdict, f"{next(iter(counts))} at {'its one seed' if total == 1 else f'all {in_words(total)} seeds'}"
    ends = [f"{end} at {count}" for end, count in sorted(counts.items(), key=lambda one: -one[1])]
    return verdict, f"{listed(ends)} of {in_words(total)} seeds"


def _difference(prediction: Prediction, arm: ArmResults, primary: str) -> tuple[str, str]:
    """Return whether an arm's difference from the baseline came out as predicted, and the difference."""
    found = arm.difference(primary)
    if found is None:
        return OPEN, "without an accuracy to compare"
    if found.n < LEAST_SEEDS or found.low is None or found.high is None:
        return OPEN, f"{signed(found.mean)} points at {in_words(found.n)} {'seed' if found.n == 1 else 'seeds'}"
    said = f"{signed(found.mean)} points [{signed(found.low)}, {signed(found.high)}]"
    decision = decision_of(found)
    # As in the answer: of an arm that lost seeds no decision counts but the one against it.
    if not is_whole(arm) and not (prediction.decided and decision == WORSE):
        missing = "without the seeds that it lost" if lost_seeds(arm) else "and some seeds have not run"
        return OPEN, f"{signed(found.mean)} points, {missing}"
    if prediction.decided:
        if decision == UNDECIDED:
            return OPEN, f"{said}{' before correction for all settings' if found.low > 0 or found.high < 0 else ''}"
        return HELD if decision in prediction.decided else NOT_HELD, f"{decision}, {said}"
    least = -1.0 if prediction.least is None else prediction.least
    most = 1.0 if prediction.most is None else prediction.most
    is_inside, is_outside = least <= found.low and found.high <= most, found.high < least or found.low > most
    return HELD if is_inside else NOT_HELD if is_outside else OPEN, said
