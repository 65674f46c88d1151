"""VISReg (arXiv 2606.02572): LeJEPA's invariance with scale, centre and shape of embeddings regularised apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import (
    at_least_float32,
    centroid_invariance,
    full_precision,
    require_batch,
    require_one_shape,
    require_positive,
    unit_slices,
)
from vicreg.methods.counter_random import first_counter


class Distribution(NamedTuple):
    """How far embeddings are from a standard normal distribution: three scalar tensors."""

    scale: Tensor
    shape: Tensor
    center: Tensor


def distribution_terms(views: Tensor, slices: Tensor, *, epsilon: float) -> Distribution:
    """Return VISReg's three terms of embeddings (V, n, d), each view a sample of its own.

    scale = mean (1 - s)^2 over views and dimensions, s the biased standard deviation; its gradient does not vanish near a
    collapse. center = mean of the squared means. shape = mean (sorted projection - Gaussian quantile)^2, the squared
    Wasserstein distance of each slice of (z - mean) / (s + epsilon); no gradient goes through that s. The quantiles are
    those of i / (n + 1).

    Args:
        views: (V, n, d), float32 or float64.
        slices: unit columns (d, m).
        epsilon: above 0.

    Source: arXiv 2606.02572, Eqs. 1-6.
    """
    n = views.shape[-2]
    mean = views.mean(dim=-2, keepdim=True)
    centred = views - mean
    deviation = torch.linalg.vector_norm(centred, dim=-2, keepdim=True) / math.sqrt(n)  # gradient 0 where it is 0
    projections = (centred / (deviation.detach() + epsilon)) @ slices.to(views.dtype)  # (V, n, m)
    shares = torch.arange(1, n + 1, dtype=torch.float64, device=views.device) / (n + 1)
    quantiles = torch.special.ndtri(shares).to(views.dtype).unsqueeze(-1)  # (n, 1)
    return Distribution(
        scale=(1 - deviation).square().mean(),
        shape=(projections.sort(dim=-2).values - quantiles).square().mean(),
        center=mean.square().mean(),
    )


class VISRegTerms(NamedTuple):
    """The weighted total and the four unweighted terms, each a scalar tensor."""

    total: Tensor
    invariance: Tensor
    scale: Tensor
    shape: Tensor
    center: Tensor


def visreg_loss(z: Tensor, z_prime: Tensor, *, slices: Tensor, lambda_: float = 0.6, epsilon: float = 1e-4) -> VISRegTerms:
    """Return the VISReg loss of two batches of embeddings, both (n, d), with its terms.

    total = (1 - lambda) * invariance + lambda * (scale + shape + center); see `centroid_invariance` and
    `distribution_terms`. Computed in float32 at least.

    Raises InputError for other shapes than two equal (n, d), n < 2 and epsilon <= 0. Source: arXiv 2606.02572, Eq. 8.
    """
    require_batch(z, check_finite=False)
    require_one_shape(z, z_prime)
    require_positive(epsilon)
    with full_precision(z):
        views = at_least_float32(torch.stack((z, z_prime)))  # (2, n, d)
        invariance = centroid_invariance(views)
        terms = distribution_terms(views, slices, epsilon=epsilon)
        total = (1 - lambda_) * invariance + lambda_ * (terms.scale + terms.shape + terms.center)
    return VISRegTerms(total, invariance, *terms)


@dataclass(frozen=True, kw_only=True)
class VISRegSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.visreg`. Raises InputError for a value that no run can have."""

    lambda_: float = field(metadata={"symbol": "λ"})
    slices: int
    epsilon: float

    def __post_init__(self) -> None:
        if not 0 <= self.lambda_ <= 1:
            raise InputError(
                f"pretrain.lambda must be in [0, 1], but got {self.lambda_}; the paper has 0.6 for small data sets."
            )
        if self.slices < 1:
            raise InputError(f"pretrain.slices must be at least 1, but got {self.slices}; the authors have 256.")
        if not 0 < self.epsilon < math.inf:
            raise InputError(f"pretrain.epsilon must be positive and finite, but got {self.epsilon}; lightly has 0.0001.")


class VISReg(Method):
    """VISReg with two global views; its slices are drawn anew in each step."""

    TITLE = "VISReg"
    SOURCE = "arXiv 2606.02572"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    AUTHORS_VIEW_PASSES = "joint"
    Settings = VISRegSettings
    TERMS = {
        "invariance": Term(title="Invariance term", log_axis=True),
        "scale": Term(title="Scale term", log_axis=True),
        "shape": Term(title="Shape term", log_axis=True),
        "center": Term(title="Centre term", log_axis=True),
    }
    counter: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: VISRegSettings = self.settings
        slices = unit_slices(self.counter, dimension=self.embedding_dimension, slices=settings.slices)
        terms = visreg_loss(z, z_prime, slices=slices, lambda_=settings.lambda_, epsilon=settings.epsilon)
        logged = {name: getattr(terms, name).detach() for name in self.TERMS}
        return Loss(total=terms.total, terms=logged, embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        self.counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.counter.fill_(first_counter(generator))

    def coefficients(self) -> dict[str, float]:
        settings: VISRegSettings = self.settings
        weight = settings.lambda_
        return {"invariance": 1 - weight, "scale": weight, "shape": weight, "center": weight}

    @property
    def target_std(self) -> float | None:
        settings: VISRegSettings = self.settings
        return 1.0 if settings.lambda_ > 0 else None
