"""Notes: agreement with published results, and what sets the runs apart."""

from collections.abc import Sequence

from study.analysis.vicreg_terms import hinge_note
from study.results.schema import ArmResults, StudyResults

VIEW_PASSES = "pretrain.view_passes"


def notes(results: StudyResults, *, network: Sequence[str]) -> list[str]:
    """Return sentences on where these results and published ones agree, and on what sets these runs apart.

    Args:
        results: with their arms compared.
        network: notes on the network, which `study.analysis.network_notes` writes.
    """
    return [
        *hinge_note(results.arms),
        *_published_note(results.arms, results.published_source),
        *_choice_notes(results),
        *_joint_note(results),
        *network,
        *_few_labels_notes(results),
    ]


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


def _choice_notes(results: StudyResults) -> list[str]:
    """Return how a search or a tuning chose settings."""
    found = []
    if results.mode == "search":
        found.append(
            "The settings were proposed and chosen on validation at seeds of their own; what was chosen was then run at the "
            "study's seeds and read on test, so that its lead is not the luck of the best of many."
        )
    if results.parameters and results.parameters.nuisance:
        keys = ", ".join(results.parameters.nuisance)
        found.append(f"In every arm alike, {keys} was tuned on validation, at a seed that is none of the study's.")
    return found


def _joint_note(results: StudyResults) -> list[str]:
    """Return which arms normalised both views together, which is a training of another kind."""
    trained = [arm for arm in results.arms if not arm.is_control]
    joint = sorted({arm.label for arm in trained if {**results.recipe, **arm.settings}.get(VIEW_PASSES) == "joint"})
    if not joint:
        return []
    return [
        f"BatchNorm saw both views of a batch at once (pretrain.view_passes: joint) in {', '.join(joint)}: not the "
        "published training, which normalises each view by itself."
    ]


def _few_labels_notes(results: StudyResults) -> list[str]:
    """Return what accuracies cannot say where there is one class, or fewer training images than a k-NN's neighbours."""
    found, images = [], results.data.train
    if len(results.data.classes) == 1:
        found.append("All images are of one class, so every accuracy is 1 and says nothing; only geometry names a collapse.")
    probes = {name for arm in results.arms for run in arm.runs for name in run.test}
    larger = [k for k in results.recipe.get("evaluate.knn", ()) if k > images and f"knn_{k}" in probes]
    if larger:
        names = " and ".join(f"k = {k}" for k in larger)
        found.append(f"There are {images} training images, so in the k-NN with {names} all of them vote.")
    return found
