"""Features of images: one pass through a frozen model, in eval mode, without augmentation."""

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.models.joint_embedding import Encoded, JointEmbedding
from vicreg.views.pipeline import plain_view

# A rank is measured on at most this many held-out images: enough to show ranks up to 2048, the source paper's embedding
# dimension, and the eigenvalues of a 2048 x 2048 matrix in float64 still take only seconds.
HELD_OUT_IMAGES = 2048


def held_out(dataset: Dataset) -> Tensor:
    """The fixed images that collapse is measured on: the validation split, or its first `HELD_OUT_IMAGES` images, evenly
    spread over it; (N, C, H, W) uint8."""
    images = dataset.validation.images
    if len(images) <= HELD_OUT_IMAGES:
        return images
    return images[evenly_spread(len(images), HELD_OUT_IMAGES)]


def evenly_spread(count: int, most: int) -> Tensor:
    """At most `most` of `count` indices, evenly spread over them and ascending."""
    return torch.linspace(0, count - 1, most).long() if count > most else torch.arange(count)


@torch.no_grad()
def encode(
    model: JointEmbedding,
    images: Tensor,
    *,
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch_size: int,
) -> Encoded:
    """Encodes uint8 images (N, C, H, W), batch by batch; the model's mode is put back afterwards."""
    training = model.training
    model.eval()
    encoded = [
        encode_views(model, plain_view(batch, size=size, mean=mean, std=std)) for batch in images.split(batch_size)
    ]
    model.train(training)
    return Encoded(
        torch.cat([one.representations for one in encoded]), torch.cat([one.embeddings for one in encoded])
    )


def encode_views(model: JointEmbedding, views: Tensor) -> Encoded:
    """Encodes float views (N, C, size, size) that are already normalised, in the model's present mode."""
    return model.encode(views)
