"""The answer where arms are compared with a baseline: keep it, or what to change."""

from collections.abc import Sequence

from study.analysis.alerts import ends_differently
from study.analysis.by_decision import Decisions, is_collapsed, is_whole, leader
from study.analysis.regions import names_of_zeros, shared_settings, with_a_zero
from study.analysis.wording import LEAST_SHOWN, agree, capitalised, in_words, listed, name_of, points, signed, spelled
from study.results.findings import Power
from study.results.schema import ArmResults, StudyResults

MOST_NAMED = 2
WIDEST_OF_POWER = 4  # of the range of a detectable difference: one whose upper end is more times its lower end says nothing


def answer_of_arms(results: StudyResults, found: Decisions) -> list[str]:
    """Return whether to keep the baseline or what to use instead, then which settings are worse and which are open."""
    if found.better:
        return [*_use(results, found), _worse(found), _lost(found), _open(results, found), _mixed(found)]
    return [*_keep(results, found), _leads(results, found), _mixed(found)]


def _use(results: StudyResults, found: Decisions) -> list[str]:
    """Return the settings that are clearly better than the baseline, and that they are a tie where there are several."""
    better, base = found.better, name_of(found.baseline.label)
    means = [difference.mean for arm in better if (difference := arm.difference(results.primary))]
    if len(better) == 1:
        said = [
            f"Use {name_of(better[0].label)}: it is clearly better than {base} ({signed(means[0])} points){_though(better)}."
        ]
    elif len(better) == MOST_NAMED:
        either = listed([name_of(arm.label) for arm in better], word="or")
        gains = " and ".join(map(signed, means))
        said = [f"Use {either}: both are clearly better than the baseline ({gains} points)."]
        if any(is_collapsed(arm) for arm in better):
            said.append(f"But{_though(better).removeprefix(', though')}.")
    else:
        ahead = leader(better, results.primary)
        said = [f"Use one of the {in_words(len(better))} settings that are clearly better than {base}{_though(better)}.",
                f"{capitalised(name_of(ahead.label))} leads them on validation, but no test compares them."]  # fmt: skip
    margin = margin_of(results)
    if margin and max(means) < margin:
        said.append(f"That is less than the smallest difference of interest, {points(margin)}.")
    return said


def _though(better: Sequence[ArmResults]) -> str:
    """Return that a better setting collapsed, with its type, or how many of several did; empty where none did."""
    collapsed = [arm for arm in better if is_collapsed(arm)]
    if not collapsed:
        return ""
    if len(better) == 1:
        return f", though it collapsed: {better[0].collapse_type.marked_name}"
    which = "all" if len(collapsed) == len(better) else in_words(len(collapsed))
    return f", though {which} of them collapsed"


def _keep(results: StudyResults, found: Decisions) -> list[str]:
    """Return that no setting is clearly better, and which tie with the baseline; or that the baseline collapsed."""
    base = name_of(found.baseline.label)
    if is_collapsed(found.baseline):
        return [f"Look for another baseline: {base} collapsed ({found.baseline.collapse_type.name}), and nothing is clearly "
                "better.", _worse(found), _lost(found), _open(results, found)]  # fmt: skip
    near = near_baseline(results, found)
    rest = [arm for arm in (*found.tied, *found.worse, *found.partial, *found.untested) if arm not in near]
    group = shared_settings([found.baseline, *near], rest) if rest else None
    if group is None:
        return [f"Keep {base}: nothing is clearly better.", _worse(found), _lost(found), _open(results, found)]
    far = [arm for arm in found.undecided if arm not in near]
    return [
        f"Keep {base}.",
        _near(found, near, group),
        *_far(results, found, far),
        _lost(found),
    ]


def _near(found: Decisions, near: Sequence[ArmResults], group: str) -> str:
    """Return how many of the settings near the baseline, which share `group`, are equivalent and how many undecided."""
    equal, count = sum(arm in found.equivalent for arm in near), len(near)
    if 0 < equal < count:
        are = agree(equal, "is", "are")
        rest = f"{in_words(count - equal)} undecided"
        return f"Of {in_words(count)} others with {group}, {in_words(equal)} {are} equivalent and {rest}."
    which = agree(count, "The other setting", f"The {in_words(count)} others")
    return f"{which} with {group} {agree(count, 'is', 'are')} {'equivalent' if equal else 'undecided'}."


def near_baseline(results: StudyResults, found: Decisions) -> list[ArmResults]:
    """Return the arms near the baseline: equivalent to it, or undecided with a mean that lies within the margin."""
    return [arm for arm in found.tied if arm in found.equivalent or _side(arm, results) == 0]


def _side(arm: ArmResults, results: StudyResults) -> int:
    """Return 1 where an arm's mean lies above the baseline's by the margin or more, -1 where below, else 0."""
    difference, margin = arm.difference(results.primary), margin_of(results)
    if difference is None or margin is None or abs(difference.mean) < margin:
        return 0
    return 1 if difference.mean > 0 else -1


def _sides(results: StudyResults, arms: Sequence[ArmResults]) -> list[tuple[int, str]]:
    """Return how many arms have a mean that is worse by the margin or more, and how many one that is better."""
    sides = [_side(arm, results) for arm in arms]
    return [(count, how) for how, side in (("worse", -1), ("better", 1)) if (count := sides.count(side))]


def _far(results: StudyResults, found: Decisions, undecided: Sequence[ArmResults]) -> list[str]:
    """Return how many settings outside a tie are clearly worse, and how many undecided ones are so on average."""
    worse = len(found.worse)
    clear = f"{capitalised(in_words(worse))} more {agree(worse, 'is', 'are')} clearly worse." if worse else ""
    lean = [f"{capitalised(in_words(count))} more {agree(count, 'is', 'are')} {how} on average, but undecided."
            for count, how in _sides(results, undecided)]  # fmt: skip
    return [clear, *lean]


def _lean(results: StudyResults, undecided: Sequence[ArmResults]) -> str:
    """Return how many undecided settings have a mean that is worse or better by the margin or more; empty if none has."""
    counts = _sides(results, undecided)
    if not counts:
        return ""
    (count, how), *others = counts
    which = "it" if len(undecided) == 1 else "all" if count == len(undecided) else in_words(count)
    first = f"{which} {agree(count, 'is', 'are')} {points(margin_of(results) or 0)} or more {how}"
    return f"on average {listed([first, *(f'{in_words(count)} {how}' for count, how in others)])}"


def _mixed(found: Decisions) -> str:
    """Return of how many worse settings the seeds end differently, for their intervals are too narrow; empty if of none."""
    mixed = sum(map(ends_differently, found.worse))
    if not mixed:
        return ""
    return f"{capitalised(in_words(mixed))} of the worse {agree(mixed, 'ends', 'end')} differently by seed."


def _worse(found: Decisions) -> str:
    """Return which settings are clearly worse; of many how many, and whether those are among them that lack a term."""
    worse = found.worse
    if not worse:
        return ""
    are = agree(len(worse), "is", "are")
    others = found.tested + len(found.untested) - len(worse)
    if not others and len(worse) > MOST_NAMED:
        return f"All {in_words(len(worse))} others are clearly worse."
    if len(worse) <= MOST_NAMED:
        return f"{capitalised(listed([name_of(arm.label) for arm in worse]))} {are} clearly worse."
    everyone = [found.baseline, *found.better, *found.tied, *worse, *found.partial, *found.untested]
    zeros = with_a_zero(everyone)
    if len(zeros) > 1 and all(arm in worse for arm in zeros):
        every = "all of them" if len(zeros) == len(worse) else f"among them all {in_words(len(zeros))}"
        return f"{capitalised(spelled(len(worse), 'setting'))} are clearly worse, {every} with {names_of_zeros(zeros)} 0."
    return f"{capitalised(spelled(len(worse), 'setting'))} {are} clearly worse."


def _open(results: StudyResults, found: Decisions) -> str:
    """Return for how many settings the seeds cannot tell, and how many equal the baseline within the margin."""
    undecided, equal, margin = found.undecided, found.equivalent, margin_of(results)
    same = ""
    if equal and margin:
        are = agree(len(equal), "is", "are")
        same = f"{capitalised(_named(equal))} {are} equivalent to the baseline within {points(margin)}."
    if not undecided:
        return same
    return f"{same} {_cannot_tell(results, undecided, rest=found)}".strip()


def _cannot_tell(results: StudyResults, undecided: Sequence[ArmResults], *, rest: Decisions) -> str:
    seeds = min(_pairs(arm, results.primary) for arm in undecided)
    others = len(undecided) < rest.tested + len(rest.untested)
    which = (
        f"For the other {in_words(len(undecided))}" if others and len(undecided) > MOST_NAMED else f"For {_named(undecided)}"
    )
    if not others and len(undecided) > MOST_NAMED:
        which = f"For all {in_words(len(undecided))} others"
    lean = _lean(results, undecided)
    power, limit = results.power, ""
    if not others and power and power.detectable and LEAST_SHOWN <= power.detectable < 1 and _is_known(power):
        limit = f"; {agree(seeds, 'it finds', 'they find')} only differences above {points(power.detectable)} reliably"
    return f"{which}, {spelled(seeds, 'seed')} cannot tell{f'; {lean}' if lean else limit}."


def _is_known(power: Power) -> bool:
    """Return whether the detectable difference is known well enough to be an answer."""
    ends = power.main_class.detectable_range if power.main_class else None
    return ends is None or ends[1] <= WIDEST_OF_POWER * ends[0]


def _leads(results: StudyResults, found: Decisions) -> str:
    """Return that the arm ahead on validation is ahead by less than the noise, where it is not the baseline."""
    candidates = [arm for arm in (found.baseline, *found.tied) if is_whole(arm)]
    ahead = leader(candidates, results.primary) if len(candidates) > 1 else None
    difference = ahead.difference(results.primary) if ahead and not ahead.is_baseline else None
    if ahead is None or difference is None:
        return ""
    gained = f"{capitalised(name_of(ahead.label))} leads on validation, but its {signed(difference.mean)} points on test are"
    if ahead in found.equivalent:
        return f"{gained} within the margin."
    excludes_zero = difference.low is not None and difference.high is not None and difference.low * difference.high > 0
    if excludes_zero and difference.p_holm is not None:
        return f"{gained} not clear after correction for all comparisons (p = {difference.p_holm:.2g})."
    return f"{gained} within the noise."


def _lost(found: Decisions) -> str:
    """Return which settings were not considered, for they lost seeds."""
    if not found.lost:
        return ""
    return f"{capitalised(_named(found.lost))} lost seeds and {agree(len(found.lost), 'is', 'are')} left out."


def _named(arms: Sequence[ArmResults]) -> str:
    """Return one or two arms by name, and more by their number."""
    if len(arms) <= MOST_NAMED:
        return listed([name_of(arm.label) for arm in arms])
    return spelled(len(arms), "setting")


def _pairs(arm: ArmResults, primary: str) -> int:
    difference = arm.difference(primary)
    return difference.n if difference else 0


def margin_of(results: StudyResults) -> float | None:
    """Return the smallest difference that matters, a share; None where results do not say."""
    return results.power.margin if results.power else None
