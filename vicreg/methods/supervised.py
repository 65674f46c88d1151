"""Supervised training, which sees the labels: the ceiling that self-supervised methods are compared with."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision
from vicreg.models.resnet import initialise


class Classified(NamedTuple):
    """The cross-entropy in nats, to differentiate, and the share of images whose class is right; scalars."""

    total: Tensor
    accuracy: Tensor


def supervised_loss(scores: Sequence[Tensor], labels: Tensor) -> Classified:
    """Return the mean cross-entropy of class scores, (N, classes) for each view, with the labels (N,), and the accuracy.

    loss = mean over views v and images n of -log softmax(s_vn)[label_n]

    Raises:
        InputError: for scores of another number of images than labels.
    """
    if any(len(one) != len(labels) for one in scores):
        raise InputError(
            f"each view must have scores of {len(labels)} images, one for each label, but got "
            f"{[len(one) for one in scores]}; score the views of the labelled images."
        )
    with full_precision(labels):
        every = at_least_float32(torch.cat(list(scores)))
        repeated = labels.repeat(len(scores))
        right = every.detach().argmax(dim=1) == repeated
        return Classified(total=functional.cross_entropy(every, repeated), accuracy=right.to(every.dtype).mean())


class Supervised(Method):
    """A linear classifier on the representations of both views (arXiv 1512.03385, Section 3.4, on the views of a method).

    It has no expander, whatever the settings say: nothing would train one. Embeddings are the representations.
    """

    TERMS = {
        "cross_entropy": Term(title="Cross-entropy", log_axis=True, unit="nats"),
        "accuracy": Term(title="Accuracy on training views"),
    }
    WANTS_LABELS = True

    TITLE = "Supervised"
    SOURCE = "arXiv 1512.03385"
    FAMILY = "control"
    GATHERS = "embeddings"
    PROBED = (
        "It is trained with labels. Representations of the trained backbone are probed, and judged in place of embeddings, "
        "since it has no expander."
    )
    AUTHORS_VIEW_PASSES = "separate"

    classifier: nn.Linear

    def __init__(self, *, expander: Sequence[int], **arguments: Any) -> None:
        super().__init__(expander=(), **arguments)

    def set_classes(self, classes: int, generator: torch.Generator) -> None:
        """Add the classifier, its weights drawn from `generator`, which is on the CPU."""
        # `nn.Linear` alone would draw weights from torch's global random state.
        self.classifier = nn.utils.skip_init(nn.Linear, self.embedding_dimension, classes)
        initialise(self.classifier, generator)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        *images, labels = views
        representations = self.embed(*images)  # (N, d_y) each
        classified = supervised_loss([self.classifier(one) for one in representations], labels)
        terms = {"cross_entropy": classified.total.detach(), "accuracy": classified.accuracy}
        return Loss(total=classified.total, terms=terms, embeddings=representations[0])

    def coefficients(self) -> dict[str, float]:
        return {"cross_entropy": 1.0}
