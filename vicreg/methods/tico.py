"""TiCo (arXiv 2206.10698): views agree, and embeddings avoid the directions that earlier ones filled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import full_precision, require_batch, require_one_shape
from vicreg.methods.contrastive import unit_rows
from vicreg.models.momentum_target import EMASchedule, MomentumTarget, embed_each


class TiCoTerms(NamedTuple):
    """The total, its two unweighted terms, and the covariance (d, d) after the batch; the last three have no gradient."""

    total: Tensor
    invariance: Tensor
    contrast: Tensor
    covariance: Tensor


def tico_loss(
    z: Tensor, target: Tensor, covariance: Tensor, *, beta: float, rho: float, check_finite: bool = True
) -> TiCoTerms:
    """Return the TiCo loss of embeddings and targets, both (n, d), and of the covariance so far, (d, d).

    C <- beta C + (1 - beta) / n sum_i u_i u_i^T, with u_i = z_i / ||z_i||, uncentred and without gradient
    total = 1 - (1 / n) sum_i cos(z_i, t_i) + rho / n sum_i u_i^T C u_i

    The batch's own part is in C. Gradients go to both arguments: detach targets.

    Source: arXiv 2206.10698, Eqs. 2 to 5, in the form of lightly's `TiCoLoss`. Raises InputError for other shapes than two
    equal (n, d), n < 2, and, where `check_finite`, non-finite values.
    """
    require_batch(z, check_finite=check_finite)
    require_batch(target, check_finite=check_finite)
    require_one_shape(z, target)
    with full_precision(z):
        u, t = unit_rows(z), unit_rows(target)
        own = u.detach()
        after = beta * covariance.to(u.dtype) + (1 - beta) / len(u) * own.T @ own  # (d, d)
        invariance = 1 - (u * t).sum(dim=1).mean()
        contrast = ((u @ after) * u).sum(dim=1).mean()
        total = invariance + rho * contrast
    return TiCoTerms(total, invariance.detach(), contrast.detach(), after)


@dataclass(frozen=True, kw_only=True)
class TiCoSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.tico`. Raises InputError for a value that no run can have."""

    beta: float = field(metadata={"symbol": "β"})
    rho: float = field(metadata={"symbol": "ρ"})
    ema_start: float
    ema_schedule: str

    def __post_init__(self) -> None:
        EMASchedule(start=self.ema_start, kind=self.ema_schedule)  # which checks both
        if not 0 <= self.beta < 1:
            raise InputError(
                f"pretrain.beta must lie in [0, 1), for 1 keeps the covariance of 0 for ever, but got {self.beta}; the "
                "paper's is 0.9."
            )
        if not 0 <= self.rho < math.inf:
            raise InputError(f"pretrain.rho must be a finite number of at least 0, but got {self.rho}; 0 drops its term.")


class TiCo(Method):
    """TiCo as a method: `tico_loss` of the first view's embeddings and a momentum target's embeddings of the second.

    Its state is the target and the covariance of unit embeddings, a moving average that starts at 0. No network sees both
    views, so `view_passes` changes nothing.
    """

    Settings = TiCoSettings
    TERMS = {
        "invariance": Term(title="Distance to the target (1 - cosine)"),
        "contrast": Term(title="Covariance contrast", log_axis=True),
    }
    TITLE = "TiCo"
    SOURCE = "arXiv 2206.10698"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "The online backbone is probed; the online expander's output is judged."
    AUTHORS_VIEW_PASSES = "separate"

    def __init__(self, *, settings: TiCoSettings, **arguments: Any) -> None:
        super().__init__(settings=settings, **arguments)
        self.target = MomentumTarget(self)
        self.register_buffer("covariance", torch.zeros(self.embedding_dimension, self.embedding_dimension))

    def compile_networks(self) -> None:
        raise InputError(
            "pretrain.compile must be false for method tico, for a pass of one view is not compiled; set it to false."
        )

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: TiCoSettings = self.settings
        (z,) = embed_each(self, views[:1])  # (n, d)
        with torch.no_grad():
            (target,) = embed_each(self.target, views[1:])
        covariance = self.get_buffer("covariance")
        terms = tico_loss(z, target, covariance, beta=settings.beta, rho=settings.rho, check_finite=False)
        if self.training:
            covariance.copy_(terms.covariance)
        return Loss(
            total=terms.total, terms={"invariance": terms.invariance, "contrast": terms.contrast}, embeddings=z
        )  # fmt: skip

    def after_step(self, *, progress: Tensor) -> None:
        settings: TiCoSettings = self.settings
        schedule = EMASchedule(start=settings.ema_start, kind=settings.ema_schedule)
        self.target.follow(self, momentum=schedule.momentum(progress))

    def reset_state(self, generator: torch.Generator) -> None:
        self.target.copy_from(self)
        self.get_buffer("covariance").zero_()

    def coefficients(self) -> dict[str, float]:
        settings: TiCoSettings = self.settings
        return {"invariance": 1.0, "contrast": settings.rho}
