"""Networks trained on images as they are and on coded ones, their probes, and how far their features move."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from study.config.config import Config
from study.runs.weights import fitting_weights
from vicreg.data.dataset import Dataset
from vicreg.evaluation.linear_probe import LinearClassifier, choose_linear_cached
from vicreg.methods.base import Method
from vicreg.metrics.cka import linear_cka
from vicreg.metrics.features import HELD_OUT_IMAGES, encode, evenly_spread
from vicreg.metrics.knn import knn_scores
from vicreg.training.loop import pretrain
from vicreg.training.setup import view_size

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A trained network with probes fitted on features of the data set that it was trained on."""

    model: Method
    dataset: Dataset
    config: Config
    bank: Tensor  # (N, d) of the training images
    linear: LinearClassifier

    def features(self, images: Tensor) -> Tensor:
        """Return the representations (N, d) of images (N, C, H, W) uint8, normalised as the training images are."""
        return _features(self.model, self.dataset, self.config, images)

    def predictions(self, features: Tensor) -> dict[str, Tensor]:
        """Return the classes (N,) that each probe gives to features (N, d): the cached linear one and the first k-NN."""
        k, temperature = self.config.evaluate.knn[0], self.config.evaluate.knn_temperature
        votes = knn_scores(
            self.bank, self.dataset.train.labels, features,
            classes=len(self.dataset.classes), k=k, temperature=temperature,
        )  # fmt: skip
        return {"linear_cached": self.linear(features).argmax(dim=1), f"knn_{k}": votes.argmax(dim=1)}


def train(config: Config, dataset: Dataset, *, seed: int) -> Network:
    """Return a network pretrained by the harness's own loop on the CPU, and its probes.

    The linear probe's weight decay is chosen on validation. With `pretrain.epochs` 0 the network is as the seed draws it,
    or that of `pretrain.weights`.

    Raises:
        InputError: for weights that cannot be read, or are of another network than the settings name.
    """
    config = config.with_settings({"pretrain.seed": seed})
    encoder = fitting_weights(config.pretrain, dataset)
    start = None if encoder is None else encoder.tensors
    with TemporaryDirectory() as folder:
        model = pretrain(
            config.pretrain, dataset, device=CPU, folder=Path(folder), identity="jpeg", start=start
        ).model  # fmt: skip
    bank, validation = (_features(model, dataset, config, part.images) for part in (dataset.train, dataset.validation))
    linear, _ = choose_linear_cached(
        (bank, dataset.train.labels), (validation, dataset.validation.labels),
        classes=len(dataset.classes), weight_decays=config.evaluate.linear_cached_weight_decay,
    )  # fmt: skip
    return Network(model=model, dataset=dataset, config=config, bank=bank, linear=linear)


def _features(model: Method, dataset: Dataset, config: Config, images: Tensor) -> Tensor:
    return encode(
        model, images, size=view_size(config.pretrain, images), mean=dataset.mean, std=dataset.std,
        batch_size=config.evaluate.batch_size,
    ).representations  # fmt: skip


def movement(features: Tensor, moved: Tensor) -> dict[str, float]:
    """Return how far features (N, d) of the same images lie from where they lay before.

    Both are taken about the mean of the features before. `cosine` is the mean over images of the cosine between an image's
    two features. `distance` is sqrt(sum |g - f|^2 / sum |f|^2): 0 where nothing moved, and sqrt(2) on average between
    features of two images that have nothing in common. `cka` is the debiased linear CKA, of at most 2,048 images.
    """
    centre = features.double().mean(dim=0)
    before, after = features.double() - centre, moved.double() - centre
    some = evenly_spread(len(features), HELD_OUT_IMAGES)
    return {
        "cosine": float(torch.cosine_similarity(before, after, dim=1).mean()),
        "distance": float(((after - before).square().sum() / before.square().sum()).sqrt()),
        "cka": linear_cka(features[some], moved[some]),
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What one seed gave: which test images (N,) were answered right, by probe and by cell.

    A cell is `trained on/tested on`, each `plain` or `coded`. `movements` has how far the features of coded test images lie
    from those of the plain ones, by what the network was trained on.
    """

    correct: Mapping[str, Mapping[str, Tensor]]
    movements: Mapping[str, Mapping[str, float]]


def compare(networks: Mapping[str, Network], tests: Mapping[str, Tensor], labels: Tensor) -> Run:
    """Return what each network makes of the same test images, plain and coded.

    Args:
        networks: by what they were trained on, `plain` and `coded` or one of them.
        tests: images (N, C, H, W) uint8, `plain` and `coded`, in the same order.
        labels: (N,) of them.
    """
    correct: dict[str, dict[str, Tensor]] = {}
    movements = {}
    for trained_on, network in networks.items():
        features = {tested_on: network.features(images) for tested_on, images in tests.items()}
        for tested_on, one in features.items():
            for probe, classes in network.predictions(one).items():
                correct.setdefault(probe, {})[f"{trained_on}/{tested_on}"] = classes == labels
        movements[trained_on] = movement(features["plain"], features["coded"])
    return Run(correct=correct, movements=movements)
