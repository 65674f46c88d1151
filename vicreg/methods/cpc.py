"""Contrastive predictive coding of image patches (arXiv 1807.03748, and 1905.09272: CPC v2).

A view is cut into overlapping patches, which are encoded one by one. From the rows of patches above, those further down are
predicted. The loss asks of each prediction which patch of the batch it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision
from vicreg.models.patches import RowContext, cut_patches, grid_side


class CPCTerms(NamedTuple):
    """The loss in nats, to differentiate, and the share of predictions that are most like the right patch; scalars."""

    total: Tensor
    accuracy: Tensor


def cpc_loss(predictions: Sequence[Tensor], targets: Tensor, *, first_row: int, scale: float) -> CPCTerms:
    """Return the InfoNCE loss of predicted patches, averaged over predictions and over how far below they are.

    loss = mean over k, n, r, c of -log [exp(s p_nrc . t_n(r+k)c) / sum_m exp(s p_nrc . t_m)],

    where m runs over all patches of all images. At chance it is log(N g^2).

    Args:
        predictions: p for k = first_row, first_row + 1, ... rows below; each (N, g - k, g, t), of rows r = 0 to g - k - 1.
        targets: t, of all patches, (N, g, g, t).
        first_row: the smallest k, at least 1.
        scale: s, which multiplies the products.

    Raises:
        InputError: for predictions of another shape than theirs.

    Source: arXiv 1807.03748, Eqs. 3-4; the scale and the candidates as in the pseudo-code of arXiv 1905.09272, Appendix.
    """
    n, rows, columns, width = targets.shape
    losses, hits = [], []
    with full_precision(targets):
        candidates = at_least_float32(targets).reshape(-1, width)  # (M, t), M = N g g
        places = torch.arange(n * rows * columns, device=targets.device).view(n, rows, columns)
        for below, prediction in enumerate(predictions, start=first_row):
            wanted = (n, rows - below, columns, width)
            if prediction.shape != wanted or rows <= below:
                raise InputError(
                    f"predictions {below} rows below must have shape {wanted}, but got {tuple(prediction.shape)}; there is "
                    "one for each patch that has another so far below it."
                )
            logits = scale * at_least_float32(prediction).reshape(-1, width) @ candidates.T  # (N (g - k) g, M)
            labels = places[:, below:].reshape(-1)
            losses.append(functional.cross_entropy(logits, labels))
            hits.append((logits.detach().argmax(dim=1) == labels).to(logits.dtype).mean())
    return CPCTerms(total=torch.stack(losses).mean(), accuracy=torch.stack(hits).mean())


@dataclass(frozen=True, kw_only=True)
class CPCSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.cpc`. Raises InputError for a value that no run can have.

    Fields: side and stride of the patches, pixels; rows below that are predicted, from `first_row` to `last_row`;
    `target_dimension`, the width in which predictions meet patches; `logit_scale`, the factor of their products; width and
    number of the context's blocks.
    """

    patch: int = field(metadata={"network": True})
    stride: int = field(metadata={"network": True})
    first_row: int
    last_row: int
    target_dimension: int
    logit_scale: float
    context_width: int
    context_blocks: int

    def __post_init__(self) -> None:
        for name in ("patch", "stride", "first_row", "target_dimension", "context_width", "context_blocks"):
            if getattr(self, name) < 1:
                raise InputError(f"pretrain.{name} must be at least 1, but got {getattr(self, name)}.")
        if self.last_row < self.first_row:
            raise InputError(
                f"pretrain.last_row must be at least pretrain.first_row, {self.first_row}, but got {self.last_row}."
            )
        if not 0 < self.logit_scale < math.inf:
            raise InputError(f"pretrain.logit_scale must be positive and finite, but got {self.logit_scale}.")


class CPC(Method):
    """Patches through backbone and expander; a context of the rows above predicts rows below by bilinear maps.

    An image's representation and embedding are the means of its patches' (arXiv 1807.03748, Section 3.3). The backbone keeps
    its BatchNorm, which CPC v2 replaces by layer normalisation: it lets patches of a batch know of each other.

    A grid of 3 x 3, as patches of 16 with a stride of 8 give at 32 pixels, is the smallest. Two rows below, row 0 alone
    predicts, and row 2 alone is predicted. The context of row 0 has no rows above to see. Patches of 8 with a stride of 4
    give 7 x 7, as in CPC v2, at about twice the cost.
    """

    Settings = CPCSettings
    TERMS = {
        "info_nce": Term(title="InfoNCE loss", unit="nats"),
        "accuracy": Term(title="Share of predictions closest to the right patch"),
    }
    VIEWS = 1

    TITLE = "CPC"
    SOURCE = "arXiv 1807.03748; arXiv 1905.09272"
    FAMILY = "predictive"
    PROBED = (
        "An image is encoded as patches. The mean of their representations is probed, that of their embeddings is judged."
    )
    AUTHORS_VIEW_PASSES = "separate"

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings: CPCSettings = self.settings
        d, wanted = self.embedding_dimension, settings.target_dimension
        self.context = RowContext(dimension=d, width=settings.context_width, blocks=settings.context_blocks)
        self.targets = nn.Linear(d, wanted, bias=False)
        rows = range(settings.first_row, settings.last_row + 1)
        self.predictors = nn.ModuleList(nn.Linear(d, wanted, bias=False) for _ in rows)
        self._predict = self.predict

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return representations (N, d_y) and embeddings (N, d_z) of images (N, C, H, H): means over their patches."""
        y, z = self.encode_patches(images)
        return y.mean(dim=(1, 2)), z.mean(dim=(1, 2))

    def encode_patches(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return representations (N, g, g, d_y) and embeddings (N, g, g, d_z) of the patches of images (N, C, H, H)."""
        settings: CPCSettings = self.settings
        grid = grid_side(images.shape[-1], patch=settings.patch, stride=settings.stride)
        y, z = super().forward(cut_patches(images, patch=settings.patch, stride=settings.stride))
        return y.unflatten(0, (-1, grid, grid)), z.unflatten(0, (-1, grid, grid))

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the patches' embeddings (N, g, g, d_z), the targets (N, g, g, t), and predictions as `cpc_loss` takes them.

        Raises:
            InputError: for images with too few rows of patches.
        """
        settings: CPCSettings = self.settings
        _, z = self.encode_patches(images)
        rows = z.shape[1]
        if rows <= settings.last_row:
            raise InputError(
                f"a view must have more rows of patches than pretrain.last_row, {settings.last_row}, but one of "
                f"{images.shape[-1]} pixels has {rows}; lower pretrain.last_row, pretrain.patch or pretrain.stride."
            )
        context = self.context(z.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # (N, g, g, d_z)
        below = range(settings.first_row, settings.last_row + 1)
        predictions = [predictor(context[:, : rows - k]) for k, predictor in zip(below, self.predictors, strict=True)]
        return z, self.targets(z), predictions

    def compile_networks(self) -> None:
        super().compile_networks()
        self._predict = torch.compile(self.predict, dynamic=False)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: CPCSettings = self.settings
        (view,) = views
        z, targets, predictions = self._predict(view)
        contrast = cpc_loss(predictions, targets, first_row=settings.first_row, scale=settings.logit_scale)
        terms = {"info_nce": contrast.total.detach(), "accuracy": contrast.accuracy}
        return Loss(total=contrast.total, terms=terms, embeddings=z.mean(dim=(1, 2)))

    def coefficients(self) -> dict[str, float]:
        return {"info_nce": 1.0}
