"""Name the kind of a network's collapse from its metrics, by thresholds.

The thresholds are separate from the metrics, so that changing one retrains no run. `few_images` raises or lowers them
where there are few images or dimensions.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vicreg.evaluation.few_images import (
    FALSE_ALARM,
    LEAST_IMAGES,
    accuracy_bound,
    correlation_bound,
    guessed_by_chance,
    images_for_spread,
    images_wanted,
    rank_bound,
)

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

VIEW_DEPENDENT, CHANCE_LEVEL = "view-dependent", "chance-level"
UNDETERMINED = "undetermined"  # too few images to name a collapse, or to say that there is none
ONE_CLASS = "All held-out images are of one class, so accuracy says nothing and was left out."


class CollapseDiagnosis(NamedTuple):
    """The kind of a collapse, and a sentence with the reason.

    `name` is `complete`, `dimensional`, `informational`, `view-dependent`, `chance-level`, `healthy` if there is none,
    or `undetermined` if there are too few images to tell.
    """

    name: str
    reason: str


class Untrained(NamedTuple):
    """What is known of the network before training: the view discrepancy of its embeddings, and its k-NN accuracy."""

    view_discrepancy: float
    knn_accuracy: float | None = None


class _Test(NamedTuple):
    """One test: it names a collapse, or is passed, or needs more images (`wanted`)."""

    name: str
    what: str
    value: float
    side: str  # on which side of the threshold it is bad
    threshold: float
    wanted: int | None = None
    also: str = ""  # what else had to hold for the collapse to be named; empty if nothing
    also_holds: bool = True

    @property
    def beyond(self) -> bool:
        return self.value < self.threshold if self.side == "below" else self.value > self.threshold

    @property
    def collapsed(self) -> bool:
        return self.beyond and self.also_holds and self.wanted is None

    @property
    def sentence(self) -> str:
        start = f"{self.what[0].upper()}{self.what[1:]}"
        return f"{start} is {self.value:.3g}, {self.side} {self.threshold:.3g}{self.also}."

    @property
    def passed(self) -> str:
        side = f"{self.side} {self.threshold:.3g}{self.also}" if self.beyond else f"not {self.side} {self.threshold:.3g}"
        return f"{self.what} {self.value:.3g} ({side})"


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

    The first threshold that is passed decides. Std comes first, because the other metrics do not depend on scale: to them
    tiny noise around zero is isotropic, and a constant plus noise decorrelated. Redundancy comes before rank: dimensions
    that are copies of each other have a low rank too, and `informational` says why.

    Args:
        embeddings, representations: from `collapse_metrics` or `collapse_trace`; without a rank it is not tested.
        knn_accuracy, chance: shares in [0, 1]; None leaves out the comparison of the two, and so does a chance of 1.
        images: N, on which all of these were measured; None where it is not known, which is taken as enough.
        dimensions: of the embeddings and of the representations; None where they are not known, taken as many.
        class_counts: images of each class that the accuracy is of. They tell a good vote from a guess with fewer images
            where the classes are of unequal size; without them a guess is right with the probability `chance`.
        untrained: the network before training; None leaves the next test out. Embeddings do not represent the image if
            training has not brought two views of an image closer together, relative to views of two images, and a vote of
            neighbours is not better than that network's either.
        target_std: standard deviation that the loss drives each dimension to; None if it leaves the scale free.
    """
    n = 10**9 if images is None else images
    widths = dimensions or (10**9, 10**9)
    tests = [
        *_of_spread(embeddings, target_std, n, widths[0]),
        *_of_directions(embeddings, representations, n, widths),
        *_of_accuracy(knn_accuracy, chance, n, class_counts),
        *_of_views(embeddings, knn_accuracy, chance, untrained, n),
    ]
    for test in tests:
        if test.collapsed:
            return CollapseDiagnosis(test.name, test.sentence)
    needed: dict[int, dict[str, None]] = {}
    for test in tests:
        if test.wanted is not None:
            needed.setdefault(test.wanted, {})[test.what] = None
    if needed:
        each = "; ".join(
            f"{' and '.join(what)} {'take' if len(what) > 1 else 'takes'} at least {wanted}"
            for wanted, what in sorted(needed.items())
        )
        reason = f"Too few held-out images to tell: {n}. To judge them, {each}. Raise prepare.validation or add images."
        return CollapseDiagnosis(UNDETERMINED, reason)
    one_class = f" {ONE_CLASS}" if chance is not None and chance >= 1 else ""
    passed = ", ".join(test.passed for test in tests)
    start = "No test names a collapse" if any(test.beyond for test in tests) else "All is on the good side of its threshold"
    return CollapseDiagnosis("healthy", f"{start}: {passed}.{one_class}")


def _of_spread(embeddings: Mapping[str, Any], target_std: float | None, n: int, width: int) -> list[_Test]:
    """Return the tests of whether embeddings vary at all, and in most of their dimensions."""
    least = images_for_spread(width)
    wanted = None if n >= least else least
    tests = []
    if target_std is not None:
        std = embeddings["std_mean"]
        tests.append(_Test("complete", "the embeddings' mean std", std, "below", COMPLETE_STD * target_std, wanted))
    normalised, dead = embeddings["normalised_std"], embeddings["dead_share"]
    return [
        *tests,
        _Test("complete", "the embeddings' normalised std", normalised, "below", COMPLETE_NORMALISED_STD, wanted),
        _Test("dimensional", "the embeddings' dead share", dead, "above", DIMENSIONAL_DEAD_SHARE, wanted),
    ]


def _of_directions(
    embeddings: Mapping[str, Any], representations: Mapping[str, Any], n: int, widths: tuple[int, int]
) -> list[_Test]:
    """Return the tests of whether features vary in many directions."""
    wanted = None if n >= LEAST_IMAGES else LEAST_IMAGES
    n = max(n, LEAST_IMAGES)
    correlation = correlation_bound(n, widths[0], correlation=INFORMATIONAL_CORRELATION)
    return [
        _Test(
            "informational",
            "the embeddings' root-mean-square correlation",
            embeddings["rms_correlation"],
            "above",
            correlation,
            wanted,
        ),
        *(
            _Test(
                "dimensional",
                f"the {space}' RankMe",
                metrics["rankme"],
                "below",
                rank_bound(n, width, rank=DIMENSIONAL_RANK),
                wanted,
            )
            for space, metrics, width in zip(
                ("embeddings", "representations"), (embeddings, representations), widths, strict=True
            )
            if "rankme" in metrics
        ),
    ]


def _of_accuracy(
    knn_accuracy: float | None, chance: float | None, n: int, class_counts: Sequence[int] | None
) -> list[_Test]:
    """Return the test of whether a vote of neighbours is better than a guess; none where all images are of one class."""
    if knn_accuracy is None or chance is None or chance >= 1:
        return []
    wanted, bound = images_wanted(knn_accuracy, chance=chance, images=n), accuracy_bound(chance)
    if wanted is not None and class_counts is not None and knn_accuracy >= bound:
        wanted = None if guessed_by_chance(knn_accuracy, class_counts) <= FALSE_ALARM else wanted
    return [_Test(CHANCE_LEVEL, "the k-NN accuracy", knn_accuracy, "below", bound, wanted)]


def _of_views(
    embeddings: Mapping[str, Any], knn_accuracy: float | None, chance: float | None, untrained: Untrained | None, n: int
) -> list[_Test]:
    """Return the test of whether training has brought two views of an image closer together.

    It compares with the untrained network and not with chance: random features of easy images are far above chance. On
    digits their k-NN accuracy is 86 %, so chance would not reveal a network that has learned nothing. Where the vote is
    better than the untrained network's, the features do say something about the image.
    """
    if untrained is None or n < LEAST_IMAGES:
        return []
    what = "the embeddings' view discrepancy, next to the untrained network's,"
    also, better = "", False
    if knn_accuracy is not None and untrained.knn_accuracy is not None and chance is not None and chance < 1:
        better = knn_accuracy > untrained.knn_accuracy
        where = "above" if better else "not above"
        also = f"; the k-NN accuracy, {knn_accuracy:.3g}, is {where} its {untrained.knn_accuracy:.3g}"
    value = embeddings["view_discrepancy"]
    return [_Test(VIEW_DEPENDENT, what, value, "above", untrained.view_discrepancy, also=also, also_holds=not better)]
