"""The source paper's linear evaluation: a linear layer on a frozen encoder, images augmented anew each epoch."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.augmentation import crop_and_flip
from vicreg.datasets import Dataset
from vicreg.encoding import encode_views
from vicreg.errors import InputError
from vicreg.model import VICRegModel
from vicreg.probes import LinearClassifier
from vicreg.randomness import make_generator
from vicreg.schedules import learning_rate
from vicreg.views import ViewSettings


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """The protocol's settings: SGD at 0.01 with a cosine to zero over 100 epochs in the source paper.

    Raises:
        InputError: for a value outside its range.
    """

    epochs: int
    lr: float
    batch_size: int
    momentum: float
    weight_decay: float
    crop_scale: tuple[float, float]
    flip: float

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"evaluate.linear.{name} must be at least 1, but got {getattr(self, name)}.")
        for name in ("lr", "momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"evaluate.linear.{name} must be at least 0, but got {getattr(self, name)}.")
        ViewSettings(crop_scale=self.crop_scale, flip=self.flip)  # says now what it would say after pretraining


def fit_linear(
    model: VICRegModel, dataset: Dataset, *, settings: LinearSettings, size: int, seed: int, device: torch.device
) -> LinearClassifier:
    """Trains the linear layer on `dataset.train`; the encoder stays frozen in eval mode.

    The layer after the last epoch is returned: no epoch is chosen, so neither validation nor test is looked at.
    """
    images, labels = dataset.train.images.to(device), dataset.train.labels.to(device)
    # Without torch's own initialisation, which would draw from its global state.
    layer = nn.utils.skip_init(nn.Linear, model.backbone.dimension, len(dataset.classes), device=device)
    nn.init.normal_(layer.weight, std=0.01, generator=make_generator(seed, "linear", device=device))
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(
        layer.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    steps = -(-len(images) // settings.batch_size)
    model.eval()
    for epoch in range(settings.epochs):
        order = torch.randperm(len(images), generator=make_generator(seed, "linear-order", epoch)).to(device)
        generator = make_generator(seed, "linear-views", epoch, device=device)
        for step, indices in enumerate(order.split(settings.batch_size)):
            features = _augmented_features(model, images[indices], dataset, settings, size, generator)
            loss = functional.cross_entropy(layer(features), labels[indices])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(
                    epoch * steps + step, steps_per_epoch=steps, epochs=settings.epochs, warmup_epochs=0,
                    peak_lr=settings.lr, start_lr=settings.lr, end_lr=0.0,
                )  # fmt: skip
            optimizer.step()
    weight, bias = layer.weight.detach(), layer.bias.detach()
    return LinearClassifier(
        weight=weight, bias=bias, shift=torch.zeros(weight.shape[1], device=device), scale=torch.ones((), device=device)
    )


@torch.no_grad()
def _augmented_features(
    model: VICRegModel,
    images: Tensor,
    dataset: Dataset,
    settings: LinearSettings,
    size: int,
    generator: torch.Generator,
) -> Tensor:
    views = crop_and_flip(
        images,
        crop_scale=settings.crop_scale,
        flip=settings.flip,
        size=size,
        mean=dataset.mean,
        std=dataset.std,
        generator=generator,
    )
    return encode_views(model, views).representations
