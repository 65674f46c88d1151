"""FroSSL (arXiv 2310.02903): views of an image agree, and embeddings spread evenly over all directions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision, require_batch, require_one_shape


class FroSSLTerms(NamedTuple):
    """The weighted total and its two unweighted terms, each a scalar tensor, summed over views."""

    total: Tensor
    regularisation: Tensor
    invariance: Tensor


def frossl_loss(views: Sequence[Tensor], *, invariance_weight: float = 1.0, check_finite: bool = True) -> FroSSLTerms:
    """Return the FroSSL loss of the embeddings of V >= 2 views, each `(n, d)`, with its terms.

    total = sum_v log ||A_v^T A_v / tr(A_v^T A_v)||_F^2 + weight * sum_v V d mean((A_v - M)^2)

    A_v holds the view's embeddings with columns of length 1, uncentred, and M is the mean of all A_v. The first term is
    minus the collision entropy of the matrix's eigenvalues: -log d where they are equal, 0 for rank 1. A view of zeros has a
    first term of 0 and no gradient, as constant rows have; the formula itself is 0 / 0 there. A_v A_v^T has the same norm
    and trace and serves where n <= d.

    Source: arXiv 2310.02903, Eqs. 3 and 6, in the multi-view form of the authors' code, which calls the paper's own two-view
    form deprecated. Raises InputError for fewer than two views, other shapes than equal `(n, d)`, n < 2 and non-finite
    embeddings.
    """
    if len(views) < 2:
        raise InputError(f"FroSSL compares at least 2 views of each image, but got {len(views)}; add views.")
    for z in views:
        require_batch(z, check_finite=check_finite)
        require_one_shape(views[0], z)
    with full_precision(views[0]):
        columns = [functional.normalize(at_least_float32(z), dim=0) for z in views]  # (n, d) each
        average = torch.stack(columns).mean(dim=0)  # (n, d)
        regularisation = torch.stack([_log_purity(view) for view in columns]).sum()
        spread = torch.stack([functional.mse_loss(view, average) for view in columns]).sum()
        invariance = len(views) * average.shape[1] * spread
        total = regularisation + invariance_weight * invariance if invariance_weight else regularisation
        return FroSSLTerms(total, regularisation, invariance)


def _log_purity(columns: Tensor) -> Tensor:
    """Return log ||K / tr(K)||_F^2 for K = A^T A of a matrix A (n, d); 0 where A is 0."""
    n, d = columns.shape
    gram = columns.T @ columns if n > d else columns @ columns.T
    # The trace is the number of columns that are not 0, so no gradient passes through it.
    trace = gram.trace().detach()
    tiny = torch.finfo(gram.dtype).tiny  # below the last digit of any sum but 0
    return torch.log(gram.square().sum() + tiny) - torch.log(trace.square() + tiny)


@dataclass(frozen=True, kw_only=True)
class FroSSLSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.frossl`. Raises InputError for a value that no run can have."""

    invariance_weight: float

    def __post_init__(self) -> None:
        if not 0 <= self.invariance_weight < math.inf:
            raise InputError(
                f"pretrain.invariance_weight must be a finite number of at least 0, but got {self.invariance_weight}; "
                "the authors use 1."
            )


class FroSSL(Method):
    """FroSSL as a method; its loss is `frossl_loss` of two views' embeddings."""

    Settings = FroSSLSettings
    TERMS = {
        "regularisation": Term(title="Log Frobenius norm", unit="nats"),
        "invariance": Term(title="Invariance term", log_axis=True),
    }

    TITLE = "FroSSL"
    SOURCE = "arXiv 2310.02903"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "Representations of the trained backbone are probed; the projector's output, not yet normalised, is judged."

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: FroSSLSettings = self.settings
        terms = frossl_loss((z, z_prime), invariance_weight=settings.invariance_weight, check_finite=False)
        return Loss(
            total=terms.total,
            terms={"regularisation": terms.regularisation.detach(), "invariance": terms.invariance.detach()},
            embeddings=z,
        )

    def coefficients(self) -> dict[str, float]:
        settings: FroSSLSettings = self.settings
        return {"regularisation": 1.0, "invariance": settings.invariance_weight}
