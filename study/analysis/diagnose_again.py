"""Names the collapse types of recorded runs by today's thresholds."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from study.analysis.arm_types import UNTRAINED, arm_collapse_type
from study.analysis.embedding_scale import embedding_scale, has_lost_scale
from study.analysis.wording import first_of, name_of
from study.results.json_values import from_values, to_values
from study.results.runs import SPACES, CollapseType, RunResults
from study.results.schema import ArmResults, StudyResults
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED, Untrained, diagnose_collapse
from vicreg.evaluation.evaluate import verdict_values
from vicreg.metrics.features import HELD_OUT_IMAGES

NEEDED = ("std_mean", "normalised_std", "dead_share", "rms_correlation", "rankme", "view_discrepancy")
FREE = "relative_dead_share"  # of the embeddings, where the loss leaves their scale free
MOST_NAMED = 2  # arms in a sentence


def diagnose_again(results: StudyResults) -> StudyResults:
    """Return results whose runs are diagnosed by today's thresholds and words, from the metrics that are recorded.

    A run keeps its recorded type where these do not suffice. That is so where a metric, the k-NN accuracy or the untrained
    network of its seed is not recorded, as of a search's trials. It is so, too, where today's diagnosis needs the number of
    images of each class, which is not recorded, and of arms that `undiagnosed_note` names.
    """
    by_name = {arm.name: arm for arm in results.arms}
    return dataclasses.replace(
        results, arms=tuple(_arm(arm, by_name.get(arm.control or ""), results) for arm in results.arms)
    )


def diagnose_lost_scales(results: StudyResults) -> StudyResults:
    """Return results whose arms without a scale of their own are diagnosed at their method's; others stay as they are."""
    by_name = {arm.name: arm for arm in results.arms}
    arms = [
        _arm(arm, by_name.get(arm.control or ""), results)
        if not arm.is_control and has_lost_scale(arm, results) else arm
        for arm in results.arms
    ]  # fmt: skip
    return dataclasses.replace(results, arms=tuple(arms))


def undiagnosed_note(results: StudyResults) -> list[str]:
    """Return which arms keep their recorded types, for it is not recorded at what scale their embeddings are judged."""
    names = [
        name_of(arm.label)
        for arm in results.arms
        if not arm.is_control and any(run.collapse_type and not _is_scale_known(run, arm, results) for run in arm.runs)
    ]
    if not names:
        return []
    return [
        f"Recorded collapse types were kept of {first_of(names, MOST_NAMED)}: the scale that the method gives embeddings, "
        "or a measure that needs none, was not recorded."
    ]


def _is_scale_known(run: RunResults, arm: ArmResults, results: StudyResults) -> bool:
    """Return whether it is known at what scale a run's embeddings are judged, and measured where that is none."""
    scale = embedding_scale(arm, results)
    if scale is None or scale.target_std is not None:
        return scale is not None
    return "embeddings" in run.collapse and run.collapse["embeddings"].metric(FREE) is not None


def _arm(arm: ArmResults, control: ArmResults | None, results: StudyResults) -> ArmResults:
    """Return an arm with the types of its runs, and its own, which follows from these."""
    runs = tuple(_with_type(run, arm, control, results) for run in arm.runs)
    return dataclasses.replace(arm, runs=runs, collapse_type=UNTRAINED if arm.is_control else arm_collapse_type(runs))


def _with_type(run: RunResults, arm: ArmResults, control: ArmResults | None, results: StudyResults) -> RunResults:
    untrained = run if arm.is_control else control.run_at(run.seed) if control else None
    found = _diagnose(run, arm, untrained, results) if untrained else None
    return run if found is None else dataclasses.replace(run, collapse_type=found)


def _diagnose(run: RunResults, arm: ArmResults, untrained: RunResults, results: StudyResults) -> CollapseType | None:
    """Return today's collapse type of a run; None where what is recorded does not suffice."""
    settings = {**results.recipe, **arm.settings}
    neighbours = settings.get("evaluate.knn")
    probe = f"knn_{neighbours[0]}" if neighbours else ""
    accuracy, before = run.validation_top1(probe), untrained.validation_top1(probe)
    spaces = {name: to_values(run.collapse[name]) for name in SPACES if name in run.collapse}
    discrepancy = untrained.collapse["embeddings"].view_discrepancy if "embeddings" in untrained.collapse else None
    scale = embedding_scale(arm, results)
    if scale is None or not _is_scale_known(run, arm, results):
        return None
    if run.collapse_type is None or accuracy is None or before is None or discrepancy is None or results.data.chance is None:
        return None
    if len(spaces) < len(SPACES) or any(key not in spaces[name] for name in SPACES for key in NEEDED):
        return None
    images = min(results.data.validation, HELD_OUT_IMAGES)
    found = diagnose_collapse(
        embeddings=spaces["embeddings"],
        representations=spaces["representations"],
        knn_accuracy=accuracy,
        chance=results.data.chance,
        images=images,
        dimensions=(_dimensions(spaces["embeddings"]), _dimensions(spaces["representations"])),
        untrained=Untrained(view_discrepancy=discrepancy, knn_accuracy=before),
        target_std=scale.target_std,
    )
    if found.name == UNDETERMINED:
        return None
    return from_values(CollapseType, verdict_values(found), where="a diagnosis")


def _dimensions(space: Mapping[str, Any]) -> int:
    """Return the dimension of features by the length of their spectrum.

    The covariance of N images has N - 1 eigenvalues at most. Features of more dimensions count as so many, which is as many
    as the bounds of `few_images` can tell from more.
    """
    return len(space["spectrum"]) if space.get("spectrum") else 10**9
