"""A study's answer in at most forty words: what to do, then what is known."""

from collections import Counter
from collections.abc import Callable, Sequence

from study.analysis.alerts import ENDINGS, paired_seeds
from study.analysis.arms_answer import answer_of_arms
from study.analysis.by_decision import (
    Decisions,
    decisions_of,
    is_established,
    is_loss,
    is_whole,
    leader,
    lost_seeds,
    self_supervised,
)
from study.analysis.collapse_answer import answer_of_collapse
from study.analysis.decisions import compared_arms, digests_of
from study.analysis.design_answers import answer_of_grid, answer_of_path, answer_of_search
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import (
    agree,
    capitalised,
    count_of,
    in_terms_of_methods,
    in_words,
    name_of,
    percent,
    probe_name,
    spelled,
    within,
)
from study.results.comparisons import ColumnSummary
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import DIVERGED, FINISHED, MISSING, OUT_OF_MEMORY, PARTIAL

MOST_WORDS = 40
_BY_MODE: dict[str, Callable[[StudyResults, Decisions], list[str]]] = {
    "grid": answer_of_grid, "search": answer_of_search, "path": answer_of_path,
}  # fmt: skip


def answer(results: StudyResults) -> str:
    """Return what to do, and what is known, in at most 40 words; of a study about collapse, what collapses and how.

    Where it is not established that training gains anything over an untrained network, that comes first. Sentences are in
    the order of their weight, and those for which 40 words have no room are left out.
    """
    said = within(_sentences(results), MOST_WORDS)
    return in_terms_of_methods(said) if results.methods and results.methods.is_one_an_arm else said


def _sentences(results: StudyResults) -> list[str]:
    ours = self_supervised(results, compared_arms(results.arms))
    measured = [arm for arm in ours if results.primary in arm.summary]
    if not measured:
        return _nothing_measured(results.arms)
    if results.is_about_collapse:
        return answer_of_collapse(results)
    if results.methods and results.methods.takes_labels(results.baseline):
        return ["Choose another baseline: this one takes labels, so no method is compared with one that takes none."]
    found = decisions_of(results)
    if found is None:
        return [_no_baseline(results, measured)]
    if paired_seeds(results) < LEAST_SEEDS:
        return _too_few_seeds(results, measured)
    chosen = leader(found.better, results.primary) if found.better else found.baseline
    if is_loss(chosen.gain(results.primary)):
        return _harm(results, chosen)
    if len(measured) == 1 and results.mode != "search":
        return _baseline_alone(results, chosen)
    return [
        *gain_warning(results, chosen),
        *_baseline_lost(found.baseline),
        *_BY_MODE.get(results.mode, answer_of_arms)(results, found),
        _settled(results, found),
        *_with_labels(results),
    ]


def _baseline_lost(baseline: ArmResults) -> list[str]:
    """Return at how many seeds the baseline has no result: its mean speaks for those that survived; nothing if at none."""
    lost = lost_seeds(baseline)
    return [f"The baseline itself lost {in_words(lost)} of {spelled(len(baseline.runs), 'seed')}."] if lost else []


def _with_labels(results: StudyResults) -> list[str]:
    """Return what methods that take labels reach; they are controls."""
    labelled = [arm for arm in compared_arms(results.arms) if results.methods and results.methods.takes_labels(arm.name)]
    return [
        f"With labels, {name_of(arm.label).partition(' (')[0]} reaches {percent(arm.summary[results.primary])}."
        for arm in labelled if results.primary in arm.summary
    ]  # fmt: skip


def gain_warning(results: StudyResults, arm: ArmResults) -> list[str]:
    """Return that an arm is not shown to beat its untrained network, with that network's accuracy; nothing where it is."""
    gain, untrained = arm.gain(results.primary), untrained_summary(results, arm)
    if gain is None or untrained is None or is_established(gain):
        return []
    return [f"No gain over the untrained network ({100 * untrained.mean:.1f} %) is established."]


def _harm(results: StudyResults, arm: ArmResults) -> list[str]:
    """Return that the setting to use loses accuracy in training, which makes any other advice pointless."""
    untrained = untrained_summary(results, arm)
    level = f" ({100 * untrained.mean:.1f} %)" if untrained else ""
    return [f"Do not train like this: the untrained network{level} is clearly better than {name_of(arm.label)}."]


def untrained_summary(results: StudyResults, arm: ArmResults) -> ColumnSummary | None:
    """Return the primary accuracy of an arm's untrained control, or None."""
    control = next((one for one in results.arms if one.is_control and one.name == arm.control), None)
    return control.summary.get(results.primary) if control else None


def _settled(results: StudyResults, found: Decisions) -> str:
    """Return that every comparison is decided, of a study that was to go on until they are."""
    looks = results.looks
    unmeasured = [arm for arm in compared_arms(results.arms) if results.primary not in arm.summary]
    lost = any(run.status != DIVERGED for arm in unmeasured for run in arm.runs)  # of one that diverges no seed tells more
    is_open = bool(found.undecided or found.untested or found.partial or lost)
    is_settled = looks is not None and looks.until_decided and found.tested and not is_open
    return "The question is settled: every comparison is decided." if is_settled else ""


def _nothing_measured(arms: Sequence[ArmResults]) -> list[str]:
    """Return why there is no answer where no arm has an accuracy: what became of the runs."""
    statuses = [run.status for arm in arms if not arm.is_control for run in arm.runs]
    if set(statuses) <= {MISSING, PARTIAL}:
        return ["Run the study first: no run has finished, so there is no answer yet."]
    counts = Counter(status for status in statuses if status != FINISHED)
    (commonest, most), *rest = counts.most_common()
    ending = ENDINGS[commonest][most != 1]
    what = f"Every run {ENDINGS[commonest][0]}" if most == len(statuses) else f"{most} of {len(statuses)} runs {ending}"
    others = f", {sum(count for _, count in rest)} had no result for other reasons" if rest else ""
    return [
        f"{_REMEDIES.get(commonest, 'Run the study again')}: {what[:1].lower()}{what[1:]}{others}, so there is no answer."
    ]


_REMEDIES = {
    DIVERGED: "Lower the learning rate", OUT_OF_MEMORY: "Take a smaller batch or network", MISSING: "Finish the study first",
    PARTIAL: "Finish the study first",
}  # fmt: skip


def _no_baseline(results: StudyResults, measured: Sequence[ArmResults]) -> str:
    """Return that nothing can be compared, for the baseline has no accuracy."""
    baseline = next((arm.label for arm in results.arms if arm.is_baseline), results.baseline)
    others = f"{spelled(len(measured), 'other setting')} {agree(len(measured), 'has', 'have')} one"
    runs = [run for arm in results.arms if arm.is_baseline for run in arm.runs]
    if all(run.status in (MISSING, PARTIAL) for run in runs):
        return (
            f"Finish the baseline {name_of(baseline)} first: it has no result yet, so nothing is compared, though {others}."
        )
    return f"Run the baseline {name_of(baseline)} again: it has no result, so nothing is compared, though {others}."


def _too_few_seeds(results: StudyResults, measured: Sequence[ArmResults]) -> list[str]:
    """Return that more seeds come first, and which arm leads as yet."""
    seeds = paired_seeds(results)
    why = f"{spelled(seeds, 'seed')} {agree(seeds, 'tests', 'test')} no difference" if seeds else "nothing is compared yet"
    found = [f"Run at least three seeds: {why}."]
    whole = [arm for arm in measured if is_whole(arm)]
    if len(whole) > 1:
        ahead = leader(whole, results.primary)
        found.append(f"So far {name_of(ahead.label)} leads on validation, which may be chance.")
    baseline = next((arm for arm in measured if arm.is_baseline), None)
    probe = next((name for name in ("linear", results.primary) if baseline and name in baseline.summary), None)
    if baseline and probe:
        level = f"{percent(baseline.summary[probe])} on test ({probe_name(probe)})"
        found.insert(0, f"{capitalised(name_of(baseline.label))} reaches {level}.")
    return found


def _baseline_alone(results: StudyResults, arm: ArmResults) -> list[str]:
    """Return what is known of the baseline where no other arm has a result."""
    others = len(self_supervised(results, compared_arms(results.arms))) - 1
    first = "Add an arm: only the baseline was run, so nothing is compared."
    if same := sum(digests_of(one) == digests_of(arm) for one in results.arms if one.role in ("arm", "step")) - 1:
        have = f"{spelled(same, 'other setting')} {agree(same, 'has', 'have')}"
        first = f"Change a setting: {have} the same runs as the baseline, so nothing is compared."
    if others:
        first = f"Finish the study first: {spelled(others, 'setting')} {agree(others, 'has', 'have')} no result."
    column, gain = arm.summary[results.primary], arm.gain(results.primary)
    said = [first, f"{capitalised(name_of(arm.label))} reaches {percent(column)} over {count_of(column.n, 'seed')}."]
    if gain is not None and is_established(gain):
        said.append("That is clearly above the untrained network.")
    return [*gain_warning(results, arm), *said]
