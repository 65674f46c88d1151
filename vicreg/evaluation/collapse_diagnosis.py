"""Name the kind of a network's collapse from its metrics, by thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vicreg.evaluation.collapse_criteria import Criterion, Deciding, Untrained, criteria

HEALTHY = "healthy"
UNDETERMINED = "undetermined"  # too few images to name a collapse, or to say that there is none
ONE_CLASS = "All held-out images are of one class, so accuracy was left out."


class CollapseDiagnosis(NamedTuple):
    """The kind of a collapse, and a sentence with the reason.

    `name` is `complete`, `dimensional`, `informational`, `view-dependent`, `chance-level`, `healthy` if there is none, or
    `undetermined` if there are too few images to tell. `borderline` says in a sentence which measure is within a tenth of a
    threshold beyond which the name would be another; None where none is. `deciding` is the measure that the name hangs on,
    None for `undetermined`.
    """

    name: str
    reason: str
    borderline: str | None = None
    deciding: Deciding | None = None


def diagnose_collapse(
    *,
    embeddings: Mapping[str, Any],
    representations: Mapping[str, Any],
    knn_accuracy: float | None,
    chance: float | None,
    images: int | None,
    dimensions: tuple[int, int] | None,
    class_counts: Sequence[int] | None = None,
    untrained: Untrained | None = None,
    target_std: float | None = 1.0,
) -> CollapseDiagnosis:
    """Return the kind of a network's collapse, from metrics of its embeddings and its representations.

    The first criterion that fails decides. Std comes first, because the other metrics do not depend on scale: to them tiny
    noise around zero is isotropic, and a constant plus noise decorrelated. Redundancy comes before rank: dimensions that
    are copies of each other have a low rank too, and `informational` says why.

    Args:
        embeddings, representations: from `collapse_metrics` or `collapse_trace`; without a rank it is not judged.
        knn_accuracy, chance: shares in [0, 1]; None leaves out the comparison of the two, and so does a chance of 1.
        images: N, on which all of these were measured; None where it is not known, which is taken as enough.
        dimensions: of the embeddings and of the representations; None where they are not known, taken as many.
        class_counts: images of each class that the accuracy is of. They tell a good vote from a guess with fewer images
            where the classes are of unequal size; without them a guess is right with the probability `chance`.
        untrained: the network before training; None leaves out the comparison with it. Embeddings are view-dependent if
            training has not brought two views of an image closer together, relative to views of two images, and the k-NN
            accuracy is not above that network's either.
        target_std: standard deviation that the loss drives each dimension to; None if it leaves the scale free. Then no
            criterion depends on scale.
    """
    judged = criteria(
        embeddings=embeddings, representations=representations, knn_accuracy=knn_accuracy, chance=chance, images=images,
        dimensions=dimensions, class_counts=class_counts, untrained=untrained, target_std=target_std,
    )  # fmt: skip
    named = next((one for one in judged if one.names_collapse), None)
    borderline = _borderline(judged)
    if named is not None:
        return CollapseDiagnosis(named.name, named.sentence, borderline, named.deciding)
    if any(one.wanted is not None for one in judged):
        return CollapseDiagnosis(UNDETERMINED, _too_few(judged, images))
    one_class = f" {ONE_CLASS}" if chance is not None and chance >= 1 else ""
    outdone = next((one for one in judged if one.is_beyond), None)
    if outdone is not None:
        return CollapseDiagnosis(
            HEALTHY, f"No collapse is named. {outdone.sentence}{one_class}", borderline, outdone.deciding
        )
    closest = min(judged, key=lambda one: one.distance)
    reason = (
        f"No measure is beyond its threshold. The closest is {closest.measure} at {closest.value:.3g}; {closest.side} "
        f"{closest.owner}{closest.threshold:.3g} it would name a collapse.{one_class}"
    )
    return CollapseDiagnosis(HEALTHY, reason, borderline, closest.deciding)


def _name(judged: Sequence[Criterion]) -> str:
    collapsed = next((one.name for one in judged if one.names_collapse), None)
    return collapsed or (UNDETERMINED if any(one.wanted is not None for one in judged) else HEALTHY)


def _borderline(judged: Sequence[Criterion]) -> str | None:
    """Return a sentence on the first measure near a threshold on whose other side the name would be another."""
    name = _name(judged)
    if name == UNDETERMINED:
        return None
    for number, one in enumerate(judged):
        for variant, sentence in one.near_variants():
            other = _name([*judged[:number], variant, *judged[number + 1 :]])
            if other != name:
                return f"{sentence}; beyond it the type would be {other}."
    return None


def _too_few(judged: Sequence[Criterion], images: int | None) -> str:
    """Return how many images there are, and how many the most demanding criterion takes."""
    wanted, measure = max(((one.wanted, one.measure) for one in judged if one.wanted is not None), key=lambda pair: pair[0])
    return (
        f"{images} held-out images are too few to tell: {measure} takes at least {wanted}. Raise prepare.validation or add "
        "images."
    )
