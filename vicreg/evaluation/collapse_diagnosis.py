"""One word for what the collapse metrics of a network say together, and the thresholds it rests on.

Apart from the metrics themselves, so that a threshold can be moved without a run having to be trained again: a verdict is
read off what was measured.
"""

from typing import NamedTuple

# In units of the std that the loss drives each dimension to: gamma for VICReg, whose variance term rests there. A tenth of it: the variance term then stands at 0.9 of its largest value, so nothing holds the embeddings apart.
COMPLETE_STD = 0.1
# Rows of unit length whose spread is a tenth of an isotropic one's: two of them have a mean cosine above 0.99. This
# catches a constant plus noise at any scale.
COMPLETE_NORMALISED_STD = 0.1
# Most of the embedding serves nothing. The variance term pushes every dimension to gamma, a hundred times DEAD_STD, so
# that a share near the threshold is rare on either side.
DIMENSIONAL_DEAD_SHARE = 0.5
# Fewer directions than the 4 that INFORMATIONAL_CORRELATION leaves: dimensions can be uncorrelated on average and still
# be of so low a rank where a few carry almost all of the variance.
DIMENSIONAL_RANK = 4.0
# With equal variances and many dimensions the participation ratio is about 1 / rho^2, so 0.5 leaves about four
# independent directions, whatever d is. Independent dimensions measure 1 / sqrt(N - 1): 0.08 for N = 150.
INFORMATIONAL_CORRELATION = 0.5
# Above chance by less than this is no evidence of information: at ten classes and N = 150 held-out samples it is four
# standard deviations of a guess, sqrt(0.1 * 0.9 / 150) = 0.024.
UNINFORMATIVE_MARGIN = 0.1


class CollapseDiagnosis(NamedTuple):
    """`complete`, `dimensional`, `informational`, `uninformative` or `healthy`, and a sentence that says why."""

    name: str
    reason: str


def diagnose_collapse(
    *,
    embeddings: dict,
    representations: dict,
    knn_accuracy: float | None,
    chance: float | None,
    untrained: dict | None = None,
    target_std: float | None = 1.0,
) -> CollapseDiagnosis:
    """Name the collapse of a network from the metrics of its embeddings and of its representations.

    Both are dicts of `collapse_metrics` or of `collapse_trace`; the accuracies are shares in [0, 1], and None leaves
    the test against chance out. `untrained` are the metrics of the embeddings of the same network before training: where
    training has not brought two views of an image closer together, next to views of two images, embeddings say nothing
    about the image, however well they are spread. `target_std` is what the loss drives each dimension to, or None
    where it leaves their scale free and the mean std says nothing. The first test that fires decides.
    Std comes first: the other metrics are free of scale, take tiny noise around zero for isotropic and a constant plus
    noise for decorrelated. Redundancy comes before rank: dimensions that all vary, as copies of each other, are of low
    rank as well, and `informational` says why.
    """
    tests: list[tuple[str, str, float, str, float]] = []
    if target_std is not None:
        tests.append(("complete", "the embeddings' mean std", embeddings["std_mean"], "below", COMPLETE_STD * target_std))
    tests += [  # (verdict, what, value, which side is bad, threshold)
        ("complete", "the embeddings' normalised std", embeddings["normalised_std"], "below", COMPLETE_NORMALISED_STD),
        ("dimensional", "the embeddings' dead share", embeddings["dead_share"], "above", DIMENSIONAL_DEAD_SHARE),
        (
            "informational",
            "the embeddings' root-mean-square correlation",
            embeddings["rms_correlation"],
            "above",
            INFORMATIONAL_CORRELATION,
        ),
        ("dimensional", "the embeddings' RankMe", embeddings["rankme"], "below", DIMENSIONAL_RANK),
        ("dimensional", "the representations' RankMe", representations["rankme"], "below", DIMENSIONAL_RANK),
    ]
    if knn_accuracy is not None and chance is not None:
        tests.append(("uninformative", "the k-NN accuracy", knn_accuracy, "below", chance + UNINFORMATIVE_MARGIN))
    if untrained is not None:
        # Not further from chance but from where training began: random features of easy images are far above chance (on
        # digits their k-NN is right 86 % of the time), so that chance alone would miss a network that has learned nothing.
        what, bound = "the embeddings' view discrepancy, next to the untrained network's,", untrained["view_discrepancy"]
        tests.append(("uninformative", what, embeddings["view_discrepancy"], "above", bound))

    for name, what, value, side, threshold in tests:
        if value < threshold if side == "below" else value > threshold:
            return CollapseDiagnosis(name, f"{what[0].upper()}{what[1:]} is {value:.3g}, {side} {threshold:.3g}.")
    passed = ", ".join(f"{what} {value:.3g} (not {side} {threshold:.3g})" for _, what, value, side, threshold in tests)
    return CollapseDiagnosis("healthy", f"All is on the good side of its threshold: {passed}.")
