"""A study's answer and alerts, in sentences that follow from its numbers."""

import json
from collections import Counter
from collections.abc import Sequence

from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import ALPHA, against, first_of, is_or_are, percent, probe_name
from study.results.findings import PathFindings, SearchFindings
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import DIVERGED, FAILED, FINISHED, KILLED, MISSING, OUT_OF_MEMORY, PARTIAL, PRUNED
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED

# Of the settings, where a run ended or stands so, or where its held-out images are too few.
SAYS_NOTHING = (MISSING, PARTIAL, KILLED, FAILED, OUT_OF_MEMORY, UNDETERMINED)
_ENDINGS = {  # status -> what became of one run, and of several
    DIVERGED: ("diverged", "diverged"), KILLED: ("was killed", "were killed"), FAILED: ("failed", "failed"),
    OUT_OF_MEMORY: ("ran out of memory", "ran out of memory"), MISSING: ("is missing", "are missing"),
    PARTIAL: ("is unfinished", "are unfinished"), PRUNED: ("was pruned", "were pruned"),
    UNDETERMINED: ("has too few held-out images to tell", "have too few held-out images to tell"),
}  # fmt: skip


def answer(results: StudyResults) -> str:
    """Return a few sentences that answer the study's question.

    They say what was best and how sure that is, what else differs from the baseline, and how many collapsed.
    """
    arms, primary = results.arms, results.primary
    # What a search or a tuning tried was compared on validation, one seed each; test must not choose among it once more.
    measured = [arm for arm in arms if arm.role in ("arm", "step") and primary in arm.summary]
    if not measured:
        return _nothing_measured(arms)
    sentences = [_best(measured, primary), _told_apart(measured, primary), _collapsed(arms), _of_design(results)]
    if results.mode == "grid":  # which asks for a region before it asks for a best cell
        sentences = [sentences[2], sentences[3], *sentences[:2]]
    return ". ".join(one for one in sentences if one) + "."


def _nothing_measured(arms: Sequence[ArmResults]) -> str:
    """Return why there is no answer where no arm has an accuracy: what became of the runs."""
    statuses = [run.status for arm in arms if not arm.is_control for run in arm.runs]
    if set(statuses) <= {MISSING, PARTIAL}:
        return "No run has finished yet, so there is no answer yet."
    counts = Counter(status for status in statuses if status != FINISHED)
    endings = [f"{count} {_ENDINGS[status][count != 1]}" for status, count in sorted(counts.items())]
    yet = " yet" if set(counts) & {MISSING, PARTIAL, KILLED, FAILED} else ""
    return f"Of {len(statuses)} runs {', '.join(endings)}, so no arm has an accuracy and there is no answer{yet}."


def alerts(results: StudyResults) -> list[str]:
    """Return what a reader must know before any number: runs without a result, and too few seeds to conclude from."""
    found = []
    runs = [(arm, run) for arm in results.arms for run in arm.runs]
    lost = [(arm, run) for arm, run in runs if run.status != FINISHED and (arm.role, run.status) != ("trial", PRUNED)]
    if lost:
        named: dict[str, list[str]] = {}
        for arm, run in lost:
            name = arm.name if arm.role == "trial" else arm.label
            named.setdefault(run.status, []).append(f"{name} seed {run.seed}")
        what = "; ".join(f"{first_of(names)} {_ENDINGS[status][len(names) > 1]}" for status, names in named.items())
        has = "has" if len(lost) == 1 else "have"
        found.append(f"{len(lost)} of {len(runs)} runs {has} no result: {what}. They count in every rate and in no mean.")
    seeds = _paired_seeds(results)
    if 0 < seeds < LEAST_SEEDS:
        found.append(f"n = {seeds}: descriptive only. Below three seeds nothing is concluded from a difference.")
    return found


def _best(measured: Sequence[ArmResults], primary: str) -> str:
    """Return the arm that is best on validation among those that finished at every seed.

    A mean over seeds that survived would speak for settings that let some diverge.
    """
    whole = [arm for arm in measured if arm.outcomes and arm.summary[primary].n == arm.outcomes.asked]
    partly = [arm.label for arm in measured if arm not in whole]
    passed_over = f" ({first_of(partly)} lost seeds and {is_or_are(partly)} not considered)" if partly else ""
    if not whole:
        return f"No arm has finished at every seed, so none is called best{passed_over}"
    best = max(whole, key=lambda arm: arm.summary[f"validation_{primary}"].mean)
    main = best.summary[primary]
    sentence = f"Best on validation is {best.label}{passed_over}; on test it has {percent(main)} {probe_name(primary)} top-1"
    if best.is_baseline:
        return f"{sentence}. It is the baseline"
    return f"{sentence}, {against(main.difference, 'the baseline')}"


def _told_apart(measured: Sequence[ArmResults], primary: str) -> str:
    """Return how many of all arms are above the baseline, below it and neither, by Holm's p-values."""
    tested = []
    for arm in measured:
        difference = None if arm.is_baseline else arm.summary[primary].difference
        if difference is not None and difference.p_holm is not None:
            tested.append((arm.label, difference.mean, difference.p_holm))
    if len(tested) < 2:
        return ""
    above = [label for label, mean, p in tested if p < ALPHA and mean > 0]
    below = [label for label, mean, p in tested if p < ALPHA and mean < 0]
    if not above and not below:
        return f"By Holm's adjusted p-values none of {len(tested)} arms is told apart from the baseline"
    parts = [
        f"{first_of(names)} {is_or_are(names)} {where} it" for names, where in ((above, "above"), (below, "below")) if names
    ]
    rest = len(tested) - len(above) - len(below)
    others = f" and {rest} of {len(tested)} arms {'is' if rest == 1 else 'are'} not told apart from it" if rest else ""
    return f"Against the baseline, by Holm's adjusted p-values, {', '.join(parts)}{others}"


def _collapsed(arms: Sequence[ArmResults]) -> str:
    """Return how many of all settings collapsed, each counted once, whatever arms and trials it is the setting of."""
    named: dict[str, str] = {}
    for arm in arms:
        if arm.role in ("arm", "step", "trial"):
            named.setdefault(json.dumps(arm.settings, sort_keys=True), arm.collapse_type.name)
    noun = "settings" if any(arm.role == "trial" for arm in arms) else "arms"
    counts = Counter(named.values())
    if PRUNED in counts:  # which is done for complete collapse alone
        counts["complete and pruned"] = counts.pop(PRUNED)
    other = {_ENDINGS[name]: counts.pop(name) for name in (DIVERGED, *SAYS_NOTHING) if name in counts}
    counts.pop("healthy", None)
    if len(named) < 2 and not counts and not other:
        return ""
    types = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    collapsed = [f"{counts.total()} collapsed ({types})" if counts else "none collapsed"]
    if other.get(_ENDINGS[UNDETERMINED]) == len(named):
        collapsed = []  # nothing is known of any
    endings = [f"{count} {ending[count != 1]}" for ending, count in other.items()]
    return f"Of {len(named)} {noun} {', '.join([*collapsed, *endings])}"


def _of_design(results: StudyResults) -> str:
    """Return what the design adds: the terms that explain most of a grid, what pruning saved, the largest step."""
    if results.grid and results.grid.anova:
        effects = [effect for effect in results.grid.anova.effects if effect.p < ALPHA]
        effects = sorted(effects, key=lambda effect: -effect.share)[:2]
        named = [f"{effect.term} explains {100 * effect.share:.0f} %" for effect in effects]
        return f"Of the variance of accuracy over the grid's runs {' and '.join(named)}" if named else ""
    if results.search:
        return _of_search(results.search)
    return _of_path(results.path) if results.path else ""


def _of_search(search: SearchFindings) -> str:
    saved = (
        f"Pruning of {search.pruned.trials} collapsed trials saved {100 * search.pruned.saved:.0f} % of the search's epochs"
    )
    several = f"{len(search.front)} trials are on the Pareto front" if len(search.objectives) > 1 else ""
    return ". ".join(one for one in (several, saved if search.pruned.trials else "") if one)


def _of_path(path: PathFindings) -> str:
    if not path.steps:
        return ""
    most = max(path.steps, key=lambda step: step.gain.mean)
    if most.gain.mean <= 0 or most.gain.n < LEAST_SEEDS:
        return ""
    return f"Of the changes on the way {most.change} earned most: {against(most.gain, 'the step before')}"


def _paired_seeds(results: StudyResults) -> int:
    """Return the most seeds that any arm shares with the baseline; of a baseline alone, its own."""
    arms = [arm for arm in results.arms if arm.role in ("arm", "step") and results.primary in arm.summary]
    measured = [arm.summary[results.primary] for arm in arms]
    paired = [column.difference.n for column in measured if column.difference is not None]
    return max(paired or [column.n for column in measured], default=0)
