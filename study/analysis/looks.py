"""Compares arms look by look; an arm that is decided stops."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from study.analysis.multiple_testing import ALPHA
from study.results.comparisons import DECISIONS, UNDECIDED
from study.results.findings import Looks
from study.results.schema import ArmResults, StudyResults

Compare = Callable[[Sequence[ArmResults]], tuple[ArmResults, ...]]

# Decision of each arm that is tested, by name; None where there is nothing to test: the arm has no accuracy.
ByName = Mapping[str, str | None]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Arms as they stand after some looks.

    `stopped` maps each arm that was decided to the look at which it was, `undecided` are those that more seeds may decide.
    """

    arms: tuple[ArmResults, ...] = ()
    stopped: Mapping[str, int] = field(default_factory=dict)
    undecided: tuple[str, ...] = ()


def who_goes_on(decisions: ByName, *, stopped: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the arms that get the seeds of the next look: those that are undecided and were at every look before.

    An arm without an accuracy gets none: it has nothing to be compared by, and more seeds of it would diverge as well.

    Args:
        decisions: of one look, from the seeds up to it, at the price of all looks.
        stopped: arms that were decided before, whatever is said of them now.
    """
    before = set(stopped)
    return tuple(name for name, decision in decisions.items() if decision == UNDECIDED and name not in before)


def who_stops(decisions: ByName, *, stopped: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the arms that this look decides: better, worse or equivalent, and not decided before."""
    decided, before = set(DECISIONS) - {UNDECIDED}, set(stopped)
    return tuple(name for name, decision in decisions.items() if decision in decided and name not in before)


def judge(arms: Sequence[ArmResults], *, looks: Sequence[int], primary: str, compare: Compare) -> Judged:
    """Return what each look up to now says of arms, whose seeds begin at 0.

    An arm is reported as it was compared at the look that decided it. Its own seeds are the same ever after, but the spread
    that it shares with its class, and Holm's family, change a little with the seeds of others. So a decision that was made
    is neither taken back nor printed beside an interval that contradicts it.

    Args:
        arms: with all their runs.
        looks: numbers of seeds, up to the look that is taken.
        primary: the probe whose accuracy is compared.
        compare: fills in arms' comparisons, at the price of all looks that are planned.
    """
    found = Judged()
    kept: dict[str, ArmResults] = {}
    for number, seeds in enumerate(looks, 1):
        compared = compare([_at_first_seeds(arm, seeds) for arm in arms])
        decisions = decision_by_name(compared, primary)
        new = who_stops(decisions, stopped=found.stopped)
        kept |= {arm.name: arm for arm in compared if arm.name in new}
        stopped = {**found.stopped, **dict.fromkeys(new, number)}
        shown = tuple(kept.get(arm.name, arm) for arm in compared)
        found = Judged(arms=shown, stopped=stopped, undecided=who_goes_on(decisions, stopped=stopped))
    return found


def decision_by_name(arms: Sequence[ArmResults], primary: str) -> dict[str, str | None]:
    """Return what was decided of each arm that is tested against the baseline."""
    found: dict[str, str | None] = {}
    for arm in arms:
        difference = arm.difference(primary)
        if difference is not None and difference.decision is not None:
            found[arm.name] = difference.decision
    return found


def steps_of(looks: Looks | None) -> tuple[int, ...]:
    """Return the numbers of seeds of the looks up to this one, where decided arms stop; nothing elsewhere."""
    return looks.planned[: looks.look] if looks is not None and looks.until_decided else ()


def confidence_of(looks: Looks | None) -> str:
    """Return at what confidence the intervals of a study's tests are, which a price raises: `95 %`, `98.75 %`."""
    return f"{100 * (1 - ALPHA / (looks.price if looks else 1)):.4g} %"


def look_sentence(looks: Looks) -> str:
    """Return which look results are of and what it costs: `look 2 of 4, at 5 seeds: p-values are times 4`."""
    seeds = looks.planned[looks.look - 1]
    which = f"look {looks.look} of {len(looks.planned)}" if looks.declared else f"look {looks.look}, not declared before"
    return f"{which}, at {seeds} seeds: p-values are times {looks.price}, intervals at {confidence_of(looks)}"


def look_lines(results: StudyResults) -> list[str]:
    """Return what a command prints of its look: which it is, and what was decided at each until now."""
    looks, decisions = results.looks, decision_by_name(results.arms, results.primary)
    if looks is None:
        return []
    lines, labels = [look_sentence(looks)], {arm.name: arm.label for arm in results.arms}
    for number, seeds in enumerate(looks.planned[: looks.look], 1):
        decided = [f"{labels[name]} {decisions[name]}" for name, at in looks.stopped.items() if at == number]
        if decided:
            lines.append(f"decided at look {number}, {seeds} seeds: {'; '.join(decided)}")
    return lines


def undecided_note(results: StudyResults) -> list[str]:
    """Return which arms remain undecided where arms stop when they are decided; nothing where none does."""
    looks = results.looks
    if looks is None or not looks.until_decided:
        return []
    left = who_goes_on(decision_by_name(results.arms, results.primary), stopped=looks.stopped)
    labels = "; ".join(results.arm(name).label for name in left)
    return [f"Undecided after {looks.planned[looks.look - 1]} seeds: {labels}."] if left else []


def _at_first_seeds(arm: ArmResults, seeds: int) -> ArmResults:
    """Return an arm or a control with the runs of its first seeds; what is tuned or tried has seeds of its own."""
    if arm.role not in ("arm", "control"):
        return arm
    return replace(arm, runs=tuple(run for run in arm.runs if run.seed < seeds))
