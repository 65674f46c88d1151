"""DirectCLR (arXiv 2110.09348): contrast some coordinates of the representations, without a projector."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings
from vicreg.methods.contrastive import CONTRAST_TERMS, nt_xent, require_choice, require_temperature
from vicreg.models.resnet import ResNet

DIRECTCLR_DENOMINATORS = ("n", "2n-1")


class FirstCoordinates(nn.Module):
    """Keep the first coordinates of representations, (N, d_y) -> (N, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, representations: Tensor) -> Tensor:
        return representations[:, : self.size]


def coordinates(d0: float, *, dimension: int) -> int:
    """Return how many of `dimension` coordinates d0 stands for: a share up to 1, and a number from 2 on.

    A share is rounded to the nearest number. Raises InputError for one coordinate, of which normalising leaves the sign, and
    for more than there are.
    """
    size = round(d0 * dimension) if d0 <= 1 else round(d0)
    if not 2 <= size <= dimension:
        raise InputError(
            f"pretrain.d0 must leave 2 to {dimension} coordinates of the backbone's {dimension}, but {d0:g} leaves {size}; "
            "give a share of at most 1, or a number that the backbone has."
        )
    return size


@dataclass(frozen=True, kw_only=True)
class DirectCLRSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.directclr`. Raises InputError for a value that no run can have.

    Attributes:
        temperature: what cosines are divided by.
        d0: coordinates of the representations that the loss sees, as a share of d_y up to 1, or a number from 2 on.
        denominator: its terms: `n`, the rows of the other view (the authors), or `2n-1`, all other rows (lightly).
    """

    temperature: float = field(metadata={"symbol": "τ"})
    d0: float = field(metadata={"symbol": "d₀", "network": True})
    denominator: str

    def __post_init__(self) -> None:
        require_temperature(self.temperature, name="pretrain.temperature")
        require_choice("pretrain.denominator", self.denominator, DIRECTCLR_DENOMINATORS)
        if not (0 < self.d0 <= 1 or (2 <= self.d0 < math.inf and self.d0 == round(self.d0))):
            raise InputError(
                f"pretrain.d0 must be a share above 0 and up to 1, or a whole number of at least 2, but got {self.d0:g}."
            )


class DirectCLR(Method):
    """DirectCLR as a method; its loss is `nt_xent` of the first d0 coordinates r[:, :d0] of the representations.

    It ignores the common `expander`, for its point is to have none. Its embeddings are r[:, :d0], on which the loss acts.
    The other coordinates get no gradient from the loss itself. They learn through the layers below, which all share.
    """

    Settings = DirectCLRSettings
    TERMS = CONTRAST_TERMS
    TITLE = "DirectCLR"
    SOURCE = "arXiv 2110.09348"
    FAMILY = "contrastive"
    GATHERS = "embeddings"
    PROBED = (
        "Whole representations of the trained backbone are probed; their first d0 coordinates, on which the loss acts, are "
        "judged as embeddings."
    )
    AUTHORS_VIEW_PASSES = "separate"

    def __init__(
        self,
        *,
        backbone: ResNet,
        expander: Sequence[int],
        batchnorm: bool = True,
        settings: DirectCLRSettings,
        view_passes: str = "separate",
    ) -> None:
        super().__init__(backbone=backbone, expander=(), batchnorm=batchnorm, settings=settings, view_passes=view_passes)
        self.embedding_dimension = coordinates(settings.d0, dimension=backbone.dimension)
        self.expander = nn.Sequential(FirstCoordinates(self.embedding_dimension))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d0) each
        settings: DirectCLRSettings = self.settings
        found = nt_xent(z, z_prime, temperature=settings.temperature, denominator=settings.denominator, check_finite=False)
        return Loss(total=found.total, terms=found.terms(), embeddings=z)

    def coefficients(self) -> dict[str, float]:
        return {"positive_pairs": 1.0, "log_denominator": 1.0}
