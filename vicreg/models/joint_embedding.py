"""The network VICReg trains: a backbone that gives representations, an expander that gives embeddings."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vicreg.errors import InputError
from vicreg.models.live_taps import shared_live_taps
from vicreg.models.resnet import ResNet, initialise
from vicreg.models.view_batchnorm import ViewBatchNorm1d, normalised_per_view

# How the two views of a training batch go through the network:
# separate  each in a forward pass of its own, as the authors do;
# together  both in one pass, BatchNorm still normalising each view by itself: the same to rounding, in fewer operations;
# joint     both in one pass and normalised together: statistics of twice as many samples, which is another experiment.
VIEW_PASSES = ("separate", "together", "joint")


class VICRegModel(nn.Module):
    """Backbone and expander: images (N, C, H, W) -> representations Y (N, d_y) and embeddings Z (N, d_z).

    The same weights encode both views (arXiv 2105.04906, Section 4.1). Without an expander Z is Y.
    """

    def __init__(self, *, backbone: ResNet, expander: Sequence[int], batchnorm: bool = True) -> None:
        super().__init__()
        self.backbone = backbone
        self.expander = build_expander(backbone.dimension, expander, batchnorm=batchnorm)
        self.embedding_dimension = expander[-1] if len(expander) > 0 else backbone.dimension

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        representations = self.backbone(images)
        return representations, self.expander(representations)

    def embed_views(self, view: Tensor, view_prime: Tensor, *, passes: str) -> tuple[Tensor, Tensor]:
        """The embeddings (N, d_z) of two views (N, C, H, W) of the same images; `passes` is one of `VIEW_PASSES`."""
        if passes == "separate":
            with shared_live_taps(self):
                return self(view)[1], self(view_prime)[1]
        assert passes in VIEW_PASSES, passes
        with normalised_per_view(self, views=2 if passes == "together" else 1):
            _, embeddings = self(torch.cat((view, view_prime)))
        z, z_prime = embeddings.chunk(2)
        return z, z_prime


def build_expander(dimension: int, sizes: Sequence[int], *, batchnorm: bool = True) -> nn.Sequential:
    """Linear, BatchNorm, ReLU for every size but the last, then Linear without bias (as the authors' `Projector`).

    Args:
        dimension: of the representations it reads.
        sizes: output sizes of its linear layers: three times 8192 in the original paper, three times 2048 in the source
            paper; `[]` gives no expander, `[n]` a linear one.
        batchnorm: whether BatchNorm stands between the layers.

    Raises:
        InputError: if a size is not at least 1.
    """
    if any(size < 1 for size in sizes):
        raise InputError(f"expander sizes must be at least 1, but got {list(sizes)}.")
    layers: list[nn.Module] = []
    for size in sizes[:-1]:
        layers.append(nn.Linear(dimension, size))
        if batchnorm:
            layers.append(ViewBatchNorm1d(size))
        layers.append(nn.ReLU(inplace=True))
        dimension = size
    if sizes:
        layers.append(nn.Linear(dimension, sizes[-1], bias=False))
    return nn.Sequential(*layers)


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
) -> VICRegModel:
    """A model on the CPU with weights drawn from `generator`; building it draws nothing from torch's global state."""
    with torch.device("meta"):
        backbone = ResNet(architecture=architecture, stem=stem, width=width, in_channels=in_channels)
        model = VICRegModel(backbone=backbone, expander=expander, batchnorm=batchnorm)
    model = model.to_empty(device="cpu")
    initialise(model, generator, zero_init_residual=zero_init_residual)
    return model
