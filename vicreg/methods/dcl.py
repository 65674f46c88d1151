"""DCL and DCLW (arXiv 2110.06848): SimCLR without the positive pair in the denominator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings
from vicreg.methods.batch_statistics import full_precision
from vicreg.methods.contrastive import (
    CONTRAST_TERMS,
    SCALES,
    Contrast,
    contrast,
    pair_similarities,
    require_choice,
    require_pair,
    require_temperature,
    unit_rows,
)

WEIGHTINGS = ("none", "detached", "differentiated")


def von_mises_fisher_weights(cosines: Tensor, *, sigma: float) -> Tensor:
    """Return DCLW's weights (n,) of positive pairs with these cosines (n,): their mean is 1, and close pairs weigh less.

    w_i = 2 - n exp(cos_i / sigma) / sum_j exp(cos_j / sigma). A weight can be negative, which pushes a pair apart.

    Source: arXiv 2110.06848, with the mean over the batch for its expectation.
    """
    return 2 - len(cosines) * torch.softmax(cosines / sigma, dim=0)


def dcl_loss(
    z: Tensor,
    z_prime: Tensor,
    *,
    temperature: float,
    weighting: str = "none",
    sigma: float = 0.5,
    check_finite: bool = True,
) -> Contrast:
    """Return the decoupled contrastive loss of two views' embeddings, both (n, d), as the mean over their 2n rows.

    u = z / ||z||; total = (1 / 2n) sum_i [ -w_i u_i . u_j(i) / temperature + log sum_k exp(u_i . u_k / temperature) ], where
    j(i) is the row of the same image in the other view and k runs over the 2n - 2 rows of other images.

    Args:
        weighting: `none` has w = 1 (DCL). `detached` and `differentiated` have `von_mises_fisher_weights` (DCLW), as
            constants (lightly) or with a gradient of their own (github.com/raminnakhli/Decoupled-Contrastive-Learning).
        sigma: by which these weights divide cosines.

    Raises InputError for another weighting, a temperature or sigma of 0 or below, other shapes than two equal (n, d), n < 2,
    and, where `check_finite`, non-finite embeddings. Source: arXiv 2110.06848, Eq. 6.
    """
    require_choice("weighting", weighting, WEIGHTINGS)
    _require_sigma("sigma", sigma)
    require_pair(z, z_prime, temperature, check_finite=check_finite)
    with full_precision(z):
        positives, negatives = pair_similarities(unit_rows(z), unit_rows(z_prime), same_view=True)  # (2n,), (2n, 2n)
        weights = None
        if weighting != "none":
            cosines = positives[: len(z)] if weighting == "differentiated" else positives[: len(z)].detach()
            weights = von_mises_fisher_weights(cosines, sigma=sigma).repeat(2)
        return contrast(positives / temperature, negatives / temperature, with_positive=False, weights=weights)


def _require_sigma(name: str, sigma: float) -> None:
    if not 0 < sigma < math.inf:
        raise InputError(f"{name} must be a finite number above 0, but got {sigma}; lightly's is 0.5.")


@dataclass(frozen=True, kw_only=True)
class DCLSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.dcl`. Raises InputError for a value that no run can have.

    Attributes:
        temperature: what cosines are divided by.
        weighting: of positive pairs, one of `WEIGHTINGS`; see `dcl_loss`.
        sigma: by which the weights divide cosines; without an effect where `weighting` is `none`.
        scale: `mean` of the two directions (lightly) or their `sum` (raminnakhli's repository).
    """

    temperature: float = field(metadata={"symbol": "τ"})
    weighting: str
    sigma: float = field(metadata={"symbol": "σ"})
    scale: str

    def __post_init__(self) -> None:
        require_temperature(self.temperature, name="pretrain.temperature")
        require_choice("pretrain.weighting", self.weighting, WEIGHTINGS)
        _require_sigma("pretrain.sigma", self.sigma)
        require_choice("pretrain.scale", self.scale, tuple(SCALES))


class DCL(Method):
    """DCL as a method, and DCLW where the settings weight positive pairs; its loss is `dcl_loss`."""

    Settings = DCLSettings
    TERMS = CONTRAST_TERMS
    TITLE = "DCL"
    SOURCE = "arXiv 2110.06848"
    FAMILY = "contrastive"
    GATHERS = "embeddings"
    AUTHORS_VIEW_PASSES = (
        "separate"  # as github.com/raminnakhli/Decoupled-Contrastive-Learning; the authors' own is not public
    )

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: DCLSettings = self.settings
        found = dcl_loss(
            z,
            z_prime,
            temperature=settings.temperature,
            weighting=settings.weighting,
            sigma=settings.sigma,
            check_finite=False,
        )
        return Loss(total=SCALES[settings.scale] * found.total, terms=found.terms(), embeddings=z)

    def coefficients(self) -> dict[str, float]:
        settings: DCLSettings = self.settings
        return dict.fromkeys(("positive_pairs", "log_denominator"), SCALES[settings.scale])
