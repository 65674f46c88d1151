"""W-MSE (arXiv 2007.06346): views agree after each sub-batch of embeddings has been whitened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.counter_random import permutation
from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import full_precision, require_batch, require_one_shape
from vicreg.methods.lejepa import FIRST_COUNTERS


def whiten(groups: Tensor, *, epsilon: float) -> Tensor:
    """Return groups of embeddings (..., w, d), each centred and with the identity for its covariance, float64.

    y = L^-1 (z - mean), with L L^T = (1 - epsilon) C + epsilon I the factorisation of Cholesky and C the unbiased covariance
    (w - 1) of the group. It is computed in float64: C may have a condition number that float32 does not resolve. A matrix
    that has no such factor, as a constant dimension gives at epsilon 0, gives NaN.

    Source: arXiv 2007.06346, Section 3.2, and github.com/htdt/self-supervised, methods/whitening.py.
    """
    groups = groups.double()
    w, d = groups.shape[-2:]
    centred = groups - groups.mean(dim=-2, keepdim=True)
    covariance = centred.mT @ centred / (w - 1)  # (..., d, d)
    identity = torch.eye(d, dtype=groups.dtype, device=groups.device)
    # `cholesky` itself would wait for the device to learn whether it failed.
    factor, failed = torch.linalg.cholesky_ex((1 - epsilon) * covariance + epsilon * identity)
    factor = factor.masked_fill((failed != 0)[..., None, None], float("nan"))
    return torch.linalg.solve_triangular(factor, centred.mT, upper=False).mT


def wmse_loss(z: Tensor, z_prime: Tensor, *, order: Tensor, w_size: int, epsilon: float = 0.0) -> Tensor:
    """Return the W-MSE loss of two batches of embeddings, both (n, d): a scalar, float64.

    2 - 2 mean cos(y, y'): y and y' are the embeddings of an image after each view of its sub-batch was whitened.

    Args:
        z, z_prime: embeddings of the same images.
        order: a permutation of the n images, int64; sub-batches are each `w_size` in turn, the same for both views.
        w_size: images in a sub-batch, which must divide n.
        epsilon: see `whiten`.

    Raises InputError for other shapes than two equal (n, d), a w_size that does not divide n, and w_size < 2 d, where the
    covariance is singular or nearly so. Source: arXiv 2007.06346, Section 3.
    """
    require_batch(z, check_finite=False)
    require_one_shape(z, z_prime)
    n, d = z.shape
    require_sub_batch(w_size, dimension=d)
    if n % w_size != 0:
        raise InputError(
            f"pretrain.w_size must divide the images of a batch, but got {w_size} for {n} images; "
            "change it or pretrain.batch_size, and set pretrain.drop_last to true."
        )
    with full_precision(z):
        views = torch.stack((z, z_prime)).index_select(1, order)
        y, y_prime = whiten(views.reshape(2, n // w_size, w_size, d), epsilon=epsilon)  # (n / w_size, w_size, d) each
        return 2 - 2 * (functional.normalize(y, dim=-1) * functional.normalize(y_prime, dim=-1)).sum(dim=-1).mean()


def require_sub_batch(w_size: int, *, dimension: int) -> None:
    """Raise InputError unless a sub-batch has at least twice as many images as embeddings have dimensions."""
    if w_size < 2 * dimension:
        raise InputError(
            f"pretrain.w_size must be at least twice the embeddings' dimension, or their covariance is near singular, but "
            f"got {w_size} for {dimension} dimensions; raise it with pretrain.batch_size, or lower pretrain.dimension."
        )


@dataclass(frozen=True, kw_only=True)
class WMSESettings(MethodSettings):
    """`params.yaml`'s section `pretrain.wmse`. Raises InputError for a value that no run can have."""

    dimension: int | None = field(metadata={"network": True})
    w_size: int
    epsilon: float

    def __post_init__(self) -> None:
        if self.dimension is not None and self.dimension < 1:
            raise InputError(
                f"pretrain.dimension must be at least 1, but got {self.dimension}; null takes the expander's output."
            )
        if not 0 <= self.epsilon < 1:
            raise InputError(f"pretrain.epsilon must be in [0, 1), but got {self.epsilon}; the authors have 0.")
        require_sub_batch(self.w_size, dimension=self.dimension or 1)


class WMSE(Method):
    """W-MSE with two views; a permutation drawn anew in each step cuts the batch into sub-batches.

    Its embeddings are narrow, since a sub-batch must determine their covariance: where `dimension` is set, a linear layer of
    that width follows the common expander. They are not whitened, for whitening depends on the batch.
    """

    TITLE = "W-MSE"
    SOURCE = "arXiv 2007.06346"
    FAMILY = "non-contrastive"
    PROBED = "Representations of the trained backbone are probed; the linear layer's output is judged, before whitening."
    AUTHORS_VIEW_PASSES = "separate"
    Settings = WMSESettings
    TERMS = {"distance": Term(title="Distance of whitened views", log_axis=True)}
    counter: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings: WMSESettings = self.settings
        if settings.dimension is not None:
            self.expander.append(nn.Linear(self.embedding_dimension, settings.dimension, bias=False))
            self.embedding_dimension = settings.dimension
        require_sub_batch(settings.w_size, dimension=self.embedding_dimension)
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: WMSESettings = self.settings
        order = permutation(self.counter, len(z))
        distance = wmse_loss(z, z_prime, order=order, w_size=settings.w_size, epsilon=settings.epsilon)
        return Loss(total=distance, terms={"distance": distance.detach()}, embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        self.counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.counter.copy_(torch.randint(FIRST_COUNTERS, (), generator=generator))

    def coefficients(self) -> dict[str, float]:
        return {"distance": 1.0}
