"""How a measurement differs from a published protocol, in words.

Some bar a verdict: a smaller or larger scale, another setting than the paper's, other images. The others are said beside it:
a copy of the images, training images held out, arithmetic, and what the paper is silent about.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from study.paper.published import PublishedProtocol
from study.paper.wording import STOP, setting_text
from study.reporting.format import plain, without_paths
from study.reporting.names import key_name, measure_name
from study.results.schema import ArmResults, StudyResults
from study.results.training_images import ALL, TRAIN, TRAIN_ON

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000  # of both CIFARs (Krizhevsky 2009); validation is taken from the former,
MOST_HELD_OUT = 0.1  # and at most this share of them: the paper is silent about a split
SIDE = 32  # pixels, of both
DATASETS = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
SIZES = ("prepare.image_size", "pretrain.image_size")  # settings of the images' side
# What results of earlier versions do not record, and what it was.
EARLIER = {
    "pretrain.method": "vicreg", "pretrain.lars_clip": False, "pretrain.nesterov": False, "pretrain.processes": 1,
    "pretrain.batchnorm_over": "all", TRAIN_ON: TRAIN,
}  # fmt: skip
VIEWS = "pretrain.augmentation."  # before the settings of the views
PRECISION, USUAL_PRECISION = "pretrain.precision", "float32"
# Settings that make an experiment small or large, each with what its value counts as.
_SCALE: Mapping[str, Callable[[Any], int]] = {
    "pretrain.backbone": lambda name: int(name.removeprefix("resnet")),
    "pretrain.expander": sum,
    **dict.fromkeys(("pretrain.width", "pretrain.epochs", "pretrain.stop_after", "evaluate.linear.epochs", *SIZES), int),
}


class Kind(Enum):
    """What a difference means for a verdict."""

    SMALLER = "smaller"  # fewer images or epochs, a narrower or shallower network
    LARGER = "larger"
    OTHER = "other"  # another value of a setting that the paper gives, or other images
    COPY = "copy"  # the same images, of other bytes
    HELD_OUT = "held out"  # at most a tenth of the training images, for choices
    ARITHMETIC = "arithmetic"
    SILENT = "silent"  # another value than is usual here, where the paper gives none


BARRING = (Kind.SMALLER, Kind.LARGER, Kind.OTHER)  # a verdict


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """One difference from a published protocol, in a few words."""

    text: str
    kind: Kind = Kind.OTHER


class Images(Protocol):
    """A data set: its name and its classes', the size of each split, the format of its files."""

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
    @property
    def files(self) -> str | None: ...


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


def copy_name(data: Images) -> str:
    """Return what a copy is called: `JPEG copy`, or `copy` where its format was not recorded; empty for no copy."""
    return f"{data.files or ''} copy".strip() if is_copy(data) else ""


def data_of(data: Images) -> str:
    """Return the images in words: `CIFAR-10` or `a JPEG copy of CIFAR-10 (bytes not the canonical ones)`."""
    name = DATASETS.get(dataset_of(data) or "", data.dataset)
    unknown = "" if data.files else "; in which format, an earlier version did not record"
    return f"a {copy_name(data)} of {name} (bytes not the canonical ones{unknown})" if is_copy(data) else name


def trained_on(data: Images, found: Iterable[Deviation]) -> str:
    """Return how many images were trained on and how many held out, given the differences from the paper's protocol."""
    held_out = data.validation if any(one.kind is Kind.HELD_OUT for one in found) else 0
    whole = data.train + data.validation
    if not held_out:
        return f"trained on all {whole:,} training images"
    return f"trained on {whole - held_out:,} of {whole:,} training images, {held_out:,} held out for validation"


def settings_of(results: StudyResults, arm: ArmResults) -> dict[str, Any]:
    """Return the dotted settings that an arm's runs were made with."""
    return {**results.recipe, **arm.settings}


def barring(found: Iterable[Deviation]) -> tuple[Deviation, ...]:
    """Return the differences with which nothing is held against the paper's number."""
    return tuple(one for one in found if one.kind in BARRING)


def deviations(
    own: Mapping[str, Any], data: Images, paper: PublishedProtocol, *, probe: str | None = "linear",
    free: Sequence[str] = (), instead: Mapping[str, Any] | None = None, trained: bool = True,
) -> list[Deviation]:  # fmt: skip
    """Return what sets runs apart from a published protocol; nothing where they follow it to the letter.

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
    found = _of_data(data, holds_out=own[TRAIN_ON] != ALL) + _unlike(own, wanted, free)
    found += [_apart(key, own[key], SIDE) for key in SIZES if own.get(key) not in (None, SIDE) and key not in free]
    if trained:
        joint = own.get("pretrain.view_passes") == "joint"
        found += [Deviation(text="both views through one BatchNorm")] if joint else []
        found += _of_views(own, paper) + _unlike(own, paper.filled, (*free, *instead), silent=True) + _of_arithmetic(own)
    if probe == "linear":
        found += _unlike(own, paper.probe_settings) + _unlike(own, paper.filled_probe, silent=True)
    elif probe is not None:
        found.append(Deviation(text=f"{measure_name(probe)} in place of the paper's linear evaluation"))
    return found


def _unlike(
    own: Mapping[str, Any], wanted: Mapping[str, Any], free: Sequence[str] = (), *, silent: bool = False
) -> list[Deviation]:
    """Return the settings that have another value than is `wanted`, those in `free` left aside."""
    return [
        _apart(key, own.get(key), value, silent=silent)
        for key, value in wanted.items()
        if key not in free and not _same(own.get(key), value)
    ]


def _of_data(data: Images, *, holds_out: bool) -> list[Deviation]:
    """Return what sets the images apart from the whole of a canonical CIFAR, of which validation may be held out."""
    if dataset_of(data) is None:
        return [Deviation(text=f"{data.dataset} in place of CIFAR")]
    train, found = data.train + data.validation, []
    if is_copy(data):
        found.append(Deviation(text=f"{data_of(data)} in place of the canonical images", kind=Kind.COPY))
    if train != TRAIN_IMAGES:
        text = f"{train:,} training images in place of {TRAIN_IMAGES:,}"
        found.append(Deviation(text=text, kind=_scale(train, TRAIN_IMAGES)))
    if data.validation and holds_out:
        text = f"{data.validation:,} of {train:,} training images held out for validation"
        found.append(Deviation(text=text, kind=Kind.HELD_OUT))
        if data.validation > MOST_HELD_OUT * train:
            found.append(Deviation(text=f"trained on {data.train:,} of {train:,} training images", kind=Kind.SMALLER))
    if data.test != TEST_IMAGES:
        text = f"{data.test:,} test images in place of {TEST_IMAGES:,}"
        found.append(Deviation(text=text, kind=_scale(data.test, TEST_IMAGES)))
    return found


def _of_views(own: Mapping[str, Any], paper: PublishedProtocol) -> list[Deviation]:
    """Return what sets the views apart: those of the preset `source` are the paper's, unless something lies over it."""
    changed = [
        f"{key_name(key)} {plain(value)}"
        for key, value in own.items()
        if key.startswith(VIEWS) and key != f"{VIEWS}preset" and value is not None
        and not (key == f"{VIEWS}crop_scale" and _same(value, paper.crop_scale))
    ]  # fmt: skip
    if own.get(f"{VIEWS}preset") != "source":
        changed.insert(0, f"preset {own.get(f'{VIEWS}preset')}")
    return [Deviation(text=f"views: {', '.join(changed)}")] if changed else []


def _of_arithmetic(own: Mapping[str, Any]) -> list[Deviation]:
    """Return the arithmetic of training where it is not float32; the paper does not say which its own was."""
    precision = own.get(PRECISION, USUAL_PRECISION)
    if precision == USUAL_PRECISION:
        return []
    return [Deviation(text=f"trained in {precision}, where the paper is silent", kind=Kind.ARITHMETIC)]


def _same(own: Any, paper: Any) -> bool:
    if isinstance(paper, (list, tuple)):
        return list(own or []) == list(paper)
    return bool(own == paper)


def _apart(key: str, own: Any, paper: Any, *, silent: bool = False) -> Deviation:
    """Return a setting's value here, and that of the paper or, where it is `silent`, the one usual here."""
    if key == STOP and paper is None:
        return Deviation(text=f"stopped after {own} epochs, before its schedule ends", kind=_kind(key, own, paper))
    theirs = setting_text(key, paper)
    rule = f"where the paper is silent and {theirs} is usual here" if silent else f"in place of {theirs}"
    text = f"{key_name(key)} {without_paths(setting_text(key, own))}{',' if silent else ''} {rule}"
    return Deviation(text=text, kind=Kind.SILENT if silent else _kind(key, own, paper))


def _kind(key: str, own: Any, paper: Any) -> Kind:
    """Return whether another value than the paper's makes the experiment smaller, larger or another."""
    measure = _SCALE.get(key)
    if measure is None or own is None:
        return Kind.OTHER
    if paper is None:  # an end before that of the schedule
        return Kind.SMALLER
    try:
        return _scale(measure(own), measure(paper))
    except (TypeError, ValueError, AttributeError):  # a value that this version does not know
        return Kind.OTHER


def _scale(own: int, paper: int) -> Kind:
    if own == paper:
        return Kind.OTHER
    return Kind.SMALLER if own < paper else Kind.LARGER
