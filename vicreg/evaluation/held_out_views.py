"""Measure collapse on held-out images and on views of them."""

from typing import Any

import torch
from torch import Tensor

from vicreg.data.dataset import Dataset
from vicreg.evaluation.settings import EvaluateSettings
from vicreg.metrics.collapse import collapse_metrics
from vicreg.metrics.features import Encoded, encode, encode_views, evenly_spread, held_out
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.randomness import make_generator
from vicreg.views.pipeline import two_views
from vicreg.views.settings import ViewSettings

# LiDAR's n images and q views of each. The source takes n = 1,000 and q = 50, fifty thousand views; these are as many as a
# probe encodes, some thousand. LiDAR is at most n - 1, above the widths that it tells apart here.
LIDAR_IMAGES, LIDAR_VIEWS = 512, 10
_DRAWN = 512  # images whose views are drawn at a time, however many are encoded at a time: it decides which views are drawn


def measure_collapse(
    model: JointEmbedding,
    dataset: Dataset,
    pair: tuple[Encoded, Encoded],
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    size: int,
    device: torch.device,
) -> dict[str, dict[str, Any]]:
    """Return the collapse metrics of representations and embeddings on the held-out images, in eval mode.

    Alignment and view discrepancy are of augmented images, because they compare two views: the `pair` of
    `encode_held_out_views`. LiDAR is of `LIDAR_VIEWS` views of up to `LIDAR_IMAGES` images. All others are of plain images.
    """
    classes = encode_surrogate_classes(model, dataset, settings=settings, views=views, size=size, device=device)
    plain = encode(
        model, held_out(dataset).to(device), size=size, mean=dataset.mean, std=dataset.std, batch_size=settings.batch_size
    )
    return {
        space: collapse_metrics(
            getattr(plain, space), views=tuple(getattr(view, space) for view in pair), classes=getattr(classes, space)
        )
        for space in ("representations", "embeddings")
    }


@torch.no_grad()
def encode_held_out_views(
    model: JointEmbedding,
    dataset: Dataset,
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    size: int,
    device: torch.device,
) -> tuple[Encoded, Encoded]:
    """Return the features of two views of the held-out images in eval mode; the views are the same for all runs."""
    generator = make_generator(0, "held-out-views")
    images = held_out(dataset).to(device)
    return _encode_pair(model, images, dataset, settings=settings, views=views, size=size, generator=generator)


@torch.no_grad()
def encode_surrogate_classes(
    model: JointEmbedding,
    dataset: Dataset,
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    size: int,
    device: torch.device,
) -> Encoded:
    """Return the features (n, q, d) of q = `LIDAR_VIEWS` views of n held-out images in eval mode; the same for all runs.

    n is `LIDAR_IMAGES`, or all held-out images where there are fewer. Half of the views are of either view's settings.
    """
    generator = make_generator(0, "surrogate-classes")
    images = held_out(dataset)
    images = images[evenly_spread(len(images), LIDAR_IMAGES)].to(device)
    encoded = [
        view
        for _ in range(LIDAR_VIEWS // 2)
        for view in _encode_pair(model, images, dataset, settings=settings, views=views, size=size, generator=generator)
    ]
    return Encoded(*(torch.stack(parts, dim=1) for parts in zip(*encoded, strict=True)))


def _encode_pair(
    model: JointEmbedding,
    images: Tensor,
    dataset: Dataset,
    *,
    settings: EvaluateSettings,
    views: tuple[ViewSettings, ViewSettings],
    size: int,
    generator: torch.Generator,
) -> tuple[Encoded, Encoded]:
    """Return the features of two views of uint8 images (N, C, H, W), drawn from the generator."""
    model.eval()
    pairs = []
    for drawn in images.split(_DRAWN):
        pair = two_views(drawn, settings=views, size=size, mean=dataset.mean, std=dataset.std, generator=generator)
        parts = zip(*(view.split(settings.batch_size) for view in pair), strict=True)
        pairs += [[encode_views(model, view) for view in part] for part in parts]
    first, second = (Encoded(*(torch.cat(parts) for parts in zip(*view, strict=True))) for view in zip(*pairs, strict=True))
    return first, second
