"""Read CIFAR-10, CIFAR-100 and Fashion-MNIST, downloading what is missing."""

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

_NETWORK_TIMEOUT = 30.0  # seconds without a byte; torchvision sets none, and would wait for a silent network for ever

_log = logging.getLogger(__name__)


class PublishedImages(NamedTuple):
    """A whole data set, training images first."""

    images: np.ndarray  # uint8 (N, C, H, W)
    labels: np.ndarray  # int64 (N,)
    classes: tuple[str, ...]
    train_size: int


class _Copy(NamedTuple):
    """Names of files relative to the root, with torchvision's MD5 of each, or None where it publishes none."""

    files: Mapping[str, str | None]
    archives: Mapping[str, str]
    address: str


def read_published(dataset: str, root: Path) -> PublishedImages:
    """Return the data set below `root`, after unpacking or downloading the files that are missing there.

    Existing files are never replaced.

    Raises:
        InputError: for a damaged file, and for a missing one that cannot be downloaded.
    """
    copy = _copy_of(dataset)
    if missing := [name for name in copy.files if not os.path.isfile(root / name)]:
        _fetch(dataset, root, copy, missing[0])
    _check_sums(root, copy.files)
    source = getattr(torchvision.datasets, _SOURCES[dataset])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of the old dtype descriptions in CIFAR's pickles
            parts = [source(root, train=True), source(root, train=False)]
    except Exception as error:  # Fashion-MNIST's files have no published MD5, and each way to fail has its own exception
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
    """Return the files, relative to the root, that `dataset` is read from."""
    return list(_copy_of(dataset).files)


def _copy_of(dataset: str) -> _Copy:
    """Return the files and archives of `dataset` that torchvision names."""
    source = getattr(torchvision.datasets, _SOURCES[dataset])
    if dataset == "fashion-mnist":
        archives = {f"FashionMNIST/raw/{name}": md5 for name, md5 in source.resources}
        files = {name.removesuffix(".gz"): None for name in archives}
        return _Copy(files=files, archives=archives, address=source.mirrors[0])
    listed = [*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])]
    files = {f"{source.base_folder}/{name}": md5 for name, md5 in listed}
    return _Copy(files=files, archives={source.filename: source.tgz_md5}, address=source.url)


def _check_sums(root: Path, sums: Mapping[str, str | None]) -> None:
    """Raise `InputError` for the first file below `root` whose MD5 differs."""
    for name, expected in sums.items():
        if expected is not None and (found := torchvision.datasets.utils.calculate_md5(root / name)) != expected:
            raise InputError(
                f"{root / name} is damaged or truncated: its MD5 must be {expected}, but is {found}; delete it and run "
                "again to have it replaced."
            )


def _fetch(dataset: str, root: Path, copy: _Copy, missing: str) -> None:
    """Let torchvision unpack the archives, downloading missing ones, and move what is missing to `root`.

    torchvision works in a temporary folder, so that a killed process leaves no incomplete file.
    """
    here = {name: md5 for name, md5 in copy.archives.items() if os.path.isfile(root / name)}
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
    except (
        OSError,
        RuntimeError,
        http.client.HTTPException,
    ) as error:  # URLError is an OSError; a wrong MD5 is a RuntimeError
        cause = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"{dataset} must be under {root}, but {missing} is missing there and {action} failed ({cause}); connect to "
            f"the network or make room on the disk and run again, copy {', '.join(copy.archives)} there from "
            "elsewhere, or choose another prepare.dataset."
        ) from error


@contextlib.contextmanager
def _quiet_network() -> Iterator[None]:
    """Hide torchvision's progress bars, and limit how long it waits for the network."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        quiet = io.StringIO()
        with contextlib.redirect_stderr(quiet), contextlib.redirect_stdout(quiet), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tarfile's, about extraction without a filter (Python 3.12)
            yield
    finally:
        socket.setdefaulttimeout(before)
