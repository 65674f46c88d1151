"""VIbCReg (arXiv 2109.00783): VICReg with normalised covariances and iterative normalisation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import centre, full_precision, require_batch
from vicreg.methods.vicreg import Coefficients, LossTerms, invariance, variance
from vicreg.models.iterative_normalisation import IterativeNormalisation


def normalised_covariance(z: Tensor, *, check_finite: bool = True) -> Tensor:
    """Return the mean over all d^2 entries of the squared off-diagonal correlations of embeddings `(n, d)`: a scalar.

    c = (1 / d^2) sum_{i != j} R_ij^2, R = A^T A, with A the centred embeddings, their columns of length 1. A constant
    dimension is 0 in A. As in `vicreg.covariance`, A A^T serves where n < d.

    Source: arXiv 2109.00783, Section 3. The division is by d^2 as in the code of solo-learn, whose VIbCReg is the authors'.
    Raises InputError for n < 2 and non-finite z.
    """
    require_batch(z, check_finite=check_finite)
    with full_precision(z):
        n, d = z.shape
        centred = centre(z)
        # The mean of equal numbers may be off by a last bit, which is no variation to be brought to length 1.
        rounding = 2 * torch.finfo(centred.dtype).eps * z.abs().amax(dim=0) * math.sqrt(n)
        columns = functional.normalize(centred, dim=0) * (centred.norm(dim=0) > rounding)  # (n, d)
        if n < d:
            gram = columns @ columns.T  # (n, n)
            return (gram.square().sum() - columns.square().sum(dim=0).square().sum()) / d**2
        matrix = columns.T @ columns  # (d, d)
        return (matrix - matrix.diagonal().diag()).square().sum() / d**2


def vibcreg_loss(
    z: Tensor,
    z_prime: Tensor,
    *,
    coefficients: Coefficients,
    gamma: float = 1.0,
    epsilon: float = 1e-4,
    check_finite: bool = True,
) -> LossTerms:
    """Return the VIbCReg loss of two batches of embeddings, both `(n, d)`, with its terms.

    total = lambda * mean((z - z')^2) + mu * (v(Z) + v(Z')) + nu * (c(Z) + c(Z'))

    v is VICReg's variance term (`vicreg.variance`), whose sum is not halved here. c is `normalised_covariance`. A term whose
    coefficient is 0 is kept out of the total. Only `total` is meant for a backward pass.

    Source: arXiv 2109.00783, and solo-learn's `vibcreg_loss_func`. Raises InputError for other shapes than two equal
    `(n, d)`, n < 2, epsilon <= 0 and non-finite embeddings.
    """
    similarity = invariance(z, z_prime)
    views = (z, z_prime)
    spread = torch.stack([variance(one, gamma=gamma, epsilon=epsilon, check_finite=check_finite) for one in views]).sum()
    redundancy = torch.stack([normalised_covariance(one, check_finite=check_finite) for one in views]).sum()
    weighted = ((coefficients.lambda_, similarity), (coefficients.mu, spread), (coefficients.nu, redundancy))
    total: Any = sum(weight * term for weight, term in weighted if weight != 0)
    return LossTerms(total, similarity.detach(), spread.detach(), redundancy.detach())


@dataclass(frozen=True, kw_only=True)
class VIbCRegSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.vibcreg`. Raises InputError for a value that no run can have."""

    lambda_: float = field(metadata={"symbol": "λ"})
    mu: float = field(metadata={"symbol": "μ"})
    nu: float = field(metadata={"symbol": "ν"})
    gamma: float = field(metadata={"symbol": "γ"})
    epsilon: float
    iterative_normalisation: bool = field(metadata={"network": True})
    groups: int
    newton_steps: int

    def __post_init__(self) -> None:
        Coefficients(lambda_=self.lambda_, mu=self.mu, nu=self.nu)  # refuses what no loss can have
        for name in ("gamma", "epsilon"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"pretrain.{name} must be positive, but got {getattr(self, name)}; raise it.")
        for name in ("groups", "newton_steps"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"pretrain.{name} must be at least 1, but got {getattr(self, name)}; set "
                    "pretrain.iterative_normalisation to false to leave the whitening out."
                )

    @property
    def coefficients(self) -> Coefficients:
        return Coefficients(lambda_=self.lambda_, mu=self.mu, nu=self.nu)


class VIbCReg(Method):
    """VIbCReg as a method: `vibcreg_loss` of embeddings that a last layer of the expander has whitened."""

    Settings = VIbCRegSettings
    TERMS = {
        "invariance": Term(title="Invariance term", log_axis=True),
        "variance": Term(title="Variance term"),
        "covariance": Term(title="Normalised covariance term", log_axis=True),
    }

    TITLE = "VIbCReg"
    SOURCE = "arXiv 2109.00783"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    GATHERS_WITH = {"iterative_normalisation": False}
    PROBED = "Representations of the trained backbone are probed; the projector's output, after its whitening, is judged."

    def __init__(self, *, settings: VIbCRegSettings, **arguments: Any) -> None:
        super().__init__(settings=settings, **arguments)
        if settings.iterative_normalisation:
            layer = IterativeNormalisation(
                self.embedding_dimension, groups=settings.groups, steps=settings.newton_steps
            )  # fmt: skip
            self.expander.append(layer)

    def reset_state(self, generator: torch.Generator) -> None:
        for layer in self.modules():
            if isinstance(layer, IterativeNormalisation):
                layer.reset_running_state()

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: VIbCRegSettings = self.settings
        terms = vibcreg_loss(
            z, z_prime, coefficients=settings.coefficients, gamma=settings.gamma, epsilon=settings.epsilon,
            check_finite=False,
        )  # fmt: skip
        return Loss(
            total=terms.total,
            terms={"invariance": terms.invariance, "variance": terms.variance, "covariance": terms.covariance},
            embeddings=z,
        )

    def coefficients(self) -> dict[str, float]:
        settings: VIbCRegSettings = self.settings
        return {"invariance": settings.lambda_, "variance": settings.mu, "covariance": settings.nu}

    @property
    def target_std(self) -> float | None:
        settings: VIbCRegSettings = self.settings
        return settings.gamma if settings.mu > 0 else None
