"""The source paper's linear evaluation: a linear layer on a frozen encoder.

Images are augmented anew in each epoch. The encoder is in eval mode, so the features of an image do not depend on other
images. Therefore many batches are encoded at once, and several learning rates are trained on the same features.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.linear_probe import LinearClassifier
from vicreg.metrics.features import encoded_at_once, represent_views
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.optim.learning_rate import learning_rate
from vicreg.randomness import make_generator
from vicreg.training.memory import images_of, place
from vicreg.views.pipeline import crop_and_flip
from vicreg.views.settings import ViewSettings
from vicreg.views.transfer import send

# The largest learning rate of the protocol's SGD: contrastive codebases use up to 100 on small features.
HIGHEST_LR = 1e4


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """Settings of the protocol; the source paper has SGD at 0.01 with a cosine to zero over 100 epochs.

    Of several learning rates in `lr` the one with the best validation accuracy is reported.

    Raises:
        InputError: for a value outside its range.
    """

    epochs: int
    lr: tuple[float, ...]
    batch_size: int
    momentum: float
    weight_decay: float
    crop_scale: tuple[float, float]
    flip: float

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"evaluate.linear.{name} must be at least 1, but got {getattr(self, name)}.")
        if not self.lr or len(set(self.lr)) < len(self.lr) or not all(0 <= lr <= HIGHEST_LR for lr in self.lr):
            raise InputError(
                f"evaluate.linear.lr must list different numbers from 0 to {HIGHEST_LR:g}, but got {list(self.lr)}."
            )
        if not 0 <= self.momentum < 1:
            raise InputError(f"evaluate.linear.momentum must be at least 0 and below 1, but got {self.momentum}.")
        if not 0 <= self.weight_decay <= 1:
            raise InputError(f"evaluate.linear.weight_decay must be from 0 to 1, but got {self.weight_decay}.")
        ViewSettings(crop_scale=self.crop_scale, flip=self.flip)  # raises now rather than after pretraining


class LinearLayers(NamedTuple):
    """Linear layers by learning rate: those fitted on the train split, and those that are reported on test.

    The two are the same, unless what is reported is fitted on train and validation together.
    """

    on_train: dict[float, LinearClassifier]
    reported: dict[float, LinearClassifier]


@torch.no_grad()
def fit_linear(
    model: JointEmbedding,
    dataset: Dataset,
    *,
    settings: LinearSettings,
    size: int,
    seed: int,
    device: torch.device,
    on_all: bool = False,
    on_epoch: Callable[[LinearLayers], None] = lambda layers: None,
) -> LinearLayers:
    """Train a linear layer on `dataset.train` for each learning rate; return the layers after the last epoch by it.

    Neither validation nor test is used, since no epoch is chosen. Loss and updates are torch's `cross_entropy` and
    `optim.SGD` with momentum, with the gradient in closed form. All L layers start from the same weights and take their
    steps together.

    With `on_all` the epochs are of train and validation together, and there are as many layers again, for images are
    encoded once. The first see all images of a batch, and are those that are reported. The others see its train images
    alone, so that a learning rate can be chosen on validation.

    Args:
        size: side of an image in pixels.
        seed: of the first weights, the order of images and their augmentation.
        on_all: whether what is reported is fitted on train and validation.
        on_epoch: is called with the layers after each epoch.
    """
    splits = [dataset.train, dataset.validation] if on_all else [dataset.train]
    images = place(torch.cat([split.images for split in splits]) if on_all else dataset.train.images, device)
    labels = torch.cat([split.labels for split in splits]).to(device)
    rates = torch.tensor(settings.lr, device=device)[:, None, None]  # (L, 1, 1)
    shape = (len(dataset.classes), model.backbone.dimension)
    start = torch.empty(shape).normal_(std=0.01, generator=make_generator(seed, "linear")).to(device)
    # The bias is the last column, the weight of a feature that is always 1.
    weight = functional.pad(start, (0, 1)).repeat(len(splits), len(settings.lr), 1, 1)  # (1 or 2, L, C, d + 1)
    momentum = torch.zeros_like(weight)
    steps = -(-len(images) // settings.batch_size)
    model.eval()
    for epoch in range(settings.epochs):
        batches = epoch_of_features(model, dataset, images, settings, size=size, seed=seed, epoch=epoch, device=device)
        for step, (features, indices) in enumerate(batches):
            share = learning_rate(
                epoch * steps + step, steps_per_epoch=steps, epochs=settings.epochs, warmup_epochs=0,
                peak_lr=1.0, start_lr=1.0, end_lr=0.0,
            )  # fmt: skip
            gradient = torch.stack([
                cross_entropy_gradient(own, features, labels[indices], among=among)
                for own, among in zip(weight, (None, indices < len(dataset.train.labels)))
            ]).add_(weight, alpha=settings.weight_decay)  # fmt: skip
            momentum.mul_(settings.momentum).add_(gradient)
            weight -= rates * share * momentum
        on_epoch(LinearLayers(on_train=_layers(settings.lr, weight[-1]), reported=_layers(settings.lr, weight[0])))
    return LinearLayers(on_train=_layers(settings.lr, weight[-1]), reported=_layers(settings.lr, weight[0]))


def _layers(rates: tuple[float, ...], weight: Tensor) -> dict[float, LinearClassifier]:
    """Return the layers of weights (L, C, d + 1), with the bias in the last column, by learning rate."""
    nothing, one = torch.zeros(weight.shape[2] - 1, device=weight.device), torch.ones((), device=weight.device)
    return {
        lr: LinearClassifier(weight=layer[:, :-1].clone(), bias=layer[:, -1].clone(), shift=nothing, scale=one)
        for lr, layer in zip(rates, weight, strict=True)
    }


def cross_entropy_gradient(weight: Tensor, features: Tensor, labels: Tensor, *, among: Tensor | None = None) -> Tensor:
    """Return the gradient (L, C, d) of the mean cross-entropy of L linear layers (L, C, d).

    On features X (n, d) with labels (n,) it is (softmax(X W^T) - one-hot labels)^T X / n. Where `among` (n,) is given, it is
    that of the images for which it is true, and 0 where it is true for none.
    """
    error = (features @ weight.mT).softmax(dim=2)  # (L, n, C)
    error[:, torch.arange(len(labels), device=labels.device), labels] -= 1.0
    if among is None:
        return error.mT @ features / len(labels)
    return (error * among[:, None]).mT @ features / among.sum().clamp(min=1)


def epoch_of_features(
    model: JointEmbedding,
    dataset: Dataset,
    images: Tensor,
    settings: LinearSettings,
    *,
    size: int,
    seed: int,
    epoch: int,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch: features (n, d + 1), of which the last is 1, and the indices (n,) of their images."""
    order = torch.randperm(len(images), generator=make_generator(seed, "linear-order", epoch))
    generator = make_generator(seed, "linear-views", epoch)
    at_once = encoded_at_once(device, channels=images.shape[1], size=size)
    for many in order.split(settings.batch_size * max(1, at_once // settings.batch_size)):
        on_host, (many,) = many, send([many], device)
        views = crop_and_flip(
            images_of(images, on_host, many),
            crop_scale=settings.crop_scale, flip=settings.flip, size=size,
            mean=dataset.mean, std=dataset.std, generator=generator,
        )  # fmt: skip
        features = functional.pad(represent_views(model, views), (0, 1), value=1.0)
        yield from zip(features.split(settings.batch_size), many.split(settings.batch_size), strict=True)
