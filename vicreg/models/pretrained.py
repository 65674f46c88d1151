"""Load an encoder that someone else trained."""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.files import user_path
from vicreg.models.architecture import match_architecture
from vicreg.models.checkpoint_layouts import extract_network
from vicreg.models.published_weights import PUBLISHED_WEIGHTS, download_weights
from vicreg.models.weight_files import read_state_dict

_log = logging.getLogger(__name__)


class Encoder(NamedTuple):
    """Weights for `ResNet(architecture=backbone, stem=stem, width=width, in_channels=in_channels)`.

    `tensors` is the whole state dict of that network. `digest` is `sha256:...` of the names, dtypes, shapes and bytes of
    the tensors, so it does not depend on the file's layout; `file_sha256` is that of the file. `border` is how many pixels
    of zeros must surround a normalised image to get the features of the trained network: 0, or 1 for solo-learn's stem
    for CIFAR. `notes` says which network of several was taken, and what was converted.
    """

    backbone: str
    stem: str
    width: int
    in_channels: int
    tensors: dict[str, Tensor]
    digest: str
    file_sha256: str
    origin: str
    layout: str
    border: int
    notes: tuple[str, ...] = ()


def load_encoder(source: str, *, folder: Path | None = None) -> Encoder:
    """Read an encoder that someone else trained; a published one is downloaded first where its file is missing.

    Args:
        source: a name of `PUBLISHED_WEIGHTS`, or the path of a file (.pth, .pt, .ckpt, .tar, .safetensors) in one of
            `LAYOUTS`, whose network lies at the top or under `KNOWN_NAMES`.
        folder: where published files are kept; torch.hub's `checkpoints` by default.

    Raises:
        InputError: for a file that is missing and cannot be downloaded, is damaged, or is not a ResNet-18, 34 or 50 of ours.
    """
    published = PUBLISHED_WEIGHTS.get(source)
    path = _locate(source, folder)
    file_sha256 = _file_sha256(path)
    if published is not None and not file_sha256.startswith(published.sha256_prefix):
        raise InputError(
            f"{path} is damaged or truncated: its SHA-256 must start with {published.sha256_prefix}, but is {file_sha256}; "
            "delete it and run again to have it replaced."
        )
    layout, found, chosen = extract_network(read_state_dict(path), path)
    architecture, tensors, converted = match_architecture(found, path)
    for note in (notes := (*chosen, *converted)):
        _log.warning("%s", note)
    if published is not None:
        origin = f"{published.source}, from {published.url}."
    else:
        origin = f"the file {path.name}, in the layout of {layout}."
    return Encoder(
        **architecture._asdict(),
        tensors=tensors,
        digest=_digest(tensors),
        file_sha256=file_sha256,
        origin=origin,
        layout=layout,
        border=int(layout == "solo-learn" and architecture.stem == "cifar"),
        notes=notes,
    )


def _locate(source: str, folder: Path | None) -> Path:
    """Return the path of the encoder's file, having downloaded a published one that is missing."""
    if (published := PUBLISHED_WEIGHTS.get(source)) is not None:
        path = (folder or Path(torch.hub.get_dir()) / "checkpoints").absolute() / published.file
        if not os.path.isfile(path):
            download_weights(source, path)
        return path
    path = user_path(source, of="an encoder's path")
    if not os.path.isfile(path):
        names = ", ".join(PUBLISHED_WEIGHTS)
        what = "is a folder; name the file in it" if os.path.isdir(path) else "is no file; correct pretrain.weights"
        if not os.path.lexists(path):
            what = "does not exist; correct pretrain.weights"
        raise InputError(f"an encoder must be one of {names} or the path of a file, but {source!r} {what}.")
    return path


def _file_sha256(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it readable and run again.") from error


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return `sha256:...` of the tensors in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
