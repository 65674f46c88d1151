"""Thresholds of collapse metrics, and how a measure stands to one.

They are separate from the metrics, so that changing one retrains no run. `few_images` raises or lowers them where there are
few images or dimensions.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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

VIEW_DEPENDENT, CHANCE_LEVEL = "view-dependent", "chance-level"

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
# A measure within a tenth of its threshold is borderline. The std of one arm differs by so much between seeds: on digits
# 0.0542 to 0.0644 at lambda 10, mu 1.
BORDERLINE = 0.1


class Untrained(NamedTuple):
    """What is known of the network before training: the view discrepancy of its embeddings, and its k-NN accuracy."""

    view_discrepancy: float
    knn_accuracy: float | None = None


class Deciding(NamedTuple):
    """The measure that decided a collapse type: its value, and the threshold that it is `below` or `above`.

    For `healthy` it is the measure that is closest to its threshold, and `side` is where a collapse would be named.
    """

    measure: str
    value: float
    side: str
    threshold: float
    owner: str = ""  # whose number the threshold is, in words; empty for a constant


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One measure and its threshold: it names a collapse, is passed, or needs more images (`wanted`).

    `rival` is a pair of measures (what, value, threshold) of which the first must not be larger for a collapse to be named.
    `flipped` and `rival_flipped` ask what would be so on the other side of either threshold.
    """

    name: str
    measure: str
    value: float
    side: str  # on which side of the threshold it is bad
    threshold: float
    wanted: int | None = None
    owner: str = ""
    note: str = ""  # what the threshold means, after the number
    rival: tuple[str, float, float] | None = None
    flipped: bool = False
    rival_flipped: bool = False

    @property
    def is_beyond(self) -> bool:
        beyond = self.value < self.threshold if self.side == "below" else self.value > self.threshold
        return beyond != self.flipped

    @property
    def is_outdone(self) -> bool:
        """Whether the rival speaks against a collapse."""
        return self.rival is not None and (self.rival[1] > self.rival[2]) != self.rival_flipped

    @property
    def names_collapse(self) -> bool:
        return self.wanted is None and self.is_beyond and not self.is_outdone

    @property
    def deciding(self) -> Deciding:
        return Deciding(self.measure, self.value, self.side, self.threshold, self.owner)

    @property
    def distance(self) -> float:
        """How far the value is from its threshold, as the size of the logarithm of their ratio."""
        if self.value <= 0 or self.threshold <= 0:
            return math.inf
        return abs(math.log(self.value / self.threshold))

    @property
    def sentence(self) -> str:
        """Say on which side of its threshold the measure lies where a collapse is named."""
        start = f"{_capitalised(self.measure)} is {self.value:.3g}, {self.side} {self.owner}{self.threshold:.3g}{self.note}"
        if self.rival is None:
            return f"{start}."
        what, value, threshold = self.rival
        return f"{start}; {what}, {value:.3g}, is {'' if self.is_outdone else 'not '}above its {threshold:.3g}."

    def near_variants(self) -> Iterator[tuple["Criterion", str]]:
        """Yield this criterion as it would be beyond each threshold that is near, with a sentence that says so."""
        if self.wanted is not None:
            return
        if _is_near(self.value, self.threshold):
            yield dataclasses.replace(self, flipped=True), _near(self.measure, self.value, self.owner, self.threshold)
        if self.rival is not None and _is_near(*self.rival[1:]):
            yield (
                dataclasses.replace(self, rival_flipped=True),
                _near(self.rival[0], self.rival[1], self.owner, self.rival[2]),
            )


def criteria(
    *,
    embeddings: Mapping[str, Any],
    representations: Mapping[str, Any],
    knn_accuracy: float | None,
    chance: float | None,
    images: int | None,
    dimensions: tuple[int, int] | None,
    class_counts: Sequence[int] | None,
    untrained: Untrained | None,
    target_std: float | None,
) -> list[Criterion]:
    """Return all criteria in the order in which they decide; arguments are those of `diagnose_collapse`."""
    n = 10**9 if images is None else images
    widths = dimensions or (10**9, 10**9)
    return [
        *_of_spread(embeddings, target_std, n, widths[0]),
        *_of_directions(embeddings, representations, n, widths),
        *_of_accuracy(knn_accuracy, chance, n, class_counts),
        *_of_views(embeddings, knn_accuracy, chance, untrained, n),
    ]


def _of_spread(embeddings: Mapping[str, Any], target_std: float | None, n: int, width: int) -> list[Criterion]:
    """Return the criteria of whether embeddings vary at all, and in most of their dimensions.

    Without a target, neither a small std nor a small dimension means a collapse: rows of unit length have a std of 0.088 at
    d = 128, and below 0.01 from d = 10,000 on. Then dimensions are dead next to the others, where that was measured.
    """
    least = images_for_spread(width)
    wanted = None if n >= least else least
    found = []
    if target_std is not None:
        share = embeddings["std_mean"] / target_std
        found.append(
            Criterion(
                name="complete", measure="the embeddings' mean std", value=embeddings["std_mean"], side="below",
                threshold=COMPLETE_STD * target_std, wanted=wanted, note=f": {100 * share:.2g} % of the method's target",
            )
        )  # fmt: skip
    found.append(
        Criterion(
            name="complete", measure="the embeddings' normalised std", value=embeddings["normalised_std"], side="below",
            threshold=COMPLETE_NORMALISED_STD, wanted=wanted,
        )
    )  # fmt: skip
    dead = "dead_share" if target_std is not None else "relative_dead_share"
    if dead in embeddings:
        found.append(
            Criterion(
                name="dimensional", measure="the embeddings' share of dead dimensions", value=embeddings[dead],
                side="above", threshold=DIMENSIONAL_DEAD_SHARE, wanted=wanted,
            )
        )  # fmt: skip
    return found


def _of_directions(
    embeddings: Mapping[str, Any], representations: Mapping[str, Any], n: int, widths: tuple[int, int]
) -> list[Criterion]:
    """Return the criteria of whether features vary in many directions."""
    wanted = None if n >= LEAST_IMAGES else LEAST_IMAGES
    n = max(n, LEAST_IMAGES)
    correlation = correlation_bound(n, widths[0], correlation=INFORMATIONAL_CORRELATION)
    spaces = zip(("embeddings", "representations"), (embeddings, representations), widths, strict=True)
    return [
        Criterion(
            name="informational", measure="the embeddings' root-mean-square correlation",
            value=embeddings["rms_correlation"], side="above", threshold=correlation, wanted=wanted,
        ),
        *(
            Criterion(
                name="dimensional", measure=f"the {space}' RankMe", value=metrics["rankme"], side="below",
                threshold=rank_bound(n, width, rank=DIMENSIONAL_RANK), wanted=wanted,
            )
            for space, metrics, width in spaces
            if "rankme" in metrics
        ),
    ]  # fmt: skip


def _of_accuracy(
    knn_accuracy: float | None, chance: float | None, n: int, class_counts: Sequence[int] | None
) -> list[Criterion]:
    """Return the criterion of whether a vote of neighbours is better than a guess; none where there is one class."""
    if knn_accuracy is None or chance is None or chance >= 1:
        return []
    wanted, bound = images_wanted(knn_accuracy, chance=chance, images=n), accuracy_bound(chance)
    if wanted is not None and class_counts is not None and knn_accuracy >= bound:
        wanted = None if guessed_by_chance(knn_accuracy, class_counts) <= FALSE_ALARM else wanted
    return [
        Criterion(
            name=CHANCE_LEVEL, measure="the k-NN accuracy", value=knn_accuracy, side="below", threshold=bound, wanted=wanted,
            note=f"; always answering the largest class has {chance:.3g}",
        )
    ]  # fmt: skip


def _of_views(
    embeddings: Mapping[str, Any], knn_accuracy: float | None, chance: float | None, untrained: Untrained | None, n: int
) -> list[Criterion]:
    """Return the criterion of whether training has brought two views of an image closer together.

    It compares with the untrained network and not with chance: random features of easy images are far above chance, 86 % on
    digits. Where the k-NN accuracy is above the untrained network's, training has taught the representations something, and
    no collapse is named.
    """
    if untrained is None or n < LEAST_IMAGES:
        return []
    rival = None
    if knn_accuracy is not None and untrained.knn_accuracy is not None and chance is not None and chance < 1:
        rival = ("the k-NN accuracy", knn_accuracy, untrained.knn_accuracy)
    return [
        Criterion(
            name=VIEW_DEPENDENT, measure="the embeddings' view discrepancy", value=embeddings["view_discrepancy"],
            side="above", threshold=untrained.view_discrepancy, owner="the untrained network's ", rival=rival,
        )
    ]  # fmt: skip


def _is_near(value: float, threshold: float) -> bool:
    return abs(value - threshold) <= BORDERLINE * abs(threshold) * (1 + 1e-9)  # a tenth itself counts, whatever its rounding


def _near(measure: str, value: float, owner: str, threshold: float) -> str:
    whose = owner or "the threshold "
    return f"{_capitalised(measure)}, {value:.3g}, is within {100 * BORDERLINE:.0f} % of {whose}{threshold:.3g}"


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
