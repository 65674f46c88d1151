"""Find images in folders, `train/<class>/*` and `test/<class>/*`."""

import functools
import os
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vicreg.errors import InputError

PARTS = ("train", "test")
_LAYOUT = "an imagefolder must hold {part}/<class>/<image>"

# Left by systems and archives beside images; like hidden entries they are passed over without a word.
_JUNK = {"thumbs.db", "desktop.ini", "icon\r", "__macosx"}
# What others call the two parts, for the remedy.
_OTHER_NAMES = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation", "eval")}

# Why an entry of a part is left out: key -> what such entries are.
_REASONS = {
    "deeper": "images in folders below class folders",
    "dangling": "links or others that lead to no file",
    "suffix": "files whose suffix is of no image",
    "beside": "images beside class folders",
}


class ImageFolder(NamedTuple):
    """Image files: train first, then test, both in the order of class names and file names."""

    classes: tuple[str, ...]
    paths: list[Path]
    labels: np.ndarray  # int64 (N,)
    train_size: int
    remarks: tuple[str, ...]  # what was left out, and class names that are easily confused; a sentence each


class _Part(NamedTuple):
    """What lies in `train` or `test`."""

    images: dict[str, list[Path]]  # class -> its images, both sorted by name
    left_out: dict[str, list[Path]]  # key of `_REASONS` -> entries


def find_images(root: Path) -> ImageFolder:
    """Return the image files of all classes below `root`.

    Raises:
        InputError: if a folder is missing or cannot be listed, train and test do not have the same classes or are the
            same files, or a class has no images.
    """
    found = {part: _list_part(root / part) for part in PARTS}
    for part, listed in found.items():
        if not listed.images:
            raise InputError(f"{_LAYOUT.format(part=part)}, but {_what_is_there(root, part, listed)}.")
    train, test = (found[part].images for part in PARTS)
    _require_same_classes(root, train, test)
    for part, listed in found.items():
        for name, paths in listed.images.items():
            _require_images(root / part / name, paths, listed.left_out)
    paths = [path for listed in found.values() for images in listed.images.values() for path in images]
    train_size = sum(len(images) for images in train.values())
    _require_other_files(paths[:train_size], paths[train_size:], root)
    return ImageFolder(
        classes=tuple(train),
        paths=paths,
        labels=np.concatenate(
            [np.repeat(np.arange(len(part)), [len(images) for images in part.values()]) for part in (train, test)]
        ),
        train_size=train_size,
        remarks=(*_left_out_remarks(root, [listed.left_out for listed in found.values()]), *_similar_names(train)),
    )


def class_images(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class folder, both sorted by name; hidden entries and other files are left out.

    Raises:
        InputError: if a folder cannot be listed.
    """
    return _list_part(folder).images


def format_of(paths: Iterable[Path]) -> str:
    """Return the format of image files by their suffixes: `JPEG`, or `JPEG and PNG` where there are several."""
    names = _formats_by_suffix()
    return " and ".join(sorted({names[suffix] for suffix in {path.suffix.lower() for path in paths}}))


def _list_part(folder: Path) -> _Part:
    """Return what lies in `train` or `test`; nothing where there is no such folder."""
    part = _Part(images={}, left_out={reason: [] for reason in _REASONS})
    for place in _entries(folder) if os.path.isdir(folder) else ():
        if not os.path.isdir(place):
            _leave_out(place, part, image_as="beside")
            continue
        part.images[place.name] = []
        for path in _entries(place):
            if os.path.isdir(path):
                inside = (Path(at) / name for at, _, names in os.walk(path) for name in sorted(names))
                part.left_out["deeper"] += [file for file in inside if _is_image_name(file)]
            elif _is_image_name(path) and os.path.isfile(path):
                part.images[place.name].append(path)
            else:
                _leave_out(path, part, image_as="dangling")
    return part


def _leave_out(path: Path, part: _Part, *, image_as: str) -> None:
    dangling = os.path.islink(path) and not os.path.exists(path)
    part.left_out["dangling" if dangling else image_as if _is_image_name(path) else "suffix"].append(path)


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder that are neither hidden nor junk, sorted by name."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}); make it a readable folder.") from error
    return [folder / name for name in names if not name.startswith(".") and name.lower() not in _JUNK]


def _is_image_name(path: Path) -> bool:
    return path.suffix.lower() in _formats_by_suffix()


@functools.cache
def _formats_by_suffix() -> Mapping[str, str]:
    """Return suffix -> format of the image files that can be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about optional plugins
        return {suffix: format_ for suffix, format_ in Image.registered_extensions().items() if format_ in Image.OPEN}


def _what_is_there(root: Path, part: str, listed: _Part) -> str:
    """Return what there is in place of class folders, and what to do about it."""
    for folder in (root, root / part):
        if os.path.exists(folder) and not os.path.isdir(folder):
            return f"{folder} is a file; unpack it, or point data.root at a folder"
    if not os.path.exists(root):
        return f"{root} does not exist; point data.root at the folder that holds train and test"
    if os.path.isdir(root / part):
        loose = f" but {len(listed.left_out['beside'])} images" if listed.left_out["beside"] else ""
        return f"{root / part} has no class folder{loose}; put the images of each class in a folder named after it"
    folders = [place for place in _entries(root) if os.path.isdir(place)]
    if inner := [place for place in folders if all(os.path.isdir(place / name) for name in PARTS)]:
        return f"{root / part} does not exist; point data.root at {inner[0]}, which holds train and test"
    if called := [place for place in folders if place.name.lower() in _OTHER_NAMES[part]]:
        return f"{root / part} does not exist; rename {called[0]} to {part}, or link it"
    return f"{root / part} does not exist; point data.root at the folder that holds train and test"


def _require_same_classes(root: Path, train: Mapping[str, object], test: Mapping[str, object]) -> None:
    if different := sorted(train.keys() ^ test.keys()):
        name = different[0]
        here, there, others = ("train", "test", test) if name in train else ("test", "train", train)
        alike = next((other for other in others if _plain(other) == _plain(name) and other in different), None)
        how = f", where {alike!a} differs from {name!a} only by case or Unicode form; rename one of them"
        raise InputError(
            f"train and test must have the same class folders, but {name!r} is in {root / here} and not in "
            f"{root / there}{'; add it there or remove it here' if alike is None else how}."
        )


def _require_images(folder: Path, paths: list[Path], left_out: Mapping[str, list[Path]]) -> None:
    """Raise `InputError` for a class folder without images, and for one whose name is no text."""
    if not paths:
        below = [path for path in left_out["deeper"] if folder in path.parents]
        deeper = f" itself, and {len(below)} in folders below it, such as {below[0]}" if below else ""
        remedy = "move these up" if below else "add images or remove the folder from train and test"
        raise InputError(
            f"every class folder must hold images (known by their extensions), but {folder} has none{deeper}; {remedy}."
        )
    if folder.name.encode(errors="ignore").decode() != folder.name:
        raise InputError(f"the names of class folders must be UTF-8, but one is {folder.name!r}; rename it.")


def _require_other_files(train: list[Path], test: list[Path], root: Path) -> None:
    """Raise `InputError` where every test image is a file of train, by links to it or to its folder."""
    seen = {_file(path) for path in train}
    if all(_file(path) in seen for path in test):
        raise InputError(
            f"test images must not be training images, but every file of {root / 'test'} is a file of {root / 'train'}; put "
            "other images in one of them."
        )


def _file(path: Path) -> tuple[int, int]:
    """Return the device and number of a file, the same for all links to it."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it readable or remove it.") from error
    return status.st_dev, status.st_ino


def _left_out_remarks(root: Path, parts: list[dict[str, list[Path]]]) -> list[str]:
    """Return one sentence that counts what is left out, each kind with an example; none where nothing is."""
    together = {reason: [path for part in parts for path in part[reason]] for reason in _REASONS}
    phrases = [f"{_REASONS[reason]} ({len(paths)}, such as {paths[0]})" for reason, paths in together.items() if paths]
    return [f"left out under {root}: {', '.join(phrases)}"] if phrases else []


def _similar_names(classes: Mapping[str, object]) -> list[str]:
    """Return a sentence for each two classes whose names differ only by case or Unicode form."""
    seen: dict[str, str] = {}
    return [
        f"class folders {seen[_plain(name)]!a} and {name!a} differ only by case or Unicode form, and are two classes"
        for name in classes
        if seen.setdefault(_plain(name), name) != name
    ]


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
