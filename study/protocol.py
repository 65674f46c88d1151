"""How a measurement differs from the source paper's protocol, in words: what has no difference may be compared with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.formatting import key_name, plain

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000  # of both CIFARs (Krizhevsky 2009); validation is taken from the former
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


def dataset_of(data: Mapping[str, Any]) -> str | None:
    """Which CIFAR the images of some results are, be they a copy in a folder (told by the names of its classes); None for
    other images."""
    if data.get("dataset") in DATASETS:
        return data["dataset"]
    classes = tuple(str(name) for name in data.get("classes") or ())
    return "cifar10" if data.get("dataset") == "imagefolder" and classes == CIFAR10_CLASSES else None


def is_copy(data: Mapping[str, Any]) -> bool:
    """Whether the images are a CIFAR whose bytes are not the canonical ones."""
    return dataset_of(data) is not None and data.get("dataset") not in DATASETS


def data_of(data: Mapping[str, Any]) -> str:
    """The images in words: `CIFAR-10` or `a copy of CIFAR-10 (bytes not the canonical ones)`."""
    found = dataset_of(data)
    name = DATASETS.get(found or "", str(data.get("dataset")))
    return f"a copy of {name} (bytes not the canonical ones)" if is_copy(data) else name


def settings_of(results: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted settings that an arm's runs were made with."""
    return {**results["recipe"], **arm["settings"]}


def differences(
    results: Mapping[str, Any], arm: Mapping[str, Any], paper: Mapping[str, Any], *, probe: str | None = "linear",
    free: Sequence[str] = (), trained: bool = True,
) -> list[str]:  # fmt: skip
    """What sets the runs of an arm apart from the source paper's protocol, a few words each; none where they follow it.

    Args:
        results: of a study, as `study.json` holds them.
        arm: one of its arms.
        paper: `source_paper` of published.yaml.
        probe: the accuracy that is compared; its settings are part of the protocol. None where none is.
        free: settings that the claim itself varies.
        trained: whether the recipe of training is part of the protocol; it is not for weights of others.
    """
    own = settings_of(results, arm)
    found = _of_data(results["data"])
    if trained:
        found += [
            _apart(key, own.get(key), value)
            for key, value in paper["settings"].items()
            if key not in free and not _same(own.get(key), value)
        ]
        found += _of_views(own, paper)
        if own.get("pretrain.stop_after") is not None and "pretrain.stop_after" not in free:
            found.append(f"stopped after {own['pretrain.stop_after']} epochs")
    if probe == "linear":
        found += [
            _apart(key, own.get(key), value)
            for key, value in paper["probe_settings"].items()
            if not _same(own.get(key), value)
        ]
    return found


def _of_data(data: Mapping[str, Any]) -> list[str]:
    if dataset_of(data) is None:
        return [f"{data.get('dataset')} in place of CIFAR"]
    train, test = (data.get("train") or 0) + (data.get("validation") or 0), data.get("test") or 0
    found = [f"{train:,} training images in place of {TRAIN_IMAGES:,}"] if train != TRAIN_IMAGES else []
    return found + ([f"{test:,} test images in place of {TEST_IMAGES:,}"] if test != TEST_IMAGES else [])


def _of_views(own: Mapping[str, Any], paper: Mapping[str, Any]) -> list[str]:
    """The views of the preset `source` are the paper's, unless something lies over it."""
    prefix = "pretrain.augmentation."
    changed = [
        f"{key_name(key)} {plain(value)}"
        for key, value in own.items()
        if key.startswith(prefix) and key != f"{prefix}preset" and value is not None
        and not (key == f"{prefix}crop_scale" and _same(value, paper["crop_scale"]))
    ]  # fmt: skip
    if own.get(f"{prefix}preset") != "source":
        changed.insert(0, f"preset {own.get(f'{prefix}preset')}")
    return [f"views: {', '.join(changed)}"] if changed else []


def _same(own: Any, paper: Any) -> bool:
    if isinstance(paper, list):
        return list(own or []) == paper
    return own == paper


def _apart(key: str, own: Any, paper: Any) -> str:
    return f"{key_name(key)} {plain(own)} in place of {plain(paper)}"
