"""What a run costs in operations, counted from shapes.

A count is the same on every machine where a time is not, so a search by cost takes the same steps everywhere.
"""

import functools

import torch
from torch.utils.flop_counter import FlopCounterMode

from vicreg.data.dataset import Dataset
from vicreg.methods import method_class
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.resnet import ResNet
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import steps_per_epoch, training_count, view_size

# A gradient takes two products for each of the forward pass: one by the weights, one by the inputs (arXiv 2001.08361,
# Section 2.1, and the usual rule of 6 operations a parameter and sample for both passes).
_FORWARD_AND_BACKWARD = 3


def training_operations(settings: PretrainSettings, dataset: Dataset) -> int:
    """Return the operations of the network's convolutions and linear layers in a whole run.

    A multiplication with its addition counts as 2. Each view of each image of each step counts as three forward passes.
    Left out is what is small beside these: drawing views, element-wise work, the loss and the optimiser. (VICReg's
    covariance takes about 2 d min(n, d) operations an image and view at batch size n.) So is what depends on how
    convolutions are computed, minimal filtering's savings, and all measuring after training. It holds for methods that
    encode whole views by backbone and common expander alone, as VICReg does; `method_cost.run_operations` is of every one.
    """
    return _operations_an_image(settings, dataset) * images_seen(settings, dataset)


def images_seen(settings: PretrainSettings, dataset: Dataset) -> int:
    """Return how many images a whole run sees, each as often as it does."""
    images, epochs = training_count(settings, dataset), settings.trained_epochs
    steps = epochs * steps_per_epoch(settings, images) if epochs else 0
    # A short last batch, where `drop_last` is false, counts as what it holds.
    return steps * settings.batch_size if settings.drop_last else min(steps * settings.batch_size, epochs * images)


def step_operations(settings: PretrainSettings, dataset: Dataset) -> int:
    """Return the operations of one training step on a full batch, as `training_operations` counts them."""
    return _operations_an_image(settings, dataset) * settings.batch_size


def _operations_an_image(settings: PretrainSettings, dataset: Dataset) -> int:
    images = dataset.train.images
    one = forward_operations(
        settings.backbone, settings.stem, settings.width, settings.expander, images.shape[1], view_size(settings, images)
    )
    return _FORWARD_AND_BACKWARD * method_class(settings.method).VIEWS * one


@functools.cache
def forward_operations(backbone: str, stem: str, width: int, expander: tuple[int, ...], channels: int, size: int) -> int:
    """Return the operations of one image's forward pass, counted on the `meta` device, where nothing is computed.

    Args:
        backbone, stem, width, expander: as in `PretrainSettings`.
        channels: of the image.
        size: side of the image, pixels.
    """
    with torch.device("meta"):
        network = ResNet(architecture=backbone, stem=stem, width=width, in_channels=channels)
        model = JointEmbedding(backbone=network, expander=expander).eval()
        image = torch.empty(1, channels, size, size)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
    return counter.get_total_flops()
