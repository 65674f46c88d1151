"""How a measurement differs from the source paper's protocol, in words: what has no difference may be compared with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from study.reporting.formatting import key_name, measure_name, plain, without_paths

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000  # of both CIFARs (Krizhevsky 2009); validation is taken from the former,
LEAST_TRAINED = 45_000  # and at most a tenth of them: the paper is silent about a split
SIDE = 32  # pixels, of both
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
    free: Sequence[str] = (), instead: Mapping[str, Any] | None = None, trained: bool = True,
) -> list[str]:  # fmt: skip
    """What sets the runs of an arm apart from the source paper's protocol, a few words each; none where they follow it.

    Where the paper is silent it is taken for the baseline of params.yaml (`paper["filled"]`), and other values say so.

    Args:
        results: of a study, as `study.json` holds them.
        arm: one of its arms.
        paper: `source_paper` of published.yaml.
        probe: the accuracy that is compared; its settings are part of the protocol. None where none is.
        free: settings that may have any value, for the paper is silent about them and arms are all there is.
        instead: the claim's own settings, in place of the paper's.
        trained: whether the recipe of training is part of the protocol; for weights of others it is which weights.
    """
    own, instead = settings_of(results, arm), instead or {}
    wanted = paper["settings"] | instead if trained else paper["given_settings"]
    found = _of_data(results["data"]) + _unlike(own, wanted, free)
    sizes = ("prepare.image_size", "pretrain.image_size")
    found += [_apart(key, own.get(key), SIDE) for key in sizes if own.get(key) not in (None, SIDE) and key not in free]
    if trained:
        found += ["both views through one BatchNorm"] if own.get("pretrain.view_passes") == "joint" else []
        found += _of_views(own, paper) + _unlike(own, paper["filled"], (*free, *instead), silent=True)
    if probe == "linear":
        found += _unlike(own, paper["probe_settings"]) + _unlike(own, paper["filled_probe"], silent=True)
    elif probe is not None:
        found.append(f"{measure_name(probe)} in place of the paper's linear evaluation")
    return found


def _unlike(
    own: Mapping[str, Any], wanted: Mapping[str, Any], free: Sequence[str] = (), *, silent: bool = False
) -> list[str]:
    return [
        _apart(key, own.get(key), value, silent=silent)
        for key, value in wanted.items()
        if key not in free and not _same(own.get(key), value)
    ]


def _of_data(data: Mapping[str, Any]) -> list[str]:
    if dataset_of(data) is None:
        return [f"{data.get('dataset')} in place of CIFAR"]
    train, test = (data.get("train") or 0) + (data.get("validation") or 0), data.get("test") or 0
    found = [f"{data_of(data)} in place of the canonical images"] if is_copy(data) else []
    if train != TRAIN_IMAGES:
        found.append(f"{train:,} training images in place of {TRAIN_IMAGES:,}")
    elif (data.get("train") or 0) < LEAST_TRAINED:
        found.append(f"{data['validation']:,} of {TRAIN_IMAGES:,} training images held out for validation")
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


def _apart(key: str, own: Any, paper: Any, *, silent: bool = False) -> str:
    rule = f"where the paper is silent and {plain(paper)} is usual here" if silent else f"in place of {plain(paper)}"
    return f"{key_name(key)} {without_paths(plain(own))}{',' if silent else ''} {rule}"
