"""LeJEPA (arXiv 2511.08544): views agree, and random projections of embeddings are standard normal (SIGReg)."""

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
    unit_slices,
)
from vicreg.methods.counter_random import first_counter

MIXINGS = ("convex", "additive")
# Characteristic functions are compared on [-3, 3] (the authors' MINIMAL.md, github.com/rbalestr-lab/lejepa).
LARGEST_FREQUENCY = 3.0


def sigreg(views: Tensor, slices: Tensor, *, knots: int = 17) -> Tensor:
    """Return how far projections of embeddings (V, n, d) are from standard normal, per view and slice on average: a scalar.

    It is the statistic of Epps and Pulley: n times the integral over t in [-3, 3] of |phi_n(t) - exp(-t^2 / 2)|^2 times
    exp(-t^2 / 2), with phi_n the empirical characteristic function of one view's n projections. The integrand is even, so
    the trapezoids of `knots` frequencies in [0, 3] are doubled. Its expectation is 1.05 where embeddings are standard
    normal, at any n, and it grows with n where they are not.

    Args:
        views: embeddings of V views (V, n, d), or of one (n, d).
        slices: unit columns (d, m).
        knots: frequencies, 2 or more.

    Source: arXiv 2511.08544, Section 4, and the authors' MINIMAL.md.
    """
    with full_precision(views):
        views = at_least_float32(views)
        n = views.shape[-2]
        frequencies = torch.linspace(0, LARGEST_FREQUENCY, knots, dtype=views.dtype, device=views.device)
        gaussian = torch.exp(-frequencies.square() / 2)  # its characteristic function, and the integral's weight
        angles = (views @ slices.to(views.dtype)).unsqueeze(-1) * frequencies  # (V, n, m, knots)
        error = (angles.cos().mean(dim=-3) - gaussian).square() + angles.sin().mean(dim=-3).square()  # (V, m, knots)
        half = torch.trapezoid(error * gaussian, dx=LARGEST_FREQUENCY / (knots - 1))
        return 2 * n * half.mean()


class LeJEPATerms(NamedTuple):
    """The weighted total and the two unweighted terms, each a scalar tensor."""

    total: Tensor
    sigreg: Tensor
    invariance: Tensor


def term_weights(*, lambda_: float, mixing: str) -> dict[str, float]:
    """Return the weights of `sigreg` and `invariance` in the total, by name.

    `convex`: lambda and 1 - lambda (the paper, lightly). `additive`: lambda and 1 (stable-pretraining).
    """
    return {"sigreg": lambda_, "invariance": 1 - lambda_ if mixing == "convex" else 1.0}


def lejepa_loss(
    z: Tensor, z_prime: Tensor, *, slices: Tensor, lambda_: float = 0.05, knots: int = 17, mixing: str = "convex"
) -> LeJEPATerms:
    """Return the LeJEPA loss of two batches of embeddings, both (n, d), with its terms.

    total = lambda * sigreg + (1 - lambda) * invariance, with `mixing` convex; see `sigreg`, `centroid_invariance` and
    `term_weights`. Computed in float32 at least.

    Raises InputError for other shapes than two equal (n, d) and n < 2. Source: arXiv 2511.08544, Algorithm 2.
    """
    require_batch(z, check_finite=False)
    require_one_shape(z, z_prime)
    views = torch.stack((z, z_prime))  # (2, n, d)
    statistic, invariance = sigreg(views, slices, knots=knots), centroid_invariance(views)
    weights = term_weights(lambda_=lambda_, mixing=mixing)
    return LeJEPATerms(weights["sigreg"] * statistic + weights["invariance"] * invariance, statistic, invariance)


@dataclass(frozen=True, kw_only=True)
class LeJEPASettings(MethodSettings):
    """`params.yaml`'s section `pretrain.lejepa`. Raises InputError for a value that no run can have."""

    lambda_: float = field(metadata={"symbol": "λ"})
    slices: int
    knots: int
    mixing: str

    def __post_init__(self) -> None:
        if self.mixing not in MIXINGS:
            raise InputError(f"pretrain.mixing must be one of {', '.join(MIXINGS)}, but got {self.mixing!r}; choose one.")
        if self.mixing == "convex" and not 0 <= self.lambda_ <= 1:
            raise InputError(
                f"pretrain.lambda must be in [0, 1] where pretrain.mixing is convex, but got {self.lambda_}; "
                "lower it or set mixing to additive."
            )
        if not 0 <= self.lambda_ < math.inf:
            raise InputError(
                f"pretrain.lambda must be a finite number of at least 0, but got {self.lambda_}; the paper has 0.05."
            )
        if self.slices < 1:
            raise InputError(f"pretrain.slices must be at least 1, but got {self.slices}; the paper has 1024.")
        if self.knots < 2:
            raise InputError(
                f"pretrain.knots must be at least 2 to span an interval, but got {self.knots}; the authors have 17."
            )


class LeJEPA(Method):
    """LeJEPA with two global views; its slices are drawn anew in each step."""

    TITLE = "LeJEPA"
    SOURCE = "arXiv 2511.08544"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    AUTHORS_VIEW_PASSES = "joint"
    Settings = LeJEPASettings
    TERMS = {
        "sigreg": Term(title="SIGReg statistic", log_axis=True),
        "invariance": Term(title="Invariance term", log_axis=True),
    }
    counter: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: LeJEPASettings = self.settings
        slices = unit_slices(self.counter, dimension=self.embedding_dimension, slices=settings.slices)
        terms = lejepa_loss(
            z, z_prime, slices=slices, lambda_=settings.lambda_, knots=settings.knots, mixing=settings.mixing
        )
        logged = {"sigreg": terms.sigreg.detach(), "invariance": terms.invariance.detach()}
        return Loss(total=terms.total, terms=logged, embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        self.counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.counter.fill_(first_counter(generator))

    def coefficients(self) -> dict[str, float]:
        settings: LeJEPASettings = self.settings
        return term_weights(lambda_=settings.lambda_, mixing=settings.mixing)

    @property
    def target_std(self) -> float | None:
        settings: LeJEPASettings = self.settings
        return 1.0 if settings.lambda_ > 0 else None
