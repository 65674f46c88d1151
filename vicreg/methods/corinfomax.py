"""CorInfoMax (arXiv 2209.07999): views agree, and the log-determinant of running covariances is large."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import full_precision, require_batch, require_one_shape
from vicreg.models.heads import narrowed


class CorInfoMaxTerms(NamedTuple):
    """The total and its two unweighted terms, scalars; means (2, d) and covariances (2, d, d) after the batch, detached."""

    total: Tensor
    invariance: Tensor
    log_determinant: Tensor
    means: Tensor
    covariances: Tensor


def corinfomax_loss(
    z: Tensor,
    z_prime: Tensor,
    *,
    means: Tensor,
    covariances: Tensor,
    alpha: float = 250.0,
    la: float = 0.01,
    epsilon: float = 1e-8,
) -> CorInfoMaxTerms:
    """Return the CorInfoMax loss of two batches of embeddings, both (n, d), with its terms, float64.

    total = alpha * mean (u - u')^2 - (log det(R + epsilon I) + log det(R' + epsilon I)) / d, of unit rows u and u'.

    Each view has a running mean m and covariance R of its own:

    m <- la m + (1 - la) mean(u), R <- la R + (1 - la) (u - m)^T (u - m) / n, with the new m.

    The gradient goes through the batch's share of both. So la is the weight of the old estimate, and at 0.01 the estimate is
    almost the batch's.

    Args:
        z, z_prime: embeddings of the same images.
        means: running means of the two views (2, d), float64.
        covariances: running covariances (2, d, d), float64.
        alpha: weight of the squared distance.
        la: in [0, 1).
        epsilon: above 0.

    Raises InputError for other shapes than two equal (n, d), and n < 2.
    Source: arXiv 2209.07999, and cifars-tiny/loss.py of github.com/serdarozsoy/corinfomax-ssl. The unit rows are its option
    `--normalize_on`, which all commands of its README have.
    """
    require_batch(z, check_finite=False)
    require_one_shape(z, z_prime)
    n, d = z.shape
    with full_precision(z):
        rows = functional.normalize(torch.stack((z, z_prime)).double(), dim=-1)  # (2, n, d)
        means = la * means + (1 - la) * rows.mean(dim=1)  # (2, d)
        centred = rows - means[:, None]
        covariances = la * covariances + (1 - la) * (centred.mT @ centred) / n  # (2, d, d)
        identity = torch.eye(d, dtype=rows.dtype, device=rows.device)
        # By Cholesky's factor: `slogdet` is no faster, and `cholesky` would wait for the device to learn whether it failed.
        factors, _ = torch.linalg.cholesky_ex(covariances + epsilon * identity)
        log_determinant = 2 * factors.diagonal(dim1=-2, dim2=-1).log().sum() / d
        invariance = (rows[0] - rows[1]).square().mean()
        total = alpha * invariance - log_determinant
    return CorInfoMaxTerms(total, invariance, log_determinant, means.detach(), covariances.detach())


@dataclass(frozen=True, kw_only=True)
class CorInfoMaxSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.corinfomax`. Raises InputError for a value that no run can have."""

    dimension: int | None = field(metadata={"network": True})
    alpha: float = field(metadata={"symbol": "α"})
    la: float
    epsilon: float

    def __post_init__(self) -> None:
        if self.dimension is not None and self.dimension < 1:
            raise InputError(
                f"pretrain.dimension must be at least 1, but got {self.dimension}; null takes the expander's output."
            )
        if not 0 <= self.alpha < math.inf:
            raise InputError(
                f"pretrain.alpha must be a finite number of at least 0, but got {self.alpha}; the authors have 250."
            )
        if not 0 <= self.la < 1:
            raise InputError(
                f"pretrain.la must be in [0, 1), since 1 keeps the first estimate for ever, but got {self.la}; "
                "the authors have 0.01."
            )
        if not 0 < self.epsilon < math.inf:
            raise InputError(f"pretrain.epsilon must be positive and finite, but got {self.epsilon}; the authors have 1e-8.")


class CorInfoMax(Method):
    """CorInfoMax with two views; each view's running mean and covariance are its state.

    Its embeddings are narrow, since the batch must determine their covariance: where `dimension` is set, a linear layer of
    that width follows the common expander.
    """

    TITLE = "CorInfoMax"
    SOURCE = "arXiv 2209.07999"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "Representations of the trained backbone are probed; the linear layer's output is judged."
    AUTHORS_VIEW_PASSES = "separate"
    Settings = CorInfoMaxSettings
    TERMS = {
        "invariance": Term(title="Invariance term", log_axis=True),
        "log_determinant": Term(title="Log-determinant per dimension, both views"),
    }
    means: Tensor
    covariances: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings: CorInfoMaxSettings = self.settings
        self.embedding_dimension = narrowed(self.expander, self.embedding_dimension, to=settings.dimension)
        d = self.embedding_dimension
        self.register_buffer("means", torch.zeros(2, d, dtype=torch.float64))
        self.register_buffer("covariances", torch.zeros(2, d, d, dtype=torch.float64))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: CorInfoMaxSettings = self.settings
        terms = corinfomax_loss(
            z, z_prime, means=self.means, covariances=self.covariances,
            alpha=settings.alpha, la=settings.la, epsilon=settings.epsilon,
        )  # fmt: skip
        if self.training:  # as BatchNorm's statistics are
            self.means.copy_(terms.means)
            self.covariances.copy_(terms.covariances)
        logged = {"invariance": terms.invariance.detach(), "log_determinant": terms.log_determinant.detach()}
        return Loss(total=terms.total, terms=logged, embeddings=z)

    def reset_state(self, generator: torch.Generator) -> None:
        self.means.zero_()
        self.covariances.copy_(torch.eye(self.embedding_dimension, dtype=torch.float64).expand_as(self.covariances))

    def coefficients(self) -> dict[str, float]:
        settings: CorInfoMaxSettings = self.settings
        return {"invariance": settings.alpha, "log_determinant": -1.0}
