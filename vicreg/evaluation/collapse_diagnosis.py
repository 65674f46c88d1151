"""Name the kind of a network's collapse from its metrics, by thresholds.

The thresholds are separate from the metrics, so that changing one retrains no run.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

# In units of the std that the loss drives each dimension to; for VICReg it is gamma. At a tenth of gamma the variance term
# has 0.9 of its largest value, so it does not keep the embeddings apart.
COMPLETE_STD = 0.1
# A tenth of the spread of isotropic rows of unit length: two rows then have a mean cosine above 0.99. This detects a
# constant plus noise at any scale.
COMPLETE_NORMALISED_STD = 0.1
# Most dimensions are dead. The variance term drives each dimension to gamma, a hundred times DEAD_STD, so that shares near
# this threshold are rare.
DIMENSIONAL_DEAD_SHARE = 0.5
# Fewer directions than the 4 that INFORMATIONAL_CORRELATION leaves. Dimensions that are uncorrelated on average can have
# this rank if a few of them have almost all of the variance.
DIMENSIONAL_RANK = 4.0
# With equal variances and many dimensions the participation ratio is about 1 / rho^2, so 0.5 leaves about four
# independent directions in any width. Independent dimensions measure 1 / sqrt(N - 1), 0.08 for N = 150.
INFORMATIONAL_CORRELATION = 0.5
# A smaller margin above chance is no evidence of information. With ten classes and N = 150 held-out samples it is four
# standard deviations of a guess, sqrt(0.1 * 0.9 / 150) = 0.024.
UNINFORMATIVE_MARGIN = 0.1


class CollapseDiagnosis(NamedTuple):
    """The kind of a collapse, and a sentence with the reason.

    `name` is `complete`, `dimensional`, `informational`, `uninformative`, or `healthy` if there is none.
    """

    name: str
    reason: str


def diagnose_collapse(
    *,
    embeddings: Mapping[str, Any],
    representations: Mapping[str, Any],
    knn_accuracy: float | None,
    chance: float | None,
    untrained: Mapping[str, Any] | None = None,
    target_std: float | None = 1.0,
) -> CollapseDiagnosis:
    """Return the kind of a network's collapse, from metrics of its embeddings and its representations.

    The first threshold that is passed decides. Std comes first, because the other metrics do not depend on scale: to them
    tiny noise around zero is isotropic, and a constant plus noise decorrelated. Redundancy comes before rank: dimensions
    that are copies of each other have a low rank too, and `informational` says why.

    Args:
        embeddings, representations: from `collapse_metrics` or `collapse_trace`; without a rank it is not tested.
        knn_accuracy, chance: shares in [0, 1]; None leaves out the comparison of the two.
        untrained: metrics of the embeddings before training; None leaves the next test out. If training has not brought
            two views of an image closer together, relative to views of two images, embeddings do not represent the image.
        target_std: standard deviation that the loss drives each dimension to; None if it leaves the scale free.
    """
    tests: list[tuple[str, str, float, str, float]] = []
    if target_std is not None:
        tests.append(("complete", "the embeddings' mean std", embeddings["std_mean"], "below", COMPLETE_STD * target_std))
    tests += [  # (kind, what, value, which side is bad, threshold)
        ("complete", "the embeddings' normalised std", embeddings["normalised_std"], "below", COMPLETE_NORMALISED_STD),
        ("dimensional", "the embeddings' dead share", embeddings["dead_share"], "above", DIMENSIONAL_DEAD_SHARE),
        (
            "informational",
            "the embeddings' root-mean-square correlation",
            embeddings["rms_correlation"],
            "above",
            INFORMATIONAL_CORRELATION,
        ),
    ]
    tests += [
        ("dimensional", f"the {space}' RankMe", metrics["rankme"], "below", DIMENSIONAL_RANK)
        for space, metrics in (("embeddings", embeddings), ("representations", representations))
        if "rankme" in metrics
    ]
    if knn_accuracy is not None and chance is not None:
        tests.append(("uninformative", "the k-NN accuracy", knn_accuracy, "below", chance + UNINFORMATIVE_MARGIN))
    if untrained is not None:
        # Compared with the untrained network and not with chance: random features of easy images are far above chance. On
        # digits their k-NN accuracy is 86 %, so chance would not reveal a network that has learned nothing.
        what, bound = "the embeddings' view discrepancy, next to the untrained network's,", untrained["view_discrepancy"]
        tests.append(("uninformative", what, embeddings["view_discrepancy"], "above", bound))

    for name, what, value, side, threshold in tests:
        if value < threshold if side == "below" else value > threshold:
            return CollapseDiagnosis(name, f"{what[0].upper()}{what[1:]} is {value:.3g}, {side} {threshold:.3g}.")
    passed = ", ".join(f"{what} {value:.3g} (not {side} {threshold:.3g})" for _, what, value, side, threshold in tests)
    return CollapseDiagnosis("healthy", f"All is on the good side of its threshold: {passed}.")
