"""How a measurement differs from a published protocol, in words.

A measurement without a difference may be compared with the published number.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from study.paper.published import PublishedProtocol
from study.paper.wording import setting_text
from study.reporting.format import plain, without_paths
from study.reporting.names import key_name, measure_name
from study.results.schema import ArmResults, StudyResults
from study.results.training_images import ALL, TRAIN, TRAIN_ON, training_text

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000  # of both CIFARs (Krizhevsky 2009); validation is taken from the former
SIDE = 32  # pixels, of both
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
SIZES = ("prepare.image_size", "pretrain.image_size")  # settings of the images' side
# What results of earlier versions do not record, and what it was.
EARLIER = {
    "pretrain.method": "vicreg", "pretrain.lars_clip": False, "pretrain.nesterov": False, "pretrain.processes": 1,
    "pretrain.batchnorm_over": "all", TRAIN_ON: TRAIN,
}  # fmt: skip
VIEWS = "pretrain.augmentation."  # before the settings of the views


class Images(Protocol):
    """What a data set is called, the names of its classes, and how many images each split has."""

    @property
    def dataset(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def train(self) -> int: ...
    @property
    def validation(self) -> int: ...
    @property
    def test(self) -> int: ...


def dataset_of(data: Images) -> str | None:
    """Return which CIFAR the images are; None for others.

    A copy of CIFAR-10 in a folder is recognised by the names of its classes.
    """
    if data.dataset in DATASETS:
        return data.dataset
    return "cifar10" if data.dataset == "imagefolder" and data.classes == CIFAR10_CLASSES else None


def is_copy(data: Images) -> bool:
    """Return whether the images are a CIFAR whose bytes are not the canonical ones."""
    return dataset_of(data) is not None and data.dataset not in DATASETS


def data_of(data: Images) -> str:
    """Return the images in words: `CIFAR-10` or `a copy of CIFAR-10 (bytes not the canonical ones)`."""
    name = DATASETS.get(dataset_of(data) or "", data.dataset)
    return f"a copy of {name} (bytes not the canonical ones)" if is_copy(data) else name


def settings_of(results: StudyResults, arm: ArmResults) -> dict[str, Any]:
    """Return the dotted settings that an arm's runs were made with."""
    return {**results.recipe, **arm.settings}


def deviations(
    own: Mapping[str, Any], data: Images, paper: PublishedProtocol, *, probe: str | None = "linear",
    free: Sequence[str] = (), instead: Mapping[str, Any] | None = None, trained: bool = True,
) -> list[str]:  # fmt: skip
    """Return what sets runs apart from a published protocol, a few words each; nothing where they follow it.

    Where the paper is silent it is taken for the baseline of params.yaml (`paper.filled`), and other values say so.

    Args:
        own: the settings that the runs were made with.
        data: the images that they were made on.
        paper: the protocol.
        probe: the accuracy that is compared; its settings are part of the protocol. None where none is.
        free: settings that may have any value, for the paper is silent about them and arms are all there is.
        instead: the claim's own settings, in place of the paper's.
        trained: whether the recipe of training is part of the protocol; for weights of others it is which weights.
    """
    own, instead = {**EARLIER, **own}, instead or {}
    wanted = {**paper.settings, **instead} if trained else paper.given_settings
    found = _of_data(data, train_on=own[TRAIN_ON]) + _unlike(own, wanted, free)
    found += [_apart(key, own.get(key), SIDE) for key in SIZES if own.get(key) not in (None, SIDE) and key not in free]
    if trained:
        found += ["both views through one BatchNorm"] if own.get("pretrain.view_passes") == "joint" else []
        found += _of_views(own, paper) + _unlike(own, paper.filled, (*free, *instead), silent=True)
    if probe == "linear":
        found += _unlike(own, paper.probe_settings) + _unlike(own, paper.filled_probe, silent=True)
    elif probe is not None:
        found.append(f"{measure_name(probe)} in place of the paper's linear evaluation")
    return found


def _unlike(
    own: Mapping[str, Any], wanted: Mapping[str, Any], free: Sequence[str] = (), *, silent: bool = False
) -> list[str]:
    """Return the settings that have another value than is `wanted`, those in `free` left aside."""
    return [
        _apart(key, own.get(key), value, silent=silent)
        for key, value in wanted.items()
        if key not in free and not _same(own.get(key), value)
    ]


def _of_data(data: Images, *, train_on: str) -> list[str]:
    """Return what sets the images apart from the whole of a canonical CIFAR, which the paper trains on."""
    if dataset_of(data) is None:
        return [f"{data.dataset} in place of CIFAR"]
    train = data.train + data.validation
    found = [f"{data_of(data)} in place of the canonical images"] if is_copy(data) else []
    if train != TRAIN_IMAGES:
        found.append(f"{train:,} training images in place of {TRAIN_IMAGES:,}")
    elif train_on != ALL and data.validation:
        found.append(training_text(train=data.train, validation=data.validation, train_on=train_on))
    return found + ([f"{data.test:,} test images in place of {TEST_IMAGES:,}"] if data.test != TEST_IMAGES else [])


def _of_views(own: Mapping[str, Any], paper: PublishedProtocol) -> list[str]:
    """Return what sets the views apart: those of the preset `source` are the paper's, unless something lies over it."""
    changed = [
        f"{key_name(key)} {plain(value)}"
        for key, value in own.items()
        if key.startswith(VIEWS) and key != f"{VIEWS}preset" and value is not None
        and not (key == f"{VIEWS}crop_scale" and _same(value, paper.crop_scale))
    ]  # fmt: skip
    if own.get(f"{VIEWS}preset") != "source":
        changed.insert(0, f"preset {own.get(f'{VIEWS}preset')}")
    return [f"views: {', '.join(changed)}"] if changed else []


def _same(own: Any, paper: Any) -> bool:
    if isinstance(paper, (list, tuple)):
        return list(own or []) == list(paper)
    return bool(own == paper)


def _apart(key: str, own: Any, paper: Any, *, silent: bool = False) -> str:
    """Return a setting's value here, and that of the paper or, where it is `silent`, the one usual here."""
    theirs = setting_text(key, paper)
    rule = f"where the paper is silent and {theirs} is usual here" if silent else f"in place of {theirs}"
    return f"{key_name(key)} {without_paths(setting_text(key, own))}{',' if silent else ''} {rule}"
