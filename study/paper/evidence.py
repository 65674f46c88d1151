"""Choose the results, arms and runs that a claim is judged by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from study.analysis.intervals import paired_difference
from study.analysis.moments import ENOUGH_SEEDS, LEAST_SEEDS
from study.paper.protocol import SIZES, STOP, Deviation, Kind, barring, dataset_of, deviations, is_copy, settings_of
from study.paper.published import PublishedProtocol
from study.projection.results import ProjectedData, Projection
from study.results.comparisons import Interval
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import OUTCOMES, PARTIAL


def nearest(
    candidates: Iterable[StudyResults], paper: PublishedProtocol, *, dataset: str, trained: bool = True
) -> StudyResults | None:
    """Return of the results on a data set those whose recipe is nearest to the paper's protocol.

    The recipe is that of `recipe_arm`. Of equals they are those with enough seeds for a verdict, of canonical images, with
    fewest other differences, with most seeds, and of most runs; of these the first. None where there are none.
    """
    known = [one for one in candidates if dataset_of(one.data) == dataset and arms_of(one)]

    def distance(one: StudyResults) -> tuple[int, bool, bool, int, int, int]:
        own = recipe_arm(one)
        found = deviations(settings_of(one, own), one.data, paper, probe=probe_of(one), trained=trained)
        seeds = len(digests(own))
        runs = sum(len(digests(arm)) for arm in arms_of(one))
        return len(barring(found)), seeds < ENOUGH_SEEDS, is_copy(one.data), len(found), -seeds, -runs

    return min(known, key=distance, default=None)


def deviations_of_study(results: StudyResults, paper: PublishedProtocol, *, trained: bool) -> list[Deviation]:
    """Return in what the recipe of a study differs from the paper's protocol, by the paper's linear evaluation.

    Of weights that the paper did not train (`trained` false) the input size is free.
    """
    own = settings_of(results, recipe_arm(results))
    return deviations(own, results.data, paper, free=() if trained else SIZES, trained=trained)


def nearest_map(maps: Iterable[Projection], paper: PublishedProtocol, *, dataset: str) -> Projection | None:
    """Return of the maps on a data set the one whose run is nearest to the paper's recipe; of equals the first."""
    known = [one for one in maps if dataset_of(described(one)[0]) == dataset and one.quality]

    def distance(one: Projection) -> tuple[int, int]:
        found = deviations_of_map(one, paper)
        return len(barring(found)), len(found)

    return min(known, key=distance, default=None)


def described(shown: Projection) -> tuple[ProjectedData, Mapping[str, Any]]:
    """Return on which images the network of a map was trained, and by which recipe.

    Raises:
        ValueError: for a map of an earlier version, which does not say.
    """
    if shown.data is None or shown.recipe is None:
        raise ValueError(f"the map of run {shown.digest} must say of what it is, but has no data or no recipe.")
    return shown.data, shown.recipe


def deviations_of_map(shown: Projection, paper: PublishedProtocol) -> list[Deviation]:
    """Return in what the network of a map, and what is mapped of it, differ from the paper's."""
    data, recipe = described(shown)
    found = deviations(recipe, data, paper, probe=None)
    if shown.features != "embeddings":
        found.append(Deviation(text=f"t-SNE of the {shown.features} in place of the embeddings"))
    if len(shown.classes) < len(data.classes):
        text = f"{len(shown.classes)} of {len(data.classes)} classes on the map"
        found.append(Deviation(text=text, kind=Kind.SMALLER))
    return found


def arms_of(results: StudyResults) -> list[ArmResults]:
    """Return the arms of which a run was measured: no controls, and nothing that was tried in order to choose."""
    return [arm for arm in results.arms if arm.role in ("arm", "step") and not arm.is_control and arm.summary]


def baseline_of(results: StudyResults) -> ArmResults:
    """Return the baseline, or the first arm where it is not there."""
    return next((arm for arm in results.arms if arm.is_baseline), results.arms[0])


def recipe_arm(results: StudyResults) -> ArmResults:
    """Return the arm that the recipe of a study is judged by: its baseline, as far as that has been trained.

    Where no run of it is measured, that is the look at its training which is furthest along it; without one the baseline.
    """
    baseline = baseline_of(results)
    if baseline.summary:
        return baseline
    looks = [arm for arm in arms_of(results) if {**arm.settings, STOP: None} == {**baseline.settings, STOP: None}]
    return max(looks, key=lambda arm: arm.settings.get(STOP) or 0, default=baseline)


def by_name(results: StudyResults, name: str) -> ArmResults | None:
    """Return the arm of this name, None where there is none."""
    return next((arm for arm in results.arms if arm.name == name), None)


def probe_of(results: StudyResults) -> str:
    """Return the paper's linear evaluation where it was measured, else the study's own probe."""
    measured = any("linear" in run.test for arm in results.arms for run in arm.runs)
    return "linear" if measured else results.primary


def accuracies(arm: ArmResults | None, probe: str) -> list[float]:
    """Return the test top-1 of an arm's runs, by seed."""
    return [top1 for _, top1 in sorted(arm.accuracies(probe).items())] if arm else []


def paired(
    arm: ArmResults | None, reference: ArmResults | None, probe: str, *, least: int = LEAST_SEEDS
) -> Interval | None:  # fmt: skip
    """Return the paired difference of two arms' accuracies; None where they share no seed.

    `least` are the seeds that an interval takes: a claim of the paper takes `ENOUGH_SEEDS`.
    """
    own, others = (one.accuracies(probe) if one else {} for one in (arm, reference))
    seeds = sorted(set(own) & set(others))
    values, references = [own[seed] for seed in seeds], [others[seed] for seed in seeds]
    return paired_difference(values, references, least=least) if seeds else None


def digests(*arms: ArmResults | None) -> tuple[str, ...]:
    """Return the runs of some arms of which there is anything: one that is missing or in training has not been run."""
    return tuple(
        run.digest for arm in arms if arm for run in arm.runs if run.test or (run.history and run.status != PARTIAL)
    )  # fmt: skip


def unfinished(*arms: ArmResults | None) -> bool:
    """Return whether the command that made the results has runs of these arms left to do."""
    return any(run.status not in OUTCOMES for arm in arms if arm for run in arm.runs)


def deviations_of_arms(
    results: StudyResults, arms: Mapping[str, Mapping[str, Any]], paper: PublishedProtocol, *, probe: str | None
) -> tuple[Deviation, ...]:
    """Return in what some arms differ from the paper's protocol, and which were not measured where they were trained.

    `arms` says of each what the claim has in place of the recipe.
    """
    found = [
        one for name, instead in arms.items() if (arm := by_name(results, name)) is not None and arm.runs
        for one in deviations(settings_of(results, arm), results.data, paper, probe=probe, instead=instead)
    ]  # fmt: skip
    named = [by_name(results, name) for name in arms]
    return tuple(dict.fromkeys([*found, *measured_elsewhere(*named)]))


def measured_elsewhere(*arms: ArmResults | None) -> list[Deviation]:
    """Return where and from what runs were measured, of those that were not measured where they were trained."""
    return [
        Deviation(text=f"{arm.label}: measured {place}", kind=Kind.ARITHMETIC)
        for arm in arms if arm is not None
        for place in dict.fromkeys(run.measured_elsewhere for run in arm.runs) if place
    ]  # fmt: skip


ResultsByStudy = Mapping[str, Sequence[StudyResults]]  # study -> results of it, from whatever profile
