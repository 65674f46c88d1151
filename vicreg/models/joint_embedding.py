"""The networks that methods share: a backbone and an expander."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from vicreg.models.heads import build_expander
from vicreg.models.live_taps import shared_live_taps
from vicreg.models.resnet import ResNet, initialise
from vicreg.models.two_threads import can_encode, encode_side_by_side
from vicreg.models.view_batchnorm import counted_at_once, normalised_per_view

# How the two views of a training batch go through the network:
# separate  each in a forward pass of its own, as the authors do;
# together  both in one pass, BatchNorm still normalising each view by itself: the same to rounding, in fewer operations;
# joint     both in one pass and normalised together: statistics of twice as many samples, which is another experiment.
VIEW_PASSES = ("separate", "together", "joint")


class Encoded(NamedTuple):
    """Representations (N, d_y) and embeddings (N, d_z), float32."""

    representations: Tensor
    embeddings: Tensor


class JointEmbedding(nn.Module):
    """Backbone and expander: images (N, C, H, W) -> representations Y (N, d_y) and embeddings Z (N, d_z).

    The same weights encode both views (arXiv 2105.04906, Section 4.1). Without an expander Z is Y.
    """

    distributed = False  # whether this process trains it on a part of each batch; then embeddings are gathered

    def __init__(self, *, backbone: ResNet, expander: Sequence[int], batchnorm: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.expander = build_expander(backbone.dimension, expander, batchnorm=batchnorm)
        self.embedding_dimension = expander[-1] if len(expander) > 0 else backbone.dimension

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        representations = self.backbone(images)
        return representations, self.expander(representations)

    def encode(self, images: Tensor) -> Encoded:
        """Return representations and embeddings of normalised images (N, C, H, W), in the mode the module is in."""
        representations, embeddings = self(images.contiguous(memory_format=torch.channels_last))
        return Encoded(representations.float(), embeddings.float())

    def embed_views(self, view: Tensor, view_prime: Tensor, *, passes: str) -> tuple[Tensor, Tensor]:
        """Return the embeddings (N, d_z) of two views (N, C, H, W) of the same images; `passes` is of `VIEW_PASSES`."""
        assert passes in VIEW_PASSES, passes
        with nullcontext() if torch.compiler.is_compiling() else counted_at_once(self):
            networks = self.backbone, self.expander
            if passes == "separate" and not self.distributed and can_encode(networks, view, view_prime):
                return encode_side_by_side(networks, lambda view: self(view)[1], view, view_prime)
            if passes == "separate":
                with shared_live_taps(self):
                    return self(view)[1], self(view_prime)[1]
            with normalised_per_view(self, views=2 if passes == "together" else 1):
                _, embeddings = self(torch.cat((view, view_prime)))
        z, z_prime = embeddings.chunk(2)
        return z, z_prime


Network = TypeVar("Network", bound=JointEmbedding)


def build_model(
    *,
    architecture: str,
    stem: str,
    width: int,
    in_channels: int,
    expander: Sequence[int],
    batchnorm: bool,
    generator: torch.Generator,
    zero_init_residual: bool = False,
    make: Callable[..., Network] = JointEmbedding,  # type: ignore[assignment]
    **arguments: Any,
) -> Network:
    """Return a network on the CPU with weights drawn from `generator`; torch's global random state is left alone.

    Args:
        architecture, stem, width, in_channels: the backbone's, as `ResNet` takes them.
        expander: output sizes of the expander's linear layers.
        batchnorm: whether BatchNorm stands between these layers.
        generator: on the CPU.
        zero_init_residual: whether the last BatchNorm of each residual block starts with a weight of 0.
        make: the class of the network.
        arguments: what `make` takes beside a backbone and an expander.
    """
    with torch.device("meta"):
        backbone = ResNet(architecture=architecture, stem=stem, width=width, in_channels=in_channels)
        model = make(backbone=backbone, expander=expander, batchnorm=batchnorm, **arguments)
    model = model.to_empty(device="cpu")
    initialise(model, generator, zero_init_residual=zero_init_residual)
    return model
