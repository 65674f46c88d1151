"""Copies of the data sets that torchvision publishes: checked, completed where files are missing, and read."""

import contextlib
import http.client
import io
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vicreg.errors import InputError
from vicreg.torchvision_compat import torchvision

_SOURCES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion-mnist": "FashionMNIST"}
PUBLISHED = tuple(_SOURCES)

_NETWORK_TIMEOUT = 30.0  # seconds without a byte; torchvision sets none, and a silent network would then hang for ever

_log = logging.getLogger(__name__)


class PublishedImages(NamedTuple):
    """A whole data set, its training images first."""

    images: np.ndarray  # uint8 (N, C, H, W)
    labels: np.ndarray  # int64 (N,)
    classes: tuple[str, ...]
    train_size: int


class _Copy(NamedTuple):
    """Names relative to the root, each with the MD5 that torchvision publishes, or None where it publishes none."""

    files: Mapping[str, str | None]
    archives: Mapping[str, str]
    address: str


def read_published(dataset: str, root: Path) -> PublishedImages:
    """Read the copy of `dataset` below `root`, having first unpacked or downloaded what is missing there.

    What is there is never replaced. Raises `InputError` for what is damaged, and for what is missing and cannot be had.
    """
    copy = _copy_of(dataset)
    if missing := [name for name in copy.files if not (root / name).is_file()]:
        _fetch(dataset, root, copy, missing[0])
    _check_sums(root, copy.files)
    source = getattr(torchvision.datasets, _SOURCES[dataset])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy calls the CIFAR pickles' old dtype descriptions deprecated
            parts = [source(root, train=True), source(root, train=False)]
    except Exception as error:  # of Fashion-MNIST's files, which have no published sums: one kind for each way to fail
        folder = root / Path(next(iter(copy.files))).parts[0]
        cause = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"the copy of {dataset} in {folder} is damaged or truncated ({cause}); delete {folder} and run again to "
            "have it replaced."
        ) from error
    images = np.concatenate([np.asarray(part.data) for part in parts])  # (N, H, W, 3), or (N, H, W) of one channel
    return PublishedImages(
        images=images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2),
        labels=np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts]),
        classes=tuple(parts[0].classes),
        train_size=len(parts[0].targets),
    )


def published_files(dataset: str) -> list[str]:
    """The files, relative to the root, that a copy of `dataset` is read from."""
    return list(_copy_of(dataset).files)


def _copy_of(dataset: str) -> _Copy:
    source = getattr(torchvision.datasets, _SOURCES[dataset])
    if dataset == "fashion-mnist":
        archives = {f"FashionMNIST/raw/{name}": md5 for name, md5 in source.resources}
        files = {name.removesuffix(".gz"): None for name in archives}
        return _Copy(files=files, archives=archives, address=source.mirrors[0])
    listed = [*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])]
    files = {f"{source.base_folder}/{name}": md5 for name, md5 in listed}
    return _Copy(files=files, archives={source.filename: source.tgz_md5}, address=source.url)


def _check_sums(root: Path, sums: Mapping[str, str | None]) -> None:
    for name, expected in sums.items():
        if expected is not None and (found := torchvision.datasets.utils.calculate_md5(root / name)) != expected:
            raise InputError(
                f"{root / name} is damaged or truncated: its MD5 must be {expected}, but is {found}; delete it and run "
                "again to have it replaced."
            )


def _fetch(dataset: str, root: Path, copy: _Copy, missing: str) -> None:
    """Let torchvision unpack the archives, downloading those that are not below `root`, and move in what is missing.

    It works in a folder beside, so that a process killed on the way leaves no half of a file behind.
    """
    here = {name: md5 for name, md5 in copy.archives.items() if (root / name).is_file()}
    _check_sums(root, here)
    action = "unpacking its archive" if len(here) == len(copy.archives) else f"downloading it from {copy.address}"
    _log.info("%s: %s", dataset, action)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=root) as folder, _quiet_network():
            scratch = Path(folder)
            for name in here:
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).symlink_to((root / name).resolve())
            getattr(torchvision.datasets, _SOURCES[dataset])(scratch, download=True)
            for name in (*copy.files, *copy.archives):
                if not (root / name).exists():
                    (root / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(scratch / name, root / name)
    except (OSError, RuntimeError, http.client.HTTPException) as error:  # URLError is an OSError; bad sum: RuntimeError
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"{dataset} must be under {root}, but {missing} is missing there and {action} failed ({cause}); connect to "
            f"the network or make room on the disk and run again, copy {', '.join(copy.archives)} there from "
            "elsewhere, or choose another prepare.dataset."
        ) from error


@contextlib.contextmanager
def _quiet_network() -> Iterator[None]:
    """Without torchvision's progress bars, and with a time limit on a network that does not answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        quiet = io.StringIO()
        with contextlib.redirect_stderr(quiet), contextlib.redirect_stdout(quiet), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tarfile, about extraction without a filter (Python 3.12)
            yield
    finally:
        socket.setdefaulttimeout(before)
