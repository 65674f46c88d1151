"""W-MSE (arXiv 2007.06346): views agree after each sub-batch of embeddings has been whitened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import full_precision, require_batch, require_one_shape
from vicreg.methods.counter_random import first_counter, permutation
from vicreg.models.heads import narrowed
from vicreg.models.joint_embedding import Encoded

# Weight of a batch in the running mean and covariance, as BatchNorm's default for its own.
_MOMENTUM = 0.1


def whiten(groups: Tensor, *, epsilon: float) -> Tensor:
    """Return groups of embeddings (..., w, d), each centred and with the identity for its covariance, float64.

    y = L^-1 (z - mean), with L L^T = (1 - epsilon) C + epsilon I the factorisation of Cholesky and C the unbiased covariance
    (w - 1) of the group. It is computed in float64: C may have a condition number that float32 does not resolve. A matrix
    that has no such factor, as a constant dimension gives at epsilon 0, gives NaN.

    Source: arXiv 2007.06346, Section 3.2, and github.com/htdt/self-supervised, methods/whitening.py.
    """
    mean, covariance = moments(groups)
    return whiten_by(groups, mean, covariance, epsilon=epsilon)


def moments(groups: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (..., 1, d) and the unbiased covariance (..., d, d) of groups of embeddings (..., w, d), float64."""
    groups = groups.double()
    mean = groups.mean(dim=-2, keepdim=True)
    centred = groups - mean
    return mean, centred.mT @ centred / (groups.shape[-2] - 1)


def whiten_by(groups: Tensor, mean: Tensor, covariance: Tensor, *, epsilon: float) -> Tensor:
    """Return embeddings (..., w, d) whitened as by `whiten`, with these means (..., 1, d) and covariances (..., d, d)."""
    identity = torch.eye(groups.shape[-1], dtype=covariance.dtype, device=covariance.device)
    # `cholesky` itself would wait for the device to learn whether it failed.
    factor, failed = torch.linalg.cholesky_ex((1 - epsilon) * covariance + epsilon * identity)
    factor = factor.masked_fill((failed != 0)[..., None, None], float("nan"))
    return torch.linalg.solve_triangular(factor, (groups.double() - mean).mT, upper=False).mT


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
    require_whole_sub_batches(n, w_size=w_size)
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


def require_whole_sub_batches(n: int, *, w_size: int) -> None:
    """Raise InputError unless n images make whole sub-batches."""
    if n % w_size != 0:
        raise InputError(
            f"pretrain.w_size must divide the images of a batch, but got {w_size} for {n} images; "
            "change it or pretrain.batch_size, and set pretrain.drop_last to true."
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

    def check_batch(self, batch_size: int) -> None:
        require_whole_sub_batches(batch_size, w_size=self.w_size)


class WMSE(Method):
    """W-MSE with two views; a permutation drawn anew in each step cuts the batch into sub-batches.

    Its embeddings are narrow, since a sub-batch must determine their covariance: where `dimension` is set, a linear layer of
    that width follows the common expander.

    The loss sees them whitened alone, so they are judged whitened too: `encode` whitens by running moments, as BatchNorm
    does. Each training batch, both views as one sample, moves these moments by a tenth. They start at 0 and the identity.
    """

    TITLE = "W-MSE"
    SOURCE = "arXiv 2007.06346"
    FAMILY = "non-contrastive"
    GATHERS = "embeddings"
    PROBED = "The trained backbone is probed; the linear layer's output, whitened by running moments, is judged."
    AUTHORS_VIEW_PASSES = "separate"
    Settings = WMSESettings
    TERMS = {"distance": Term(title="Distance of whitened views", log_axis=True)}
    counter: Tensor
    running_mean: Tensor
    running_covariance: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings: WMSESettings = self.settings
        self.embedding_dimension = narrowed(self.expander, self.embedding_dimension, to=settings.dimension)
        require_sub_batch(settings.w_size, dimension=self.embedding_dimension)
        d = self.embedding_dimension
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))
        self.register_buffer("running_mean", torch.zeros(1, d, dtype=torch.float64))
        self.register_buffer("running_covariance", torch.zeros(d, d, dtype=torch.float64))

    def encode(self, images: Tensor) -> Encoded:
        """Return representations, and embeddings whitened by the running mean and covariance."""
        encoded = super().encode(images)
        return Encoded(encoded.representations, self.whitened(encoded.embeddings))

    @torch.no_grad()
    def whitened(self, z: Tensor) -> Tensor:
        """Return embeddings (n, d) whitened by the running mean and covariance, float32, without a gradient."""
        settings: WMSESettings = self.settings
        with full_precision(z):
            return whiten_by(z, self.running_mean, self.running_covariance, epsilon=settings.epsilon).float()

    @torch.no_grad()
    def track(self, z: Tensor) -> None:
        """Move the running mean and covariance by `_MOMENTUM` to those of embeddings (n, d)."""
        with full_precision(z):
            for running, new in zip((self.running_mean, self.running_covariance), moments(z), strict=True):
                running.lerp_(new, _MOMENTUM)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        z, z_prime = self.embed(*views)  # (n, d) each
        settings: WMSESettings = self.settings
        order = permutation(self.counter, len(z))
        distance = wmse_loss(z, z_prime, order=order, w_size=settings.w_size, epsilon=settings.epsilon)
        if self.training:
            self.track(torch.cat((z, z_prime)))
        return Loss(total=distance, terms={"distance": distance.detach()}, embeddings=self.whitened(z))

    def after_step(self, *, progress: Tensor) -> None:
        self.counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.counter.fill_(first_counter(generator))
        self.running_mean.zero_()
        self.running_covariance.copy_(torch.eye(self.embedding_dimension, dtype=torch.float64))

    def coefficients(self) -> dict[str, float]:
        return {"distance": 1.0}
