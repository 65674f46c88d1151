"""Barlow Twins (arXiv 2103.03230): the cross-correlation of two views should be the identity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision, require_batch, require_one_shape
from vicreg.models.joint_embedding import Encoded
from vicreg.models.predictor import predict_views
from vicreg.models.view_batchnorm import ViewBatchNorm1d
from vicreg.optim.rates import RateGroup

# Added to the biased variance of each dimension: the default of the BatchNorm that the authors standardise with.
_EPSILON = 1e-5


class BarlowTwinsTerms(NamedTuple):
    """The scaled total and its two unweighted terms, each a scalar tensor.

    `invariance` is sum_i (C_ii - 1)^2, `redundancy` is sum_{i != j} C_ij^2.
    """

    total: Tensor
    invariance: Tensor
    redundancy: Tensor


def barlow_twins_loss(
    z: Tensor, z_prime: Tensor, *, lambda_: float, scale: float = 1.0, check_finite: bool = True
) -> BarlowTwinsTerms:
    """Return the Barlow Twins loss of two batches of embeddings, both `(n, d)`, with its terms.

    total = scale * (sum_i (C_ii - 1)^2 + lambda * sum_{i != j} C_ij^2), C = A^T B / n

    A and B are the embeddings less their mean, divided by sqrt(Var + 1e-5), with the biased variance (n) of each dimension.
    The sums are not divided by d. A constant dimension is 0 in A, so it adds 1 to the first sum.

    With fewer samples than dimensions two n x n Gram matrices serve: sum_ij C_ij^2 = sum_kl (A A^T)_kl (B B^T)_kl / n^2. The
    rank of C is then below n, so its off-diagonal entries are not small beside its diagonal, and the difference of the two
    loses few digits.

    Source: arXiv 2103.03230, Eqs. 1-2 and Algorithm 1. Raises InputError for other shapes than two equal `(n, d)`, n < 2 and
    non-finite embeddings.
    """
    require_batch(z, check_finite=check_finite)
    require_batch(z_prime, check_finite=check_finite)
    require_one_shape(z, z_prime)
    with full_precision(z):
        a, b = _standardised(z), _standardised(z_prime)  # (n, d) each
        n, d = a.shape
        if n < d:
            diagonal = (a * b).mean(dim=0)  # (d,)
            redundancy = ((a @ a.T) * (b @ b.T)).sum() / n**2 - diagonal.square().sum()
        else:
            matrix = a.T @ b / n  # (d, d)
            diagonal = matrix.diagonal()
            redundancy = (matrix - diagonal.diag()).square().sum()
        invariance = (diagonal - 1).square().sum()
        return BarlowTwinsTerms(scale * (invariance + lambda_ * redundancy), invariance, redundancy)


def _standardised(z: Tensor) -> Tensor:
    """Return embeddings (n, d) with mean 0 and biased variance 1 in each dimension, in float32 at least."""
    return functional.batch_norm(at_least_float32(z), None, None, training=True, eps=_EPSILON)


@dataclass(frozen=True, kw_only=True)
class BarlowTwinsSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.barlow_twins`. Raises InputError for a value that no run can have."""

    lambda_: float = field(metadata={"symbol": "λ"})
    scale_loss: float
    bias_rate: float

    def __post_init__(self) -> None:
        if not 0 <= self.lambda_ < math.inf:
            raise InputError(
                f"pretrain.lambda must be a finite number of at least 0, but got {self.lambda_}; 0 drops its term."
            )
        if not 0 < self.scale_loss < math.inf:
            raise InputError(f"pretrain.scale_loss must be positive, but got {self.scale_loss}; 1 leaves the loss as it is.")
        if not 0 <= self.bias_rate < math.inf:
            raise InputError(
                f"pretrain.bias_rate must be finite and at least 0, but got {self.bias_rate}; 1 is the weights' rate."
            )


class BarlowTwins(Method):
    """Barlow Twins as a method; its loss is `barlow_twins_loss` of the two views' embeddings.

    The loss does not depend on shift and scale of a dimension. So `encode` standardises embeddings by the running statistics
    of a last BatchNorm without scale and shift, as the `bn` of the authors' code, and these are judged.
    """

    Settings = BarlowTwinsSettings
    TERMS = {
        "invariance": Term(title="Invariance term (diagonal)", log_axis=True),
        "redundancy": Term(title="Redundancy reduction term (off-diagonal)", log_axis=True),
    }
    OWN_RATES = True

    TITLE = "Barlow Twins"
    SOURCE = "arXiv 2103.03230"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "The trained backbone is probed; the projector's output, standardised by running statistics, is judged."

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.batchnorm = ViewBatchNorm1d(self.embedding_dimension, eps=_EPSILON, affine=False)

    def encode(self, images: Tensor) -> Encoded:
        """Return representations, and embeddings standardised by the last BatchNorm."""
        encoded = super().encode(images)
        return Encoded(encoded.representations, self.batchnorm(encoded.embeddings))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: BarlowTwinsSettings = self.settings
        terms = barlow_twins_loss(
            z, z_prime, lambda_=settings.lambda_, scale=settings.scale_loss, check_finite=False
        )  # fmt: skip
        raw = at_least_float32(z), at_least_float32(z_prime)
        # The loss standardises by itself. This pass moves the running statistics.
        with torch.no_grad(), full_precision(z):
            standardised, _ = predict_views(self.batchnorm, *raw, passes=self.view_passes)
        return Loss(
            total=terms.total,
            terms={"invariance": terms.invariance.detach(), "redundancy": terms.redundancy.detach()},
            embeddings=standardised,
        )

    def parameter_groups(self) -> list[RateGroup]:
        """Return the biases, and BatchNorm's scales and shifts, with their rate; nothing where it is the weights'.

        The authors' code gives them 0.0048 where weights have 0.2, since LARS adapts weights alone to the loss's scale.
        """
        settings: BarlowTwinsSettings = self.settings
        if settings.bias_rate == 1:
            return []
        return [RateGroup([p for p in self.parameters() if p.ndim <= 1], scale=settings.bias_rate)]

    def coefficients(self) -> dict[str, float]:
        settings: BarlowTwinsSettings = self.settings
        return {"invariance": settings.scale_loss, "redundancy": settings.scale_loss * settings.lambda_}
