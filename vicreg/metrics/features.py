"""Encode images by a frozen model, in eval mode and without augmentation."""

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.models.joint_embedding import Encoded, JointEmbedding
from vicreg.views.pipeline import plain_view

# Collapse is measured on at most this many held-out images. They show ranks up to 2048, the embedding dimension of the
# source paper, and the eigenvalues of a 2048 x 2048 matrix in float64 take only seconds.
HELD_OUT_IMAGES = 2048
# Images that are encoded at a time where no setting says so. On two cores larger batches are encoded no faster. A GPU waits
# for the launches of each batch: there it is as many as this many bytes of views hold, 8,192 of 3 x 32 x 32.
_ENCODED_AT_ONCE, _BYTES_ON_A_GPU = 512, 8192 * 4 * 3 * 32**2


def held_out(dataset: Dataset) -> Tensor:
    """Return the fixed images that collapse is measured on, uint8 (N, C, H, W).

    They are the validation split, or `HELD_OUT_IMAGES` images evenly spread over a larger one.

    Raises:
        InputError: for fewer than two, of which no variance can be told.
    """
    images = dataset.validation.images
    if len(images) < 2:
        raise InputError(
            f"collapse is measured on at least 2 held-out images, but {dataset.name} has {len(images)}; raise "
            "prepare.validation or add images."
        )
    if len(images) <= HELD_OUT_IMAGES:
        return images
    return images[evenly_spread(len(images), HELD_OUT_IMAGES)]


def evenly_spread(count: int, most: int) -> Tensor:
    """Return at most `most` of `count` indices, ascending and evenly spread."""
    return torch.linspace(0, count - 1, most).long() if count > most else torch.arange(count)


def encoded_at_once(device: torch.device, *, channels: int, size: int) -> int:
    """Return of how many images a device computes features at a time, for views (C, size, size) of `channels` channels."""
    if device.type != "cuda":
        return _ENCODED_AT_ONCE
    return max(1, _BYTES_ON_A_GPU // (4 * channels * size**2))


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
    """Return the features of uint8 images (N, C, H, W), computed batch by batch in eval mode.

    `size` is the side in pixels that images are resized to; `mean` and `std` are one number a channel on [0, 1]. The
    model's mode is restored afterwards.
    """
    training = model.training
    model.eval()
    encoded = [encode_views(model, plain_view(batch, size=size, mean=mean, std=std)) for batch in images.split(batch_size)]
    model.train(training)
    return Encoded(torch.cat([one.representations for one in encoded]), torch.cat([one.embeddings for one in encoded]))


def encode_views(model: JointEmbedding, views: Tensor) -> Encoded:
    """Return the features of normalised float views (N, C, size, size), in the model's present mode."""
    return model.encode(views)


@torch.no_grad()
def represent(
    model: JointEmbedding,
    images: Tensor,
    *,
    size: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch_size: int,
) -> Tensor:
    """Return the representations that `encode` returns (N, d_y), bit for bit, without the embeddings that follow them."""
    training = model.training
    model.eval()
    parts = [represent_views(model, plain_view(some, size=size, mean=mean, std=std)) for some in images.split(batch_size)]
    model.train(training)
    return torch.cat(parts)


def represent_views(model: JointEmbedding, views: Tensor) -> Tensor:
    """Return the representations (N, d_y) of normalised float views (N, C, size, size), in the model's present mode.

    The expander is left out where the backbone makes them: of a ResNet-34 with one of 3 x 2048 at 32 x 32 pixels, one thread
    computes 1,050 a second, and 860 with embeddings (AVX2).
    """
    if type(model).forward is not JointEmbedding.forward:
        return encode_views(model, views).representations
    representations: Tensor = model.backbone(views.contiguous(memory_format=torch.channels_last))
    return representations.float()
