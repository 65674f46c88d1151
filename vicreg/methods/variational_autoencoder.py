"""Variational autoencoder (arXiv 1312.6114), with the beta of beta-VAE (Higgins et al. 2017, ICLR).

Its known collapse is that of the posterior: where the divergence outweighs what a latent dimension adds to the
reconstruction, that dimension's posterior becomes the prior, and its mean no longer depends on the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vicreg.errors import InputError
from vicreg.methods import counter_random
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision, require_one_shape
from vicreg.models.decoder import Decoder, decoder_width

# The logarithm of a posterior's variance is clamped to +-20, as latent diffusion's code does from above (github.com/CompVis/
# latent-diffusion, distributions.py): exp(20) is 5e8, and sums of it are finite in float32.
_LOG_VARIANCE = 20.0


class ELBO(NamedTuple):
    """The total and the two unweighted terms of `vae_loss`, scalars, in nats for each pixel and channel."""

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the divergence (N,) of Gaussians with means and log-variances (N, d) from the standard normal, in nats.

    KL = -1/2 sum_j (1 + log sigma_j^2 - mu_j^2 - sigma_j^2)

    Source: arXiv 1312.6114, Appendix B.
    """
    mean, log_variance = at_least_float32(mean), at_least_float32(log_variance)
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def sample_posterior(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return mu + sigma * noise, all (N, d): a sample with gradients to both (arXiv 1312.6114, Section 2.4)."""
    return mean + (0.5 * log_variance).exp() * noise


def vae_loss(reconstruction: Tensor, images: Tensor, mean: Tensor, log_variance: Tensor, *, beta: float) -> ELBO:
    """Return the negative evidence lower bound of images (N, C, H, W), with its terms.

    total = (1 / N) sum_n [1/2 ||x_n - x'_n||^2 + beta * KL_n] / (C H W)

    The decoder's likelihood is Gaussian with variance 1 in normalised pixels; its constant is left out. The papers do not
    divide by the C H W values of an image. It changes no minimum and keeps the size of gradients apart from that of images.
    Without it, biases that LARS does not adapt would take steps thousands of times as long.

    Args:
        reconstruction, images: x' and x, of one shape.
        mean, log_variance: of the posteriors, (N, d) each.
        beta: 1 for the bound itself; above 1 the posterior is held closer to the prior.

    Raises:
        InputError: for two shapes of images or of posteriors.

    Source: arXiv 1312.6114, Eq. 10; beta from Higgins et al. 2017 and arXiv 1804.03599.
    """
    if reconstruction.shape != images.shape:
        raise InputError(
            f"a reconstruction must have the shape of its images, but got {tuple(reconstruction.shape)} and "
            f"{tuple(images.shape)}; decode at their size."
        )
    require_one_shape(mean, log_variance)
    with full_precision(images):
        error = 0.5 * (at_least_float32(reconstruction) - at_least_float32(images)).square().mean()
        kl = kl_divergence(mean, log_variance).mean() / images[0].numel()
        total = error + beta * kl if beta else error
    return ELBO(total=total, reconstruction=error.detach(), kl=kl.detach())


@dataclass(frozen=True, kw_only=True)
class VariationalAutoencoderSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.variational_autoencoder`. Raises InputError for a value that no run can have."""

    beta: float = field(metadata={"symbol": "β"})

    def __post_init__(self) -> None:
        if not 0 <= self.beta < math.inf:
            raise InputError(f"pretrain.beta must be a finite number of at least 0, but got {self.beta}; 1 is the VAE's.")


class VariationalAutoencoder(Method):
    """Backbone and expander give a Gaussian posterior of each view; a sample of it is decoded to the view.

    The expander's output is the posterior's mean, and so the embedding. A second linear layer beside the expander's last one
    gives the log-variances (arXiv 1312.6114, Appendix C.2).

    It has no `target_std`. The prior's std, 1, is that of samples of all images' posteriors together, not of their means,
    which are judged. Where the bound is best some latent dimensions are pruned: their means do not vary, and the mean std is
    small without a collapse.

    Raises:
        InputError: without an expander.
    """

    Settings = VariationalAutoencoderSettings
    TERMS = {
        "reconstruction": Term(title="Reconstruction term", log_axis=True, unit="nats a pixel value"),
        "kl": Term(title="KL divergence from the prior", log_axis=True, unit="nats a pixel value"),
    }
    VIEWS = 1

    TITLE = "Variational autoencoder"
    SOURCE = "arXiv 1312.6114; Higgins et al. 2017; arXiv 1804.03599"
    FAMILY = "generative"
    PROBED = "Representations of the trained backbone are probed; the posterior's mean, the expander's output, is judged."
    AUTHORS_VIEW_PASSES = "separate"

    noise_counter: Tensor

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        if len(self.expander) == 0:
            raise InputError(
                "pretrain.expander must have at least one layer for variational_autoencoder, but got []; its last layer "
                "gives the posterior's mean, and a backbone's own output is never negative."
            )
        last, first = self.expander[-1], self.backbone.conv1
        assert isinstance(last, nn.Linear)
        self.log_variance = nn.Linear(last.in_features, last.out_features)
        self.decoder = Decoder(
            dimension=self.embedding_dimension, channels=first.in_channels, width=decoder_width(first.out_channels)
        )
        self.register_buffer("noise_counter", torch.zeros((), dtype=torch.int64))
        self._reconstruct = self.reconstruct

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (N, d_z) of the posteriors of images (N, C, H, H), in float32 at least."""
        hidden = self.expander[:-1](self.backbone(images))  # (N, width of the expander's last hidden layer)
        mean, log_variance = self.expander[-1](hidden), self.log_variance(hidden)
        return at_least_float32(mean), at_least_float32(log_variance).clamp(-_LOG_VARIANCE, _LOG_VARIANCE)

    def reconstruct(self, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, log-variance (N, d_z) and a decoded sample (N, C, H, H) of images, at standard normal `noise`."""
        mean, log_variance = self.posterior(images)
        return mean, log_variance, self.decoder(sample_posterior(mean, log_variance, noise), images.shape[-1])

    def compile_networks(self) -> None:
        super().compile_networks()
        self._reconstruct = torch.compile(self.reconstruct, dynamic=False)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: VariationalAutoencoderSettings = self.settings
        (view,) = views
        noise = counter_random.normal(self.noise_counter, (len(view), self.embedding_dimension))
        mean, log_variance, reconstruction = self._reconstruct(view, noise)
        terms = vae_loss(reconstruction, view, mean, log_variance, beta=settings.beta)
        return Loss(total=terms.total, terms={"reconstruction": terms.reconstruction, "kl": terms.kl}, embeddings=mean)

    def after_step(self, *, progress: Tensor) -> None:
        self.noise_counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.decoder.reset_output(generator)
        self.noise_counter.fill_(counter_random.first_counter(generator))

    def coefficients(self) -> dict[str, float]:
        settings: VariationalAutoencoderSettings = self.settings
        return {"reconstruction": 1.0, "kl": settings.beta}
