"""Notes: agreement with published results, and what sets the runs apart."""

from collections.abc import Sequence

import torch

from study.analysis.looks import undecided_note
from study.analysis.vicreg_terms import hinge_note
from study.results.schema import ArmResults, StudyResults
from study.runs.outcomes import is_out_of_memory
from study.spec.plan import Plan
from vicreg.data.dataset import Dataset
from vicreg.models.live_taps import parameters_without_gradient
from vicreg.training.setup import new_model, view_size


def notes(plan: Plan, results: StudyResults, dataset: Dataset) -> list[str]:
    """Return sentences on where these results and published ones agree, and on what sets these runs apart."""
    return [
        *hinge_note(results.arms),
        *_looks_notes(plan, results),
        *_published_note(results.arms, results.published_source),
        *_choice_notes(plan),
        *_joint_note(plan),
        *_dead_taps_note(plan, dataset),
        *_few_labels_notes(plan, dataset),
    ]


def _looks_notes(plan: Plan, results: StudyResults) -> list[str]:
    """Return why arms that are not decided got no more seeds, and which these are."""
    return [*plan.notes, *undecided_note(results)] if plan.look and plan.look.steps else []


def _published_note(arms: Sequence[ArmResults], source: str | None) -> list[str]:
    compared = [arm for arm in arms if arm.agrees is not None]
    if not compared or not source:
        return []
    differing = []
    for arm in compared:
        if arm.agrees is False:
            found = "collapse" if (arm.published or {}).get("collapse") else "no collapse"
            differing.append(f"{arm.label} ({found} there, {arm.collapse_type.name} here)")
    agree = len(compared) - len(differing)
    sentence = f"Of {len(compared)} arms with a published outcome ({source}), {agree} agree"
    return [sentence + (f"; not {'; '.join(differing)}." if differing else ".")]


def _choice_notes(plan: Plan) -> list[str]:
    """Return how a search or a tuning chose settings."""
    found = []
    if plan.study.mode == "search":
        found.append(
            "The settings were proposed and chosen on validation at seeds of their own; what was chosen was then run at the "
            "study's seeds and read on test, so that its lead is not the luck of the best of many."
        )
    if plan.study.nuisance:
        keys = ", ".join(plan.study.nuisance)
        found.append(f"In every arm alike, {keys} was tuned on validation, at a seed that is none of the study's.")
    return found


def _joint_note(plan: Plan) -> list[str]:
    """Return which arms normalised both views together, which is a training of another kind."""
    trained = [cell for cell in plan.cells if not cell.is_control]
    joint = sorted({cell.label for cell in trained if cell.run.config.pretrain.view_passes == "joint"})
    if not joint:
        return []
    return [
        f"BatchNorm saw both views of a batch at once (pretrain.view_passes: joint) in {', '.join(joint)}: not the "
        "published training, which normalises each view by itself."
    ]


def _few_labels_notes(plan: Plan, dataset: Dataset) -> list[str]:
    """Return what accuracies cannot say where there is one class, or fewer training images than a k-NN's neighbours."""
    found, images = [], len(dataset.train.images)
    if len(dataset.classes) == 1:
        found.append("All images are of one class, so every accuracy is 1 and says nothing; only geometry names a collapse.")
    probes = plan.cells[0].run.probes
    larger = [k for k in plan.config.evaluate.knn if k > images and "knn" in probes]
    if larger:
        names = " and ".join(f"k = {k}" for k in larger)
        found.append(f"There are {images} training images, so in the k-NN with {names} all of them vote.")
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
        f"At {size} x {size} pixels with the {settings.stem} stem {100 * dead / every:.0f} % of the parameters of the "
        f"{settings.backbone} never receive a gradient: the last feature maps are smaller than the kernels, whose outer "
        "taps see only padding."
    ]
