"""VICReg (arXiv 2105.04906): variance, invariance and covariance of embeddings.

The paper's equations, its Algorithm 1 and the authors' code mean different things by the same (lambda, mu, nu), which
`effective_coefficients` turns into coefficients of the official code's terms; `vicreg_loss` knows these alone.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import (
    at_least_float32,
    centre,
    column_variances,
    full_precision,
    require_batch,
    require_one_shape,
    require_positive,
)
from vicreg.methods.divided_vicreg import divided_loss

CONVENTIONS = ("equation", "algorithm", "official")


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """Weights of invariance, variance and covariance, in the official code's units (see `vicreg_loss`).

    Raises InputError if one is negative or not finite, or if all are zero.
    """

    lambda_: float
    mu: float
    nu: float

    def __post_init__(self) -> None:
        for name, value in (("lambda", self.lambda_), ("mu", self.mu), ("nu", self.nu)):
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be finite and at least 0, but got {value}; use 0 to drop its term.")
        if self.lambda_ == self.mu == self.nu == 0:
            raise InputError("At least one of lambda, mu and nu must be above 0, but got 0, 0, 0; raise one of them.")


def effective_coefficients(*, convention: str, lambda_: float, mu: float, nu: float, dimension: int) -> Coefficients:
    """Return (lambda, mu, nu) of a published convention as coefficients of the official code's terms.

    `equation` (Eqs. 1-6): squared distances summed over d, so lambda * d; v(Z) + v(Z') is twice the official mean, so
    2 mu. `algorithm` (Algorithm 1): squared distances averaged over d, the two variance terms summed, so 2 mu.
    `official` (the authors' main_vicreg.py): as they are. The covariance term is the same in all three.

    `dimension` is d, the embeddings' width. Raises InputError for an unknown convention, a dimension below 1 and
    whatever `Coefficients` refuses. Source: arXiv 2105.04906, Sections 4.1 and A; github.com/facebookresearch/vicreg.
    """
    if dimension < 1:
        raise InputError(f"dimension must be at least 1, but got {dimension}; give the width of the embeddings.")
    if convention == "equation":
        return Coefficients(lambda_=lambda_ * dimension, mu=2 * mu, nu=nu)
    if convention == "algorithm":
        return Coefficients(lambda_=lambda_, mu=2 * mu, nu=nu)
    if convention == "official":
        return Coefficients(lambda_=lambda_, mu=mu, nu=nu)
    raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}, but got {convention!r}; choose one.")


class LossTerms(NamedTuple):
    """The weighted total and the three unweighted terms in official units, each a scalar tensor.

    `invariance` is the mean over n * d of (z - z')^2, `variance` is (v(Z) + v(Z')) / 2, `covariance` is c(Z) + c(Z').
    Only `total` is meant for a backward pass.
    """

    total: Tensor
    invariance: Tensor
    variance: Tensor
    covariance: Tensor


def vicreg_loss(
    z: Tensor,
    z_prime: Tensor,
    *,
    coefficients: Coefficients,
    gamma: float = 1.0,
    epsilon: float = 1e-4,
    check_finite: bool = True,
    distributed: bool = False,
) -> LossTerms:
    """Return the VICReg loss of two batches of embeddings, both `(n, d)`, with its terms.

    total = lambda * invariance + mu * (v(Z) + v(Z')) / 2 + nu * (c(Z) + c(Z'))

    Computed in float32 at least, whatever autocast says; `total` has a closed-form gradient of its own, the terms have none.
    A term whose coefficient is 0 is kept out of the total, for 0 * inf would make it NaN. `check_finite` waits for the
    device. If `distributed`, the batch is the rows of all processes, of which these are this one's (`divided_vicreg.py`).

    Raises InputError for other shapes than two equal `(n, d)`, n < 2, epsilon <= 0, and non-finite embeddings. Source:
    arXiv 2105.04906, Eq. 6, in the units of the authors' code.
    """
    require_batch(z, check_finite=check_finite)
    require_batch(z_prime, check_finite=check_finite)
    require_one_shape(z, z_prime)
    require_positive(epsilon)
    return LossTerms(*(divided_loss if distributed else _Loss.apply)(z, z_prime, coefficients, gamma, epsilon))


class _Loss(torch.autograd.Function):
    """Terms and gradient in one go, in two matrix products of an (n, d) batch; automatic differentiation takes three."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, z_prime: Tensor, coefficients: Coefficients, gamma: float, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with full_precision(z):
            difference = at_least_float32(z) - at_least_float32(z_prime)
            similarity = difference.square().mean()
            views = [_spread_and_redundancy(view, coefficients, gamma, epsilon) for view in (z, z_prime)]
            if any(ctx.needs_input_grad):
                pull = difference.mul_(2 * coefficients.lambda_ / difference.numel()) if coefficients.lambda_ else 0.0
                gradients = (views[0].gradient + pull, views[1].gradient - pull)
                ctx.save_for_backward(*(gradient.to(z.dtype) for gradient in gradients))
            spread = (views[0].variance + views[1].variance) / 2
            redundancy = views[0].covariance + views[1].covariance
        weighted = ((coefficients.lambda_, similarity), (coefficients.mu, spread), (coefficients.nu, redundancy))
        total: Any = sum(weight * term for weight, term in weighted if weight != 0)
        ctx.mark_non_differentiable(similarity, spread, redundancy)
        return total, similarity, spread, redundancy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return (*(of_total * gradient for gradient in ctx.saved_tensors), None, None, None)


class _View(NamedTuple):
    """One view's v(Z), c(Z), and the gradient (n, d) of mu / 2 * v(Z) + nu * c(Z)."""

    variance: Tensor
    covariance: Tensor
    gradient: Tensor


def _spread_and_redundancy(z: Tensor, coefficients: Coefficients, gamma: float, epsilon: float) -> _View:
    """Return the variance and covariance terms of one view (n, d), and their weighted gradient.

    With X the centred embeddings, s_j = sqrt(Var_j + epsilon) and G = X X^T:

        d v / d X_ij = -X_ij / (d (n - 1) s_j) where s_j < gamma, else 0
        d c / d X = 4 / (d (n - 1)) * X C', with C' the covariance without its diagonal
                  = 4 / (d (n - 1)) * (G X / (n - 1) - X diag(Var)), which is cheaper for n < d

    Every column of either sums to 0 over the batch, so the gradient by X is the gradient by Z.
    """
    n, d = z.shape
    centred = centre(z)
    variances = column_variances(centred)
    deviation = torch.sqrt(variances + epsilon)  # (d,)
    spread = torch.relu(gamma - deviation).mean()
    pull = torch.zeros_like(deviation)  # (d,), a column's factor in the gradient
    if coefficients.mu:
        pull = torch.where(deviation < gamma, -coefficients.mu / (2 * d * (n - 1)) / deviation, pull)
    of_covariance = 4 * coefficients.nu / (d * (n - 1))
    if n < d:
        gram = centred @ centred.T  # (n, n)
        redundancy = (gram.square().sum() / (n - 1) ** 2 - variances.square().sum()) / d
        if coefficients.nu == 0:
            return _View(spread, redundancy, centred.mul_(pull))
        own = centred * (pull - of_covariance * variances)
        return _View(spread, redundancy, torch.addmm(own, gram, centred, alpha=of_covariance / (n - 1)))
    matrix = centred.T @ centred / (n - 1)  # (d, d)
    matrix.fill_diagonal_(0)
    redundancy = matrix.square().sum() / d
    if coefficients.nu == 0:
        return _View(spread, redundancy, centred.mul_(pull))
    return _View(spread, redundancy, centred @ matrix.mul_(of_covariance).diagonal_scatter(pull))


def invariance(z: Tensor, z_prime: Tensor) -> Tensor:
    """Return s(Z, Z'), the mean squared difference of two batches of embeddings, both `(n, d)`: a scalar.

    Eq. 5 of arXiv 2105.04906 sums over d, the authors' code averages. Raises InputError if the shapes differ."""
    require_one_shape(z, z_prime)
    with full_precision(z):
        return (at_least_float32(z) - at_least_float32(z_prime)).square().mean()


def variance(z: Tensor, *, gamma: float = 1.0, epsilon: float = 1e-4, check_finite: bool = True) -> Tensor:
    """Return v(Z), by how much standard deviations of embeddings `(n, d)` fall short of gamma, on average: a scalar.

    v = (1 / d) sum_j max(0, gamma - sqrt(Var_j + epsilon)), with the unbiased variance (n - 1) of dimension j.
    Source: arXiv 2105.04906, Eqs. 1-2. Raises InputError for n < 2, non-finite z, and epsilon <= 0.
    """
    require_batch(z, check_finite=check_finite)
    require_positive(epsilon)
    with full_precision(z):
        centred = centre(z)
        deviation = torch.sqrt(column_variances(centred) + epsilon)  # (d,)
        return torch.relu(gamma - deviation).mean()


def covariance(z: Tensor, *, check_finite: bool = True) -> Tensor:
    """Return c(Z), the squared off-diagonal covariances of embeddings `(n, d)`, summed and divided by d: a scalar.

    c = (1 / d) sum_{i != j} C_ij^2, C = (Z - mean)^T (Z - mean) / (n - 1).

    With n < d the Gram matrix of the centred embeddings serves: its squared entries have the same sum as C's, and C's
    diagonal is the variances. C's rank being below n, its other entries are as large, so the subtraction loses few digits.

    Source: arXiv 2105.04906, Eqs. 3-4. Raises InputError for n < 2 and non-finite z.
    """
    require_batch(z, check_finite=check_finite)
    with full_precision(z):
        n, d = z.shape
        centred = centre(z)
        if n < d:
            gram = centred @ centred.T / (n - 1)  # (n, n)
            return (gram.square().sum() - column_variances(centred).square().sum()) / d
        matrix = centred.T @ centred / (n - 1)  # (d, d)
        diagonal = torch.eye(d, dtype=torch.bool, device=z.device)
        return matrix.masked_fill(diagonal, 0).square().sum() / d


@dataclass(frozen=True, kw_only=True)
class VICRegSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.vicreg`. Raises InputError for a value that no run can have."""

    convention: str
    lambda_: float = field(metadata={"symbol": "λ"})
    mu: float = field(metadata={"symbol": "μ"})
    nu: float = field(metadata={"symbol": "ν"})
    gamma: float = field(metadata={"symbol": "γ"})
    epsilon: float

    def __post_init__(self) -> None:
        if self.convention not in CONVENTIONS:
            raise InputError(f"pretrain.convention must be one of {', '.join(CONVENTIONS)}, but got {self.convention!r}.")
        for name in ("lambda_", "mu", "nu"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"pretrain.{name.rstrip('_')} must be a finite number of at least 0, but got {getattr(self, name)}."
                )
        if not (0 < self.gamma < math.inf and 0 < self.epsilon < math.inf):
            raise InputError(f"pretrain.gamma and pretrain.epsilon must be positive, but got {self.gamma}, {self.epsilon}.")
        if self.lambda_ == self.mu == self.nu == 0:
            raise InputError("one of pretrain.lambda, mu and nu must be positive, but all are 0: nothing would be trained.")

    def coefficients(self, dimension: int) -> Coefficients:
        """Return lambda, mu and nu in the official code's units, for embeddings of width `dimension`."""
        return effective_coefficients(
            convention=self.convention, lambda_=self.lambda_, mu=self.mu, nu=self.nu, dimension=dimension
        )

    def effective(self, *, dimension: int) -> dict[str, float]:
        return dataclasses.asdict(self.coefficients(dimension))


class VICReg(Method):
    """VICReg as a method; its loss is `vicreg_loss` of the two views' embeddings, with the settings' coefficients."""

    TITLE = "VICReg"
    SOURCE = "arXiv 2105.04906"
    FAMILY = "non-contrastive"
    GATHERS = "statistics"
    Settings = VICRegSettings
    TERMS = {
        "invariance": Term(title="Invariance term", log_axis=True),
        "variance": Term(title="Variance term"),
        "covariance": Term(title="Covariance term", log_axis=True),
    }

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: VICRegSettings = self.settings
        coefficients = settings.coefficients(self.embedding_dimension)
        terms = vicreg_loss(
            z, z_prime, coefficients=coefficients, gamma=settings.gamma, epsilon=settings.epsilon, check_finite=False,
            distributed=self.distributed,
        )  # fmt: skip
        return Loss(
            total=terms.total,
            terms={"invariance": terms.invariance, "variance": terms.variance, "covariance": terms.covariance},
            embeddings=z,
        )

    def coefficients(self) -> dict[str, float]:
        settings: VICRegSettings = self.settings
        weights = settings.coefficients(self.embedding_dimension)
        return {"invariance": weights.lambda_, "variance": weights.mu, "covariance": weights.nu}

    @property
    def target_std(self) -> float:
        settings: VICRegSettings = self.settings
        return settings.gamma
