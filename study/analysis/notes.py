"""Notes: agreement with published results, and what sets the runs apart."""


import torch

from study.analysis.looks import undecided_note
from study.analysis.vicreg_terms import hinge_note
from study.analysis.wording import agree, count_of, first_of, listed, name_of, signed
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import is_out_of_memory
from study.spec.plan import Plan
from vicreg.data.dataset import Dataset
from vicreg.models.live_taps import parameters_without_gradient
from vicreg.training.setup import new_model, view_size

MOST_NAMED = 2  # arms in a sentence


def notes(plan: Plan, results: StudyResults, dataset: Dataset) -> list[str]:
    """Return sentences on where these results and published ones agree, and on what sets these runs apart."""
    return [
        *hinge_note(results.arms),
        *_looks_notes(plan, results),
        *_published_note(results),
        *_choice_notes(plan, results),
        *_joint_note(plan),
        *_dead_taps_note(plan, dataset),
        *_few_labels_notes(plan, dataset),
    ]


def _looks_notes(plan: Plan, results: StudyResults) -> list[str]:
    """Return why arms that are not decided got no more seeds, and which these are."""
    return [*plan.notes, *undecided_note(results)] if plan.look and plan.look.steps else []


def _published_note(results: StudyResults) -> list[str]:
    """Return how many arms learned here where they did there, and those that differ, with both outcomes."""
    source = results.published_source
    compared = [arm for arm in results.arms if arm.agrees is not None]
    if not compared or not source:
        return []
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
    return found


def _gain_in_words(arm: ArmResults, primary: str) -> str:
    column = arm.summary.get(primary)
    if column is None or column.gain is None:
        return "diverged"
    return f"{signed(column.gain.mean)} points over untrained"


def _choice_notes(plan: Plan, results: StudyResults) -> list[str]:
    """Return how a search or a tuning chose settings."""
    found = []
    if plan.study.mode == "search":
        found.append("Trials were compared on validation, at seeds of their own.")
        confirmed = [
            arm for arm in results.arms if arm.role == "arm" and not arm.is_baseline and results.primary in arm.summary
        ]
        if confirmed:
            winners = agree(len(confirmed), "The winner was", "The winners were")
            found.append(f"{winners} rerun with fresh seeds, so luck in the search does not count.")
    if plan.study.nuisance:
        keys = ", ".join(plan.study.nuisance)
        found.append(f"In every arm alike, {keys} {agree(len(plan.study.nuisance), 'was', 'were')} tuned on "
                     "validation, at a seed "
                     "that is none of the study's.")  # fmt: skip
    return found


def _joint_note(plan: Plan) -> list[str]:
    """Return which arms normalised both views together, which is a training of another kind."""
    trained = [cell for cell in plan.cells if not cell.is_control]
    joint = sorted({cell.label for cell in trained if cell.run.config.pretrain.view_passes == "joint"})
    if not joint:
        return []
    return [
        f"BatchNorm saw both views of a batch at once (pretrain.view_passes: joint) in {first_of(joint, MOST_NAMED)}. The "
        "published training normalises each view by itself."
    ]


def _few_labels_notes(plan: Plan, dataset: Dataset) -> list[str]:
    """Return what accuracies cannot say where there is one class, or fewer training images than a k-NN's neighbours."""
    found, images = [], len(dataset.train.images)
    if len(dataset.classes) == 1:
        found.append(
            "All images are of one class, so every accuracy is 100 % and says nothing. Only geometry shows a collapse."
        )
    probes = plan.cells[0].run.probes
    larger = [k for k in plan.config.evaluate.knn if k > images and "knn" in probes]
    if larger:
        names = listed([f"k = {k}" for k in larger])
        found.append(
            f"There {agree(images, 'is', 'are')} {count_of(images, 'training image')}, so all vote in the k-NN with {names}."
        )
    return found


def _dead_taps_note(plan: Plan, dataset: Dataset) -> list[str]:
    """Return how much of the baseline's backbone can never learn, where images are too small for its kernels."""
    settings = next(cell for cell in plan.cells if not cell.is_control).run.config.pretrain
    size = view_size(settings, dataset.train.images)
    image = torch.zeros(1, dataset.train.images.shape[1], size, size)
    try:
        dead, every = parameters_without_gradient(new_model(settings, dataset).backbone, image)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return []  # so its runs ended
    if dead == 0:
        return []
    return [
        f"At {size} x {size} pixels with the {settings.stem} stem, {100 * dead / every:.0f} % of the {settings.backbone}'s "
        "parameters never receive a gradient. The last feature maps are smaller than the kernels, whose outer weights see "
        "only padding."
    ]
