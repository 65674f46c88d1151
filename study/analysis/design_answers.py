"""The answers of a grid, a search and a path."""

from collections.abc import Sequence

from study.analysis.arms_answer import answer_of_arms
from study.analysis.by_decision import (
    Decisions,
    decision_of,
    is_collapsed,
    is_whole,
)
from study.analysis.moments import LEAST_SEEDS
from study.analysis.multiple_testing import ALPHA
from study.analysis.regions import Rule, best_rule
from study.analysis.wording import agree, capitalised, explained, in_words, listed, name_of, points, signed, spelled
from study.results.comparisons import BETTER, EQUIVALENT, WORSE
from study.results.findings import PathStep
from study.results.schema import ArmResults, StudyResults

MOST_NAMED = 2


def answer_of_grid(results: StudyResults, found: Decisions) -> list[str]:
    """Return the region to stay in, how many settings are worse or better, and what explains most."""
    arms = [arm for arm in results.arms if arm.role == "arm"]
    collapsed = [arm for arm in arms if is_collapsed(arm)]
    by_arms = answer_of_arms(results, found)
    worse_too = [arm for arm in found.worse if arm not in collapsed]
    rule = best_rule(arms, [*collapsed, *worse_too]) if len(collapsed) > 1 else None
    if rule:
        what = f"collapsed or {agree(rule.inside[0] or 1, 'is', 'are')} clearly worse" if worse_too else "collapsed"
        return [_region(rule, what), _accuracy(found), explained(results.grid)]
    worse = best_rule(arms, found.worse) if len(found.worse) > 1 else None
    if worse:
        are = agree(worse.inside[0] or 1, "is", "are")
        return [_region(worse, f"{are} clearly worse"), _better(found), explained(results.grid)]
    first, *rest = by_arms
    how_many = in_words(len(collapsed)) if collapsed else "none"
    return [first, f"{capitalised(how_many)} of {spelled(len(arms), 'setting')} collapsed.", *rest, explained(results.grid)]


def _region(rule: Rule, what: str) -> str:
    """Return where to stay, with how many settings are bad there and elsewhere."""
    (inside, settings), (outside, others) = rule.inside, rule.outside
    there = f"{in_words(inside) if inside else 'none'} of {spelled(settings, 'setting')} {what}"
    return f"Stay where {rule.text}: there {there}, elsewhere {in_words(outside)} of {in_words(others)}."


def _accuracy(found: Decisions) -> str:
    """Return how many settings of a grid are clearly worse and better than the baseline."""
    worse, tested = len(found.worse), found.tested
    count = f"{capitalised(in_words(worse) if worse else 'none')} of {in_words(tested)} {agree(tested, 'other', 'others')}"
    verb = agree(max(worse, 1), "is", "are")
    if not found.better:
        return f"{count} {verb} clearly worse than the baseline, none clearly better."
    return f"{_better(found)} {count} {verb} clearly worse."


def _better(found: Decisions) -> str:
    better, base = found.better, name_of(found.baseline.label)
    if not better:
        return f"None is clearly better than {base}."
    who = listed([name_of(arm.label) for arm in better]) if len(better) <= MOST_NAMED else spelled(len(better), "setting")
    return f"{capitalised(who)} {agree(len(better), 'is', 'are')} clearly better than {base}."


def answer_of_search(results: StudyResults, found: Decisions) -> list[str]:
    """Return what became of a search's proposals when they were rerun at fresh seeds, against the baseline."""
    proposals = [arm for arm in results.arms if arm.role == "arm" and not arm.is_baseline]
    measured = [arm for arm in proposals if arm.difference(results.primary) is not None]
    if not measured:
        return [f"Keep {name_of(found.baseline.label)} for now: the search's proposal was not rerun at fresh seeds yet.",
                _collapsed_trials(results)]  # fmt: skip
    if len(measured) > 1:
        return [*_several(results, found, measured), _collapsed_trials(results)]
    return [_proposal(results, found, measured[0]), _caveat(measured[0]), _collapsed_trials(results)]


def _proposal(results: StudyResults, found: Decisions, arm: ArmResults) -> str:
    """Return what one proposal came to."""
    difference = arm.difference(results.primary)
    assert difference is not None, "only measured proposals are judged"
    name, base = name_of(arm.label), name_of(found.baseline.label)
    seeds, gained = spelled(difference.n, "fresh seed"), f"{signed(difference.mean)} points"
    decision = decision_of(difference) if difference.n >= LEAST_SEEDS else None
    margin = results.power.margin if results.power else None
    if decision == BETTER and is_whole(arm):
        return f"Use {name}: rerun at {seeds}, it is clearly better than {base} ({gained})."
    start = f"Keep {base}. The search's proposal, {name}, "
    if decision is None or not is_whole(arm):
        return f"{start}lost seeds when rerun, so it proves nothing."
    if decision == WORSE:
        return f"{start}is clearly worse at {seeds} ({gained})."
    if decision == EQUIVALENT and margin:
        return f"{start}is equivalent to it within {points(margin)} at {seeds}."
    return f"{start}came to {gained} at {seeds}, which is within the noise."


def _caveat(arm: ArmResults) -> str:
    return f"Its collapse type is {arm.collapse_type.marked_name}." if is_collapsed(arm) else ""


def _several(results: StudyResults, found: Decisions, measured: Sequence[ArmResults]) -> list[str]:
    """Return what the proposals of a search with several objectives came to."""
    better, base = found.better, name_of(found.baseline.label)
    front = len(results.search.front) if results.search else len(measured)
    choice = f"Choose by cost among the {spelled(front, 'trial')} on the Pareto front."
    if not better:
        return [choice, f"Rerun at fresh seeds, none of its {in_words(len(measured))} proposals is clearly more "
                        "accurate than "
                f"{base}."]  # fmt: skip
    are = agree(len(better), "is", "are")
    return [choice, f"Rerun at fresh seeds, {in_words(len(better))} of {in_words(len(measured))} proposals {are} "
                    "clearly more "
            f"accurate than {base}."]  # fmt: skip


def _collapsed_trials(results: StudyResults) -> str:
    """Return how many trials collapsed, those that were stopped early for it among them."""
    trials = [arm for arm in results.arms if arm.role == "trial"]
    if not trials:
        return ""
    collapsed = sum(arm.outcomes.collapsed for arm in trials if arm.outcomes)
    count = in_words(collapsed) if collapsed else "none"
    return f"{capitalised(count)} of {spelled(len(trials), 'trial')} collapsed."


def answer_of_path(results: StudyResults, found: Decisions) -> list[str]:
    """Return which changes on the way are clearly worth making."""
    steps = results.path.steps if results.path else ()
    if not steps:
        return answer_of_arms(results, found)
    clear = [step for step in steps if _is_clear(step) and step.gain.mean > 0]
    harmful = [step for step in steps if _is_clear(step) and step.gain.mean < 0]
    base = name_of(found.baseline.label)
    if not clear:
        said = [f"Keep {base}: no change on the way to {name_of(results.path.to) if results.path else ''} is clearly "
                "better than "
                "the step before."]  # fmt: skip
    else:
        most = max(clear, key=lambda step: step.gain.mean)
        others = [step for step in clear if step is not most]
        said = [
            f"Make the change {name_of(most.change)}. It gains {signed(most.gain.mean)} points over the step before, "
            "clearly."
        ]
        if others:
            gained = [f"{name_of(step.change)} ({signed(step.gain.mean)})" for step in others]
            also = listed(gained) if len(others) <= MOST_NAMED else spelled(len(others), "other change")
            said.append(f"{capitalised(also)} {agree(len(others), 'gains', 'gain')} clearly as well.")
    if harmful:
        said.append(
            f"{capitalised(spelled(len(harmful), 'change'))} clearly {agree(len(harmful), 'loses', 'lose')} accuracy."
        )
    open_ = len(steps) - len(clear) - len(harmful)
    if open_ and (clear or harmful):
        said.append(f"For {spelled(open_, 'change')}, {spelled(min(step.gain.n for step in steps), 'seed')} cannot tell.")
    return said


def _is_clear(step: PathStep) -> bool:
    return step.gain.n >= LEAST_SEEDS and step.gain.p_holm is not None and step.gain.p_holm < ALPHA
