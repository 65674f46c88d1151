"""Denoising autoencoder: reconstruct an image from a corrupted one.

The corruption is Gaussian noise, masked patches, or both. Masked patches alone make it masked generative pre-training.
Sources: Vincent et al. 2008, Extracting and composing robust features with denoising autoencoders, ICML; Vincent et al.
2010, Stacked denoising autoencoders, JMLR 11; context encoders, arXiv 1604.07379; SimMIM, arXiv 2111.09886.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.methods import counter_random
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision
from vicreg.models.decoder import Decoder, decoder_width

LOSS_ON = ("image", "masked")
_NOISE, _MASK = 0, 1  # streams of random numbers


class Corrupted(NamedTuple):
    """Corrupted images (N, C, H, H), and which of their pixels are masked: (N, 1, H, H), 1 or 0."""

    images: Tensor
    masked: Tensor


def mask_patches(counter: Tensor, count: int, *, side: int, patch: int, share: float) -> Tensor:
    """Return random masks (count, 1, side, side), 1 where an image is masked and 0 elsewhere, float32.

    Images are cut into squares of `patch` pixels; those at the right and lower border may be narrower. In each image
    ceil(share * squares) of them are masked, drawn without replacement as in SimMIM (arXiv 2111.09886, Section 3.2, and
    `MaskGenerator` of the authors' code). At least one is left where the share is below 1.

    Args:
        counter: of `vicreg.methods.counter_random`; the masks are a function of it.
        count: of images.
        share: of the squares, in [0, 1).

    Raises:
        InputError: where the one square is the image and `share` is above 0: masked, it would leave nothing.
    """
    grid = -(-side // patch)
    if grid == 1 and share > 0:
        raise InputError(
            f"pretrain.masked_patch must be below the side of a view, {side} pixels, but got {patch}; lower it, or set "
            "pretrain.masked_share to 0."
        )
    wanted = min(math.ceil(share * grid**2 - 1e-9), grid**2 - 1)  # 0.55 * 100 is a little above 55
    numbers = counter_random.uniform(counter, (count, grid**2), stream=_MASK)
    ranks = numbers.argsort(dim=1).argsort(dim=1)
    masks = (ranks < wanted).float().view(count, 1, grid, grid)
    return masks.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)[:, :, :side, :side]


def corrupt(images: Tensor, counter: Tensor, *, noise_std: float, masked_share: float, masked_patch: int) -> Corrupted:
    """Return images (N, C, H, H) with Gaussian noise added, and then random patches set to 0.

    Normalised pixels have mean 0, so 0 is the mean value that context encoders fill a region with (arXiv 1604.07379).
    Random numbers are a function of `counter`.
    """
    corrupted = images
    if noise_std > 0:
        corrupted = corrupted + noise_std * counter_random.normal(counter, images.shape, stream=_NOISE)
    if masked_share == 0:
        return Corrupted(images=corrupted, masked=images.new_zeros(len(images), 1, *images.shape[2:]))
    masked = mask_patches(counter, len(images), side=images.shape[-1], patch=masked_patch, share=masked_share)
    return Corrupted(images=corrupted * (1 - masked), masked=masked)


def reconstruction_error(reconstruction: Tensor, images: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Return the mean squared difference of two batches of images (N, C, H, W), a scalar.

    error = sum(w * (reconstruction - images)^2) / sum(w), over images, channels and pixels

    Args:
        reconstruction, images: of one shape. On normalised pixels an image's mean colour has an error near 1.
        weights: w, (N, 1, H, W), not all 0; 1 where there are none.

    Raises:
        InputError: for images of two shapes.
    """
    if reconstruction.shape != images.shape:
        raise InputError(
            f"a reconstruction must have the shape of its images, but got {tuple(reconstruction.shape)} and "
            f"{tuple(images.shape)}; decode at their size."
        )
    with full_precision(images):
        squares = (at_least_float32(reconstruction) - at_least_float32(images)).square()
        if weights is None:
            return squares.mean()
        return (squares * weights).sum() / (weights.sum() * images.shape[1])


@dataclass(frozen=True, kw_only=True)
class DenoisingAutoencoderSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.denoising_autoencoder`. Raises InputError for a value that no run can have.

    Fields: `noise_std` of the Gaussian noise, in standard deviations of the data's channels; `masked_share` of an image's
    squares of `masked_patch` pixels; `loss_on`, whether the error is of the whole `image` or of its `masked` pixels alone.
    """

    noise_std: float
    masked_share: float
    masked_patch: int
    loss_on: str

    def __post_init__(self) -> None:
        if not 0 <= self.noise_std < math.inf:
            raise InputError(f"pretrain.noise_std must be a finite number of at least 0, but got {self.noise_std}.")
        if not 0 <= self.masked_share < 1:
            raise InputError(
                f"pretrain.masked_share must be at least 0 and below 1, but got {self.masked_share}; 0 masks nothing."
            )
        if self.masked_patch < 1:
            raise InputError(f"pretrain.masked_patch must be at least 1 pixel, but got {self.masked_patch}.")
        if self.loss_on not in LOSS_ON:
            raise InputError(f"pretrain.loss_on must be one of {', '.join(LOSS_ON)}, but got {self.loss_on!r}.")
        if self.loss_on == "masked" and self.masked_share == 0:
            raise InputError(
                f"pretrain.loss_on masked needs pretrain.masked_share above 0, but got {self.masked_share}; raise it or set "
                "pretrain.loss_on to image."
            )


class DenoisingAutoencoder(Method):
    """The embedding of a corrupted view is decoded to the clean view; the loss is `reconstruction_error`.

    The expander is the last part of the encoder, and its output is the code that is decoded.
    """

    Settings = DenoisingAutoencoderSettings
    TERMS = {"reconstruction": Term(title="Reconstruction error", log_axis=True)}
    VIEWS = 1

    TITLE = "Denoising autoencoder"
    SOURCE = "Vincent et al. 2008 and 2010; arXiv 1604.07379; arXiv 2111.09886"
    FAMILY = "generative"
    PROBED = "Representations of whole, uncorrupted images are probed; the code that the decoder reads is judged."
    AUTHORS_VIEW_PASSES = "separate"

    noise_counter: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        first = self.backbone.conv1
        self.decoder = Decoder(
            dimension=self.embedding_dimension, channels=first.in_channels, width=decoder_width(first.out_channels)
        )
        self.register_buffer("noise_counter", torch.zeros((), dtype=torch.int64))
        self._reconstruct = self.reconstruct

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings (N, d_z) of images (N, C, H, H), and the images decoded from them."""
        _, embeddings = self(images)
        return embeddings, self.decoder(embeddings, images.shape[-1])

    def compile_networks(self) -> None:
        super().compile_networks()
        self._reconstruct = torch.compile(self.reconstruct, dynamic=False)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: DenoisingAutoencoderSettings = self.settings
        (view,) = views
        corrupted, masked = corrupt(
            view, self.noise_counter, noise_std=settings.noise_std,
            masked_share=settings.masked_share, masked_patch=settings.masked_patch,
        )  # fmt: skip
        z, reconstruction = self._reconstruct(corrupted)
        error = reconstruction_error(reconstruction, view, weights=masked if settings.loss_on == "masked" else None)
        return Loss(total=error, terms={"reconstruction": error.detach()}, embeddings=z)

    def after_step(self, *, progress: Tensor) -> None:
        self.noise_counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.decoder.reset_output(generator)
        self.noise_counter.fill_(counter_random.first_counter(generator))

    def coefficients(self) -> dict[str, float]:
        return {"reconstruction": 1.0}
