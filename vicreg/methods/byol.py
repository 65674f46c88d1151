"""BYOL (arXiv 2006.07733): predict a slow target network's embedding of the other view."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import full_precision, require_batch, require_one_shape
from vicreg.methods.contrastive import unit_rows
from vicreg.models.heads import build_predictor
from vicreg.models.momentum_target import EMASchedule, MomentumTarget
from vicreg.models.predictor import predict_views, predictor_width, require_predictor_ratio


class BYOLTerms(NamedTuple):
    """The total, and the mean cosine of predictions and their targets; only `total` is meant for a backward pass."""

    total: Tensor
    cosine: Tensor


def byol_loss(p: Tensor, p_prime: Tensor, target: Tensor, target_prime: Tensor, *, check_finite: bool = True) -> BYOLTerms:
    """Return BYOL's loss of predictions p, p' and targets t, t' of two views, all (n, d).

    total = (1 / n) sum_i [ ||p_i/||p_i|| - t'_i/||t'_i|| ||^2 + ||p'_i/||p'_i|| - t_i/||t_i|| ||^2 ]
          = 4 - 2 mean cos(p, t') - 2 mean cos(p', t), in [0, 8].

    It is the sum over the views, as in the authors' code; lightly's negative cosine is a quarter of it, without the 4.
    Gradients go to all arguments: detach targets.

    Source: arXiv 2006.07733, Eq. 2. Raises InputError for other shapes than four equal (n, d), n < 2, and, where
    `check_finite`, non-finite values.
    """
    for one in (p, p_prime, target, target_prime):
        require_batch(one, check_finite=check_finite)
        require_one_shape(p, one)
    with full_precision(p):
        cosines = [
            (unit_rows(prediction) * unit_rows(wanted)).sum(dim=1).mean()
            for prediction, wanted in ((p, target_prime), (p_prime, target))
        ]
        total = (2 - 2 * cosines[0]) + (2 - 2 * cosines[1])
    return BYOLTerms(total, ((cosines[0] + cosines[1]) / 2).detach())


@dataclass(frozen=True, kw_only=True)
class BYOLSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.byol`. Raises InputError for a value that no run can have."""

    ema_start: float = field(metadata={"symbol": "EMA"})
    ema_schedule: str
    predictor: bool
    predictor_ratio: float
    stop_gradient: bool

    def __post_init__(self) -> None:
        EMASchedule(start=self.ema_start, kind=self.ema_schedule)  # which checks both
        require_predictor_ratio(self.predictor_ratio)

    @property
    def ema(self) -> EMASchedule:
        """The target's momentum."""
        return EMASchedule(start=self.ema_start, kind=self.ema_schedule)


class BYOL(Method):
    """BYOL: a predictor on the online network, and a target that is its exponential moving average.

    Three settings show what it collapses without. With no predictor the embeddings are the predictions. With a constant
    momentum of 0 the target has the online network's own weights, since it follows after each step: BYOL is then SimSiam
    with BYOL's predictor. With no stop-gradient the online embeddings are the targets, with their gradient.
    """

    Settings = BYOLSettings
    TERMS = {"cosine": Term(title="Cosine of prediction and target")}
    TITLE = "BYOL"
    SOURCE = "arXiv 2006.07733"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "The online backbone is probed; the online expander's output, before the predictor, is judged."
    AUTHORS_VIEW_PASSES = "separate"

    def __init__(self, *, batchnorm: bool = True, settings: BYOLSettings, **arguments: Any) -> None:
        super().__init__(batchnorm=batchnorm, settings=settings, **arguments)
        self.predictor: nn.Module = nn.Identity()
        if settings.predictor:
            hidden = predictor_width(self.embedding_dimension, settings.predictor_ratio)
            self.predictor = build_predictor(self.embedding_dimension, hidden, batchnorm=batchnorm)
        self.target = MomentumTarget(self)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        p, p_prime = predict_views(self.predictor, z, z_prime, passes=self.view_passes)
        settings: BYOLSettings = self.settings
        wanted = self.target.embed(*views, passes=self.view_passes) if settings.stop_gradient else (z, z_prime)
        terms = byol_loss(p, p_prime, *wanted, check_finite=False)
        return Loss(total=terms.total, terms={"cosine": terms.cosine}, embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        settings: BYOLSettings = self.settings
        self.target.follow(self, momentum=settings.ema.momentum(progress))

    def reset_state(self, generator: torch.Generator) -> None:
        self.target.copy_from(self)

    def compile_networks(self) -> None:
        super().compile_networks()
        self.target.compile_networks()
