"""The three parts of the benchmark, each from its images to what coding changed."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from benchmarks.jpeg.coding import Coded, code_at, code_images, psnr
from benchmarks.jpeg.differences import summary
from benchmarks.jpeg.images import (
    CopiedImages,
    Copy,
    all_images,
    find_files_of,
    fold_of,
    read_copy,
    read_lossless,
    whole_of,
    with_images,
)
from benchmarks.jpeg.networks import Network, Run, compare, train
from study.config.config import UNTRAINED, Config
from study.config.load import load_config
from study.runs.weights import load_once
from vicreg.data.dataset import Dataset, load_dataset

TARGET = 30.5  # dB, the mean of the JPEG copy of CIFAR-10
FOLDS = 4  # parts of the lossless images, of which a run is tested on one
COPY_QUALITY = 75  # its files have libjpeg's quantisation tables of this quality, and chroma at 4:2:0
SHIFT = 4  # pixels: the grid of a second coding is as far from the first as it can be
# Of each class of the copy: the lossless images, the first 4,000 of training, are among the first; on the later ones
# networks are trained. The probes of networks that were trained elsewhere take more.
FIRST, LATER, LATER_OF_ENCODERS = 500, 600, 2000
# Epochs of 21 steps of a fold and of 42 of a part of the copy: 210 and 252 steps, so that all takes half an hour on a core.
FOLD_EPOCHS, COPY_EPOCHS = 10, 6
WIDE = {"pretrain.width": 64, **UNTRAINED}  # a ResNet-18 of the paper's width, as its seed draws it
WIDE_RUNS = FOLDS


class Pair(NamedTuple):
    """The same images, lossless and from the files of a JPEG copy, with the same labels."""

    plain: CopiedImages
    coded: CopiedImages


def measure_digits(*, seeds: int, profile: str = "digits", settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what coding at 30.5 dB changes on the data set of a profile, by networks trained with its settings."""
    config = load_config(profile=profile, settings=settings, own=False)
    plain = load_dataset(root=config.data_root, **dataclasses.asdict(config.prepare))
    images = all_images(plain)
    coded = code_at(images, target=TARGET)
    datasets = [(plain, with_images(plain, coded.images))]
    return {
        "what": "scikit-learn's digits",
        "coding": coded.to_dict(),
        "train_images": len(plain.train.labels),
        "trained": summary(_runs(config, datasets, seeds)),
        "untrained": summary(_runs(config.with_settings(UNTRAINED), datasets, seeds)),
    }


def read_images_of(copy: Path, lossless: Path | None, *, later: int) -> tuple[Copy, Pair | None]:
    """Return the parts of the copy that are measured, and the lossless images beside its files of them.

    `later` is the number of images a class on which networks, or their probes alone, are fitted.

    Raises:
        InputError: for folders that do not hold what is asked for, and images that are not in the copy.
    """
    copied = read_copy(copy, first=FIRST, later=later)
    if lossless is None:
        return copied, None
    images = read_lossless(lossless)
    files = find_files_of(images, copied.first)
    return copied, Pair(plain=CopiedImages(images, files.labels), coded=files)


def measure_lossless(pair: Pair, *, classes: Sequence[str], seeds: int) -> dict[str, Any]:
    """Return what the copy's own coding changed, on the lossless images in folds."""
    config = _cifar_config(epochs=FOLD_EPOCHS)
    datasets = [
        tuple(fold_of(images, fold=fold, folds=FOLDS, classes=classes) for images in (pair.plain, pair.coded))
        for fold in range(FOLDS)
    ]
    return {
        "what": f"{len(pair.plain.labels):,} lossless images of CIFAR-10 and the copy's files of them",
        "coding": _coding_of(pair).to_dict(),
        "train_images": len(datasets[0][0].train.labels),
        "trained": summary(_runs(config, datasets, seeds), folds=FOLDS),
        "untrained": summary(_runs(config.with_settings(WIDE), datasets, WIDE_RUNS), folds=FOLDS),
    }


def measure_again(copied: Copy, pair: Pair | None, *, seeds: int) -> dict[str, Any]:
    """Return what a second coding of a part of the copy changes, its grid shifted, and what the first one changed for its
    networks: those from images as they are in the copy, tested on the lossless images and on the copy's files of them."""
    config = _cifar_config(epochs=COPY_EPOCHS)
    plain = whole_of(copied.later, copied.test, classes=copied.classes)
    images = all_images(plain)
    coded = code_at(images, target=TARGET, shift=SHIFT)
    again = with_images(plain, coded.images)
    runs, of_held_out = [], []
    for seed in range(seeds):
        networks = {"plain": train(config, plain, seed=seed), "coded": train(config, again, seed=seed)}
        runs.append(_compared(networks, (plain, again)))
        if pair is not None:
            of_held_out.append(_of_lossless(networks["plain"], pair))
    return {
        "what": "a part of the JPEG copy of CIFAR-10, coded once more",
        "coding": {**coded.to_dict(), "unchanged_at_same_places": unchanged(plain.test.images)},
        "train_images": len(plain.train.labels),
        "trained": summary(runs),
        "held_out": summary(of_held_out) if of_held_out else None,
    }


def measure_encoder(weights: str, copied: Copy, pair: Pair | None) -> dict[str, Any]:
    """Return what coding of test images alone changes for a network that was trained on the copy elsewhere.

    Its probes are fitted on `copied.later`. `held_out` is of the lossless images and the copy's files of them: its training
    may have seen those files, and its probes have not. `again` is of the copy's test images, coded once more.

    Raises:
        InputError: for weights that cannot be read.
    """
    encoder = load_once(weights)
    holds = {name: getattr(encoder, name) for name in ("backbone", "stem", "width")}
    settings = {**UNTRAINED, **{f"pretrain.{name}": value for name, value in holds.items()}, "pretrain.weights": weights}
    plain = whole_of(copied.later, copied.test, classes=copied.classes)
    network = train(_cifar_config(epochs=COPY_EPOCHS).with_settings(settings), plain, seed=0)
    coded = code_at(plain.test.images, target=TARGET, shift=SHIFT)
    again = compare({"plain": network}, {"plain": plain.test.images, "coded": coded.images}, plain.test.labels)
    return {
        "what": f"{encoder.backbone} with weights {encoder.digest[:19]}, on the JPEG copy of CIFAR-10",
        "encoder": {**holds, "digest": encoder.digest},
        "coding": coded.to_dict(),
        "train_images": len(plain.train.labels),
        "again": summary([again]),
        "held_out": None if pair is None else summary([_of_lossless(network, pair)]),
    }


def _of_lossless(network: Network, pair: Pair) -> Run:
    """Return what a network from images of the copy makes of the lossless images and of the copy's files of them."""
    tests = {"plain": pair.plain.images, "coded": pair.coded.images}
    return compare({"coded": network}, tests, pair.plain.labels)


def unchanged(images: Tensor) -> float:
    """Return the share of a copy's images (N, C, H, W) uint8 that a second coding at its own quality and places leaves."""
    coded = code_images(images, quality=COPY_QUALITY)
    return (coded == images).flatten(1).all(dim=1).double().mean().item()


def _cifar_config(*, epochs: int) -> Config:
    """Return the profile `cifar10-cpu` with so many epochs, without a logged k-NN."""
    return load_config(profile="cifar10-cpu", settings={"pretrain.epochs": epochs, "pretrain.probe_every": None}, own=False)


def _coding_of(pair: Pair) -> Coded:
    """Return how a copy's files were coded, as far as that can be measured."""
    figures = psnr(pair.plain.images, pair.coded.images)
    return Coded(images=pair.coded.images, quality=None, shift=0, psnr=figures)


def _runs(config: Config, datasets: Sequence[tuple[Dataset, ...]], seeds: int) -> list[Run]:
    """Return a run a seed; run i has data set i modulo their number, each plain and coded."""
    runs = []
    for seed in range(seeds):
        pair = datasets[seed % len(datasets)]
        networks = {name: train(config, one, seed=seed) for name, one in zip(("plain", "coded"), pair, strict=True)}
        runs.append(_compared(networks, pair))
    return runs


def _compared(networks: dict[str, Network], datasets: tuple[Dataset, ...]) -> Run:
    """Return what networks from plain and from coded images make of test images, plain and coded."""
    plain, coded = datasets
    tests = {"plain": plain.test.images, "coded": coded.test.images}
    return compare(networks, tests, plain.test.labels)
