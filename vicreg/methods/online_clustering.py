"""Online clustering: spherical k-means of recent embeddings labels each view for the other.

It is DeepCluster v2 (in arXiv 2006.09882) in a step-wise form. From there it has unit embeddings, spherical k-means with
centroids that are no parameters, the cross-entropy of scores / 0.1 to hard labels, and labels from another random view.

It differs in five points. DeepCluster v2 clusters a bank of the whole data set before each epoch, in ten iterations from
random images. Here centroids follow a queue of the last steps, some iterations a step, each from where they were. Labels
come from the present network's other view, not from a view of the epoch before. An empty cluster restarts at a random
embedding, where theirs keeps its centroid. Images of large clusters weigh less, as in DeepCluster (arXiv 1807.05520, Section
3.3), without which most come to one cluster here. There is one set of centroids, not three.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision
from vicreg.methods.clustering import one_hot, push, similarities, used_count
from vicreg.methods.contrastive import unit_rows
from vicreg.methods.counter_random import first_counter, uniform
from vicreg.models.joint_embedding import Encoded


class ClusteringTerms(NamedTuple):
    """The loss, and what a log says of the labels, each a scalar tensor; only `total` is meant for a backward pass.

    `agreement` is the share of images whose two views have one label, `cohesion` the mean cosine of embeddings with the
    nearest centroid, `used_clusters` the effective number of clusters among the labels of the first view.
    """

    total: Tensor
    agreement: Tensor
    cohesion: Tensor
    used_clusters: Tensor


def clustering_loss(
    u: Tensor, u_prime: Tensor, centroids: Tensor, *, temperature: float, balance: float = 0.0
) -> ClusteringTerms:
    """Return the swapped cross-entropy of two views' unit embeddings (n, d) to their nearest of K centroids (K, d).

    total = 1/2 (ce(u C^T / temperature, argmax u' C^T) + ce(u' C^T / temperature, argmax u C^T))

    ce is the mean over the batch of -log softmax at the label, weighted by N^-balance, with N the images of that label in
    the batch. With a balance of 1 all clusters of a batch weigh the same; with 0 all images do. Labels and centroids have
    no gradient.

    Source: DeepCluster v2 in arXiv 2006.09882, whose labels are from another view of the epoch before. The weights are
    those of DeepCluster (1; arXiv 1807.05520, Section 3.3) and ODC (0.5; arXiv 2006.10645), which count all images.
    """
    scores, scores_prime = (similarities(one, centroids.detach()) for one in (u, u_prime))  # (n, K) each
    with full_precision(u):
        (top, labels), (top_prime, labels_prime) = scores.detach().max(dim=1), scores_prime.detach().max(dim=1)
        total = _balanced_cross_entropy(scores / temperature, labels_prime, balance) / 2
        total = total + _balanced_cross_entropy(scores_prime / temperature, labels, balance) / 2
        return ClusteringTerms(
            total=total,
            agreement=(labels == labels_prime).to(total.dtype).mean(),
            cohesion=(top.mean() + top_prime.mean()) / 2,
            used_clusters=used_count(one_hot(labels, scores.detach())),
        )


def _balanced_cross_entropy(logits: Tensor, labels: Tensor, balance: float) -> Tensor:
    """Return the cross-entropy of logits (n, K), a mean over images that weigh N^-balance, N being those of their label."""
    weights = one_hot(labels, logits.detach()).sum(dim=0)[labels] ** -balance  # (n,)
    return (functional.cross_entropy(logits, labels, reduction="none") * weights).sum() / weights.sum()


@torch.no_grad()
def lloyd_iteration(centroids: Tensor, rows: Tensor, replacements: Tensor) -> Tensor:
    """Return the centroids (K, d) after one iteration of spherical k-means of unit rows (L, d).

    Each centroid becomes the unit vector along the sum of the rows that are nearest to it by cosine. One without rows
    becomes its row of `replacements` (K, d), or stays where that row is zero. Rows of zeros take no part: they add nothing.

    Sums are a matrix product, for sums by index would not be reproducible on a GPU.
    """
    with full_precision(rows):
        nearest = one_hot(similarities(rows, centroids).argmax(dim=1), rows.new_zeros(len(rows), len(centroids)))  # (L, K)
        sums = nearest.T @ rows  # (K, d)
        norms, other_norms = (one.norm(dim=1, keepdim=True) for one in (sums, replacements))
        moved = torch.where(norms > 0, sums / norms, torch.where(other_norms > 0, replacements, centroids))
        return at_least_float32(moved)


@dataclass(frozen=True, kw_only=True)
class OnlineClusteringSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.online_clustering`. Raises InputError for a value that no run can have."""

    clusters: int
    temperature: float = field(metadata={"symbol": "τ"})
    bank_length: int
    kmeans_iterations: int
    balance: float

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise InputError(f"pretrain.clusters must be at least 2, but got {self.clusters}; raise it.")
        if not 0 < self.temperature < math.inf:
            raise InputError(
                f"pretrain.temperature must be positive and finite, but got {self.temperature}; the paper's is 0.1."
            )
        if self.bank_length < self.clusters:
            raise InputError(
                f"pretrain.bank_length must be at least pretrain.clusters, {self.clusters}, but got {self.bank_length}; "
                "raise it, for a cluster needs an embedding."
            )
        if self.kmeans_iterations < 0:
            raise InputError(
                f"pretrain.kmeans_iterations must be at least 0, but got {self.kmeans_iterations}; 0 keeps random centroids."
            )
        if not 0 <= self.balance <= 1:
            raise InputError(f"pretrain.balance must be from 0 to 1, but got {self.balance}; DeepCluster's is 1.")


class OnlineClustering(Method):
    """Online clustering as a method: centroids and a queue of both views' embeddings are its state.

    Centroids start as random unit rows and move after the first step, when the queue holds the first embeddings. With no
    iterations they stay: the control without clustering. With a balance of 0 images tend to a few clusters, whose centroids
    and embeddings come together: the control that collapses.
    """

    Settings = OnlineClusteringSettings
    TERMS = {
        "agreement": Term(title="Images with one label in both views"),
        "cohesion": Term(title="Cosine with the nearest centroid"),
        "used_clusters": Term(title="Clusters in use by a batch"),
    }
    TITLE = "Online clustering"
    SOURCE = "arXiv 2006.09882, DeepCluster v2, in a step-wise form"
    FAMILY = "clustering"
    GATHERS = "embeddings"
    PROBED = "The one network is encoded; its L2-normalised expander output is judged."
    AUTHORS_VIEW_PASSES = "joint"

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings: OnlineClusteringSettings = self.settings
        self.register_buffer("centroids", torch.zeros(settings.clusters, self.embedding_dimension))
        self.register_buffer("bank", torch.zeros(settings.bank_length, self.embedding_dimension))
        self.register_buffer("banked", torch.zeros((), dtype=torch.int64))  # rows that the bank has been given
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))

    def reset_state(self, generator: torch.Generator) -> None:
        centroids = self.get_buffer("centroids")
        centroids.copy_(unit_rows(torch.randn(centroids.shape, generator=generator)))
        for name in ("bank", "banked"):
            self.get_buffer(name).zero_()
        self.get_buffer("counter").fill_(first_counter(generator))

    def encode(self, images: Tensor) -> Encoded:
        """Return representations, and embeddings on the unit sphere, where the loss sees them."""
        encoded = super().encode(images)
        return Encoded(encoded.representations, unit_rows(encoded.embeddings))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        u, u_prime = (unit_rows(z) for z in self.embed(*views))  # (n, d) each
        settings: OnlineClusteringSettings = self.settings
        terms = clustering_loss(
            u, u_prime, self.get_buffer("centroids"), temperature=settings.temperature, balance=settings.balance
        )
        if self.training:
            push(self.get_buffer("bank"), self.get_buffer("banked"), torch.cat((u, u_prime)).detach())
        found = {"agreement": terms.agreement, "cohesion": terms.cohesion, "used_clusters": terms.used_clusters}
        return Loss(total=terms.total, terms=found, embeddings=u)

    @torch.no_grad()
    def after_step(self, *, progress: Tensor) -> None:
        """Move the centroids by the settings' iterations over the bank; an empty cluster restarts at a random row of it."""
        centroids, bank, counter = (self.get_buffer(name) for name in ("centroids", "bank", "counter"))
        for iteration in range(self.settings.kmeans_iterations):
            # A row that no step has filled yet is zero, and leaves an empty cluster's centroid where it is.
            chosen = (uniform(counter, (len(centroids),), stream=iteration) * len(bank)).long().clamp(max=len(bank) - 1)
            centroids.copy_(lloyd_iteration(centroids, bank, bank[chosen]))
        counter.add_(1)
