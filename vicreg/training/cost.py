"""What a run costs, counted and not timed: a search by cost then takes the same path on every machine."""

import functools

import torch
from torch.utils.flop_counter import FlopCounterMode

from vicreg.data.dataset import Dataset
from vicreg.methods import method_class
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.resnet import ResNet
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import steps_per_epoch, view_size

# A gradient takes two products for each of the forward pass: one by the weights, one by the inputs (arXiv 2001.08361,
# Section 2.1, and the usual rule of 6 operations a parameter and sample for both passes).
_FORWARD_AND_BACKWARD = 3


def training_operations(settings: PretrainSettings, dataset: Dataset) -> int:
    """Operations (a multiplication with its addition counts as 2) of the network's convolutions and linear layers over a
    whole run: three forward passes for each view of each image of each step.

    It leaves out what is small beside these or depends on how they are computed: drawing the views, BatchNorm and other
    element-wise work, the loss (its covariance takes about 2 d min(n, d) operations an image and view at batch size n),
    the optimiser, minimal filtering's savings, and all measuring after training.
    """
    images = dataset.train.images
    epochs = settings.trained_epochs
    steps = epochs * steps_per_epoch(settings, len(images)) if epochs else 0
    # A short last batch, where `drop_last` is false, counts as what it holds.
    seen = steps * settings.batch_size if settings.drop_last else min(steps * settings.batch_size, epochs * len(images))
    one = forward_operations(
        settings.backbone, settings.stem, settings.width, settings.expander, images.shape[1], view_size(settings, images)
    )
    return _FORWARD_AND_BACKWARD * method_class(settings.method).VIEWS * one * seen


@functools.cache
def forward_operations(backbone: str, stem: str, width: int, expander: tuple[int, ...], channels: int, size: int) -> int:
    """Operations of one image's forward pass, from the shapes alone: nothing is computed on the `meta` device."""
    with torch.device("meta"):
        network = ResNet(architecture=backbone, stem=stem, width=width, in_channels=channels)
        model = JointEmbedding(backbone=network, expander=expander).eval()
        image = torch.empty(1, channels, size, size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
    return counter.get_total_flops()
