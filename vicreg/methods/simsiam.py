"""SimSiam (arXiv 2011.10566): a predictor and a stopped gradient, without negatives."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision, require_batch, require_one_shape
from vicreg.models.heads import build_predictor
from vicreg.models.predictor import predict_views, predictor_width, require_predictor_ratio
from vicreg.models.view_batchnorm import ViewBatchNorm1d
from vicreg.optim.rates import RateGroup


def simsiam_loss(
    predictions: tuple[Tensor, Tensor],
    embeddings: tuple[Tensor, Tensor],
    *,
    stop_gradient: bool = True,
    check_finite: bool = True,
) -> Tensor:
    """Return the symmetrised negative cosine of predictions (p, p') and embeddings (z, z'), each `(n, d)`: in [-1, 1].

    L = -(mean_i cos(p_i, z'_i) + mean_i cos(p'_i, z_i)) / 2

    With `stop_gradient` no gradient passes through z and z'. A row of zeros has a cosine of 0.

    Source: arXiv 2011.10566, Eqs. 1-4. Raises InputError for other shapes than four equal `(n, d)`, n < 2 and non-finite
    values.
    """
    for one in (*predictions, *embeddings):
        require_batch(one, check_finite=check_finite)
        require_one_shape(embeddings[0], one)
    with full_precision(embeddings[0]):
        p, p_prime = (at_least_float32(one) for one in predictions)
        z, z_prime = (at_least_float32(one.detach() if stop_gradient else one) for one in embeddings)
        cosines = functional.cosine_similarity(p, z_prime, dim=1), functional.cosine_similarity(p_prime, z, dim=1)
        return -(cosines[0].mean() + cosines[1].mean()) / 2


@torch.no_grad()
def unit_row_std(z: Tensor) -> Tensor:
    """Return the mean std over dimensions of the rows of `z` (n, d), scaled to length 1, times sqrt(d): a scalar.

    1 is isotropic and 0 collapsed. SimSiam has no other sign of a collapse, since its last BatchNorm keeps the std of z at 1
    and its loss is lowest there. It is `normalised_std` of `vicreg.metrics.collapse` for a step, which reads no value on the
    host. Source: arXiv 2011.10566, Section 4.1.
    """
    with full_precision(z):
        rows = functional.normalize(at_least_float32(z), dim=1)
        return rows.std(dim=0).mean() * math.sqrt(z.shape[1])


@dataclass(frozen=True, kw_only=True)
class SimSiamSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.simsiam`: its parts, each of which can be left out.

    Raises InputError for a predictor's width that no run can have.
    """

    predictor: bool
    predictor_ratio: float
    stop_gradient: bool
    output_batchnorm: bool = field(metadata={"network": True})
    constant_predictor_rate: bool

    def __post_init__(self) -> None:
        require_predictor_ratio(self.predictor_ratio)


class SimSiam(Method):
    """SimSiam as a method: `simsiam_loss` of a predictor's output and of the embeddings.

    The expander ends with a BatchNorm without scale and shift. Without a predictor the embeddings predict each other.
    """

    Settings = SimSiamSettings
    TERMS = {
        "cosine": Term(title="Negative cosine similarity"),
        "unit_row_std": Term(title="Std of unit rows times √d"),
    }
    OWN_RATES = True

    TITLE = "SimSiam"
    SOURCE = "arXiv 2011.10566"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "Representations of the trained backbone are probed; the projector's output, before the predictor, is judged."

    def __init__(self, *, batchnorm: bool = True, settings: SimSiamSettings, **arguments: Any) -> None:
        super().__init__(batchnorm=batchnorm, settings=settings, **arguments)
        d = self.embedding_dimension
        if settings.output_batchnorm:
            self.expander.append(ViewBatchNorm1d(d, affine=False))
        self.predictor = None
        if settings.predictor:
            self.predictor = build_predictor(d, predictor_width(d, settings.predictor_ratio), batchnorm=batchnorm)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: SimSiamSettings = self.settings
        cosine = simsiam_loss(
            self.predict(z, z_prime), (z, z_prime), stop_gradient=settings.stop_gradient, check_finite=False
        )  # fmt: skip
        return Loss(total=cosine, terms={"cosine": cosine.detach(), "unit_row_std": unit_row_std(z)}, embeddings=z)

    def predict(self, z: Tensor, z_prime: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predictions (n, d) from two views' embeddings, which pass the predictor as views pass the network."""
        if self.predictor is None:
            return z, z_prime
        return predict_views(self.predictor, z, z_prime, passes=self.view_passes)

    def parameter_groups(self) -> list[RateGroup]:
        """Return the predictor, whose rate does not decay where the settings say so (the authors' `--fix-pred-lr`)."""
        settings: SimSiamSettings = self.settings
        if self.predictor is None or not settings.constant_predictor_rate:
            return []
        return [RateGroup(list(self.predictor.parameters()), is_constant=True)]

    def coefficients(self) -> dict[str, float]:
        return {"cosine": 1.0}
