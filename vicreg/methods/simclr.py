"""SimCLR (arXiv 2002.05709): contrast each image's two views with all other views of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from vicreg.methods.base import Loss, Method, MethodSettings
from vicreg.methods.contrastive import CONTRAST_TERMS, SCALES, nt_xent, require_choice, require_temperature

SIMCLR_DENOMINATORS = ("2n-1", "n")  # `2n-2` is another method, DCL


@dataclass(frozen=True, kw_only=True)
class SimCLRSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.simclr`. Raises InputError for a value that no run can have.

    Attributes:
        temperature: what cosines are divided by.
        denominator: its terms: `2n-1`, all other rows (the paper), or `n`, those of the other view (DirectCLR's and CLIP's).
        scale: `mean` of the two directions (solo-learn, lightly) or their `sum` (the authors' TensorFlow code).
    """

    temperature: float = field(metadata={"symbol": "τ"})
    denominator: str
    scale: str

    def __post_init__(self) -> None:
        require_temperature(self.temperature, name="pretrain.temperature")
        require_choice("pretrain.denominator", self.denominator, SIMCLR_DENOMINATORS)
        require_choice("pretrain.scale", self.scale, tuple(SCALES))


class SimCLR(Method):
    """SimCLR as a method; its loss is `nt_xent` of the two views' embeddings, times 2 where the settings sum directions.

    Implementations differ in these respects too: the projector's depth and its BatchNorm are `pretrain.expander` and
    `pretrain.expander_batchnorm`, and one pass for both views is `pretrain.view_passes`.
    """

    Settings = SimCLRSettings
    TERMS = CONTRAST_TERMS
    TITLE = "SimCLR"
    SOURCE = "arXiv 2002.05709"
    FAMILY = "contrastive"
    GATHERS = "embeddings"
    AUTHORS_VIEW_PASSES = "joint"  # github.com/google-research/simclr concatenates the views before the network

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: SimCLRSettings = self.settings
        found = nt_xent(z, z_prime, temperature=settings.temperature, denominator=settings.denominator, check_finite=False)
        return Loss(total=SCALES[settings.scale] * found.total, terms=found.terms(), embeddings=z)

    def coefficients(self) -> dict[str, float]:
        settings: SimCLRSettings = self.settings
        return dict.fromkeys(("positive_pairs", "log_denominator"), SCALES[settings.scale])
