"""Warnings before any number: runs without a result, and too few seeds."""

from study.analysis.decisions import arm_class
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import agree, count_of, first_of, name_of
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import DIVERGED, FAILED, FINISHED, KILLED, MISSING, OUT_OF_MEMORY, PARTIAL, PRUNED
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED

# Of the settings, where a run ended or stands so, or where its held-out images are too few.
SAYS_NOTHING = (MISSING, PARTIAL, KILLED, FAILED, OUT_OF_MEMORY, UNDETERMINED)
ENDINGS = {  # status -> what became of one run, and of several
    DIVERGED: ("diverged", "diverged"), KILLED: ("was killed", "were killed"), FAILED: ("failed", "failed"),
    OUT_OF_MEMORY: ("ran out of memory", "ran out of memory"), MISSING: ("is missing", "are missing"),
    PARTIAL: ("is unfinished", "are unfinished"), PRUNED: ("was stopped early", "were stopped early"),
    UNDETERMINED: ("has too few held-out images to tell", "have too few held-out images to tell"),
}  # fmt: skip
MOST_NAMED = 2  # runs of one ending


def alerts(results: StudyResults) -> list[str]:
    """Return what a reader must know before any number: runs without a result, and too few seeds to conclude from."""
    return [*_lost_runs(results), *_undetermined(results), *_few_seeds(results)]


def _lost_runs(results: StudyResults) -> list[str]:
    """Return how many runs have no result, and which; a trial that pruning stopped is none of them."""
    runs = [(arm, run) for arm in results.arms for run in arm.runs]
    lost = [(arm, run) for arm, run in runs if run.status != FINISHED and (arm.role, run.status) != ("trial", PRUNED)]
    if not lost:
        return []
    named: dict[str, list[str]] = {}
    for arm, run in lost:
        name = arm.name if arm.role == "trial" else name_of(arm.label)
        named.setdefault(run.status, []).append(f"{name} seed {run.seed}")
    found = [
        f"{len(lost)} of {count_of(len(runs), 'run')} {agree(len(lost), 'has', 'have')} no result; "
        f"{agree(len(lost), 'it counts', 'they count')} in every rate and in no mean."
    ]
    for status, names in named.items():
        found.append(f"{first_of(names, MOST_NAMED)} {agree(len(names), *ENDINGS[status])}.")
    return found


def _undetermined(results: StudyResults) -> list[str]:
    """Return of how many arms it cannot be told whether they collapsed."""
    trained = [arm for arm in results.arms if not arm.is_control and arm.role in ("arm", "step")]
    here = [arm for arm in trained if not any(run.measured_elsewhere for run in arm.runs)]
    unknown = [arm for arm in here if arm.collapse_type.name == UNDETERMINED]
    if not unknown:
        return []
    whose = "any setting" if len(unknown) == len(trained) else f"{len(unknown)} of {count_of(len(trained), 'setting')}"
    return [f"Too few images are held out to tell whether {whose} collapsed."]


def _few_seeds(results: StudyResults) -> list[str]:
    seeds = paired_seeds(results)
    if not 0 < seeds < LEAST_SEEDS:
        return []
    return [f"n = {seeds}: descriptive only. Below three seeds no difference is tested."]


def paired_seeds(results: StudyResults) -> int:
    """Return the most seeds that any arm shares with the baseline; of a baseline alone, its own."""
    arms = [arm for arm in results.arms if arm.role in ("arm", "step") and results.primary in arm.summary]
    measured = [arm.summary[results.primary] for arm in arms]
    paired = [column.difference.n for column in measured if column.difference is not None]
    return max(paired or [column.n for column in measured], default=0)


def ends_differently(arm: ArmResults) -> bool:
    """Return whether an arm's seeds ended in different ways, of those that say how."""
    return arm_class(arm) == "mixed" and len(set(arm.collapse_type.counts) - set(SAYS_NOTHING)) > 1
