"""Notes: agreement with published results, and what sets the runs apart."""

from collections import Counter
from collections.abc import Sequence

from study.analysis.embedding_scale import scale_notes
from study.analysis.looks import undecided_note
from study.analysis.vicreg_terms import hinge_note, vicreg_arms
from study.analysis.wording import agree, capitalised, count_of, first_of, listed, name_of, probe_name, signed
from study.results.schema import ArmResults, StudyResults
from study.results.training_images import saw_validation, trained_on, training_of
from study.runs.outcomes import FINISHED

VIEW_PASSES = "pretrain.view_passes"
MOST_NAMED = 2  # arms in a sentence
_OPEN = "it is open after correction whether training gains anything over the untrained network"


def notes(results: StudyResults, *, network: Sequence[str]) -> list[str]:
    """Return sentences on where these results and published ones agree, and on what sets these runs apart.

    Args:
        results: with their arms compared.
        network: notes on the network, which `study.analysis.network_notes` writes.
    """
    return [
        *hinge_note(vicreg_arms(results)),
        *_looks_notes(results),
        *_published_note(results),
        *_choice_notes(results),
        *_training_note(results),
        *_elsewhere_note(results),
        *_unmeasured_note(results),
        *_joint_note(results),
        *scale_notes(results),
        *network,
        *_few_labels_notes(results),
    ]


def _unmeasured_note(results: StudyResults) -> list[str]:
    """Return by which probes finished runs are not measured that others are measured by, arm by arm."""
    finished = [(arm, run) for arm in results.arms for run in arm.runs if run.status == FINISHED]
    probes = list(dict.fromkeys(probe for _, run in finished for probe in run.test))
    lacking: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for arm, run in finished:
        if lost := tuple(probe_name(probe) for probe in probes if probe not in run.test):
            lacking.setdefault((name_of(arm.label), lost), []).append(str(run.seed))
    return [
        f"{capitalised(label)} (seed {listed(seeds)}) is not measured by the {listed(lost)} yet."
        for (label, lost), seeds in lacking.items()
    ]


def _looks_notes(results: StudyResults) -> list[str]:
    """Return why arms that are not decided got no more seeds, and which these are."""
    note = results.looks.note if results.looks else ""
    return [*([note] if note else []), *undecided_note(results)]


def _published_note(results: StudyResults) -> list[str]:
    """Return how many arms learned here where they did there, and those that differ, with both outcomes."""
    source = results.published_source
    published = [arm for arm in results.arms if arm.published]
    compared = [arm for arm in published if arm.agrees is not None]
    if not published or not source:
        return []
    if not compared:
        count = count_of(len(published), "published outcome")
        return [f"For {count} ({source}), {_OPEN}."]
    differing = []
    for arm in compared:
        if arm.agrees is False:
            there = "collapse" if (arm.published or {}).get("collapse") else "an accuracy"
            differing.append(f"{name_of(arm.label)} ({there} there, {_gain_in_words(arm, results.primary)} here)")
    same = len(compared) - len(differing)
    count = count_of(len(compared), "published outcome")
    found = [f"Of {count} ({source}), {same or 'none'} {agree(max(same, 1), 'agrees', 'agree')} with ours."]
    if differing:
        found.append(f"{agree(len(differing), 'One differs', 'Others differ')}: {first_of(differing, MOST_NAMED)}.")
    if untold := len(published) - len(compared):
        found.append(f"For {count_of(untold, 'other')}, {_OPEN}.")
    return found


def _gain_in_words(arm: ArmResults, primary: str) -> str:
    column = arm.summary.get(primary)
    if column is None or column.gain is None:
        return "diverged"
    return f"{signed(column.gain.mean)} points over untrained"


def _choice_notes(results: StudyResults) -> list[str]:
    """Return how a search, a path or a tuning chose settings."""
    found = []
    if results.path is not None:
        found.append("A path keeps the change that is best on validation, and its gain is of the same runs. So gains are "
                     "somewhat too large.")  # fmt: skip
    if results.mode == "search":
        found.append("Trials were compared on validation, at seeds of their own.")
        confirmed = [
            arm for arm in results.arms if arm.role == "arm" and not arm.is_baseline and results.primary in arm.summary
        ]
        if confirmed:
            winners = agree(len(confirmed), "The winner was", "The winners were")
            found.append(f"{winners} rerun with fresh seeds, so luck in the search does not count.")
    if results.parameters and results.parameters.nuisance:
        keys = list(results.parameters.nuisance)
        were = agree(len(keys), "was", "were")
        found.append(
            f"In every arm alike, {', '.join(keys)} {were} tuned on validation, at a seed that is none of the study's."
        )
    return [*found, *_own_tuning_note(results)]


def _training_note(results: StudyResults) -> list[str]:
    """Return what validation says where validation images were trained on."""
    if not saw_validation(results):
        return []
    images = f"{results.data.validation:,} validation images"
    found = [
        f"Runs are {training_of(results)}, and what is measured on test is fitted on all of them."
        if len({trained_on(results, arm) for arm in results.arms if arm.role in ("arm", "step")}) == 1
        else f"Which images arms are trained on differs: {training_of(results)}.",
        f"Validation accuracies are of probes fitted without the {images}; these were trained on, without labels unless the "
        "method takes them.",
        "Collapse is measured on them too, unaugmented, as everywhere.",
    ]
    if any(arm.role in ("trial", "tuning") for arm in results.arms):
        found.append("Trials and tuning held them out of training, for something was chosen by them.")
    return found


def _elsewhere_note(results: StudyResults) -> list[str]:
    """Return which runs were measured on another machine than trained the study, and what that leaves out."""
    where: dict[str, list[str]] = {}
    headless = False
    for arm in results.arms:
        for run in arm.runs:
            if run.measured_elsewhere:
                where.setdefault(run.measured_elsewhere, []).append(f"{arm.label} (seed {run.seed})")
                headless |= "embeddings" not in run.collapse
    found = [f"Measured {place}, unlike the other runs: {listed(runs)}." for place, runs in where.items()]
    untold = "An encoder alone has no embeddings, so it cannot be told whether it collapsed."
    return [*found, *([untold] if headless else [])]


def _own_tuning_note(results: StudyResults) -> list[str]:
    """Return which arms were tuned over settings of their own, and how many values arms were tried at."""
    own = results.parameters.own_nuisance if results.parameters else None
    if not own:
        return []
    tried = Counter(row.arm for row in results.tuning or ())
    counts = [tried[arm.name] for arm in results.arms if arm.role == "arm"]
    arms = [f"{name} ({', '.join(keys)})" for name, keys in own.items()]
    found = [f"Settings of their own were tuned in {first_of(arms, MOST_NAMED)}."]
    if counts and min(counts) != max(counts):
        found.append(
            f"Tuning tried from {min(counts)} to {max(counts)} settings an arm, and the best of more is better by luck."
        )
    return found


def _joint_note(results: StudyResults) -> list[str]:
    """Return which arms normalised both views together, which is a training of another kind."""
    trained = [arm for arm in results.arms if not arm.is_control]
    joint = sorted({arm.label for arm in trained if {**results.recipe, **arm.settings}.get(VIEW_PASSES) == "joint"})
    if not joint:
        return []
    return [
        f"BatchNorm saw both views of a batch at once (pretrain.view_passes: joint) in {first_of(joint, MOST_NAMED)}. The "
        "published training normalises each view by itself."
    ]


def _few_labels_notes(results: StudyResults) -> list[str]:
    """Return what accuracies cannot say where there is one class, or fewer training images than a k-NN's neighbours."""
    found, images = [], results.data.train
    if len(results.data.classes) == 1:
        found.append(
            "All images are of one class, so every accuracy is 100 % and says nothing. Only geometry shows a collapse."
        )
    probes = {name for arm in results.arms for run in arm.runs for name in run.test}
    larger = [k for k in results.recipe.get("evaluate.knn", ()) if k > images and f"knn_{k}" in probes]
    if larger:
        names = listed([f"k = {k}" for k in larger])
        found.append(
            f"There {agree(images, 'is', 'are')} {count_of(images, 'training image')}, so all vote in the k-NN with {names}."
        )
    return found
