"""MoCo v3 (arXiv 2104.02057): predict a slow network's embedding and tell it from those of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vicreg.methods.base import Loss, Method, MethodSettings
from vicreg.methods.contrastive import CONTRAST_TERMS, Contrast, info_nce, require_temperature
from vicreg.models.heads import build_predictor
from vicreg.models.momentum_target import EMASchedule, MomentumTarget
from vicreg.models.predictor import predict_views, predictor_width, require_predictor_ratio
from vicreg.models.view_batchnorm import ViewBatchNorm1d


def mocov3_loss(
    q: Tensor, q_prime: Tensor, k: Tensor, k_prime: Tensor, *, temperature: float, check_finite: bool = True
) -> Contrast:
    """Return MoCo v3's loss of queries q, q' and keys k, k' of two views, all (n, d).

    total = 2 tau [ H(q, k') + H(q', k) ]
    H(q, k) = (1 / n) sum_i [ -q_i . k_i / tau + log sum_j exp(q_i . k_j / tau) ]

    Rows are divided by their norms first. The sum has n terms, the positive and the other images' keys. The other members of
    the result are means of the two directions, so total = 4 tau (positive_pairs + log_denominator). Gradients go to all
    arguments: detach keys.

    Source: arXiv 2104.02057, Eq. 1 and Algorithm 1; the factor is that of `contrastive_loss` in
    github.com/facebookresearch/moco-v3. Raises InputError as `info_nce`.
    """
    directions = [
        info_nce(queries, keys, temperature=temperature, check_finite=check_finite)
        for queries, keys in ((q, k_prime), (q_prime, k))
    ]
    total = 2 * temperature * (directions[0].total + directions[1].total)
    _, *others = (torch.stack(values).mean() for values in zip(*directions, strict=True))
    return Contrast(total, *others)


@dataclass(frozen=True, kw_only=True)
class MoCoV3Settings(MethodSettings):
    """`params.yaml`'s section `pretrain.mocov3`. Raises InputError for a value that no run can have."""

    temperature: float = field(metadata={"symbol": "τ"})
    ema_start: float
    ema_schedule: str
    predictor_ratio: float

    def __post_init__(self) -> None:
        require_temperature(self.temperature, name="pretrain.temperature")
        EMASchedule(start=self.ema_start, kind=self.ema_schedule)  # which checks both
        require_predictor_ratio(self.predictor_ratio)

    @property
    def ema(self) -> EMASchedule:
        """The target's momentum."""
        return EMASchedule(start=self.ema_start, kind=self.ema_schedule)


class MoCoV3(Method):
    """MoCo v3 on a convolutional network: BYOL's networks, with the other images' keys of the batch as negatives.

    The expander ends with BatchNorm without scale and shift, and the predictor's last layer has no bias, as the authors'
    `_build_mlp` makes them for a ResNet. The target has no predictor.
    """

    Settings = MoCoV3Settings
    TERMS = CONTRAST_TERMS
    TITLE = "MoCo v3"
    SOURCE = "arXiv 2104.02057"
    FAMILY = "contrastive"
    GATHERS = "embeddings"
    PROBED = (
        "The online backbone is probed; the output of the online expander's last BatchNorm, before the predictor, is judged."
    )
    AUTHORS_VIEW_PASSES = "separate"

    def __init__(self, *, batchnorm: bool = True, settings: MoCoV3Settings, **arguments: Any) -> None:
        super().__init__(batchnorm=batchnorm, settings=settings, **arguments)
        width = self.embedding_dimension
        self.expander.append(ViewBatchNorm1d(width, affine=False))
        self.predictor = build_predictor(width, predictor_width(width, settings.predictor_ratio), batchnorm=batchnorm)
        self.predictor[-1].register_parameter("bias", None)
        self.target = MomentumTarget(self)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: MoCoV3Settings = self.settings
        z, z_prime = self.embed(*views)  # (n, d) each
        queries = predict_views(self.predictor, z, z_prime, passes=self.view_passes)
        keys = self.target.embed(*views, passes=self.view_passes)
        contrast = mocov3_loss(*queries, *keys, temperature=settings.temperature, check_finite=False)
        return Loss(total=contrast.total, terms=contrast.terms(), embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        settings: MoCoV3Settings = self.settings
        self.target.follow(self, momentum=settings.ema.momentum(progress))

    def reset_state(self, generator: torch.Generator) -> None:
        self.target.copy_from(self)

    def compile_networks(self) -> None:
        super().compile_networks()
        self.target.compile_networks()

    def coefficients(self) -> dict[str, float]:
        settings: MoCoV3Settings = self.settings
        return {"positive_pairs": 4 * settings.temperature, "log_denominator": 4 * settings.temperature}
