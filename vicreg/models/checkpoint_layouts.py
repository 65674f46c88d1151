"""Find a ResNet in others' checkpoints and rename its tensors.

A file holds tensors by name, and their names and shapes say what the network is made of. Strides, padding and pooling are
in no file: they are taken to be as the authors of the layout build them. Two layouts pad differently from ours. The
VICReg authors add a border of 1 to the image and pad the 7x7 convolution by 2, which together is our padding of 3.
solo-learn pads its 3x3 convolution by 2 where ours pads by 1, so an image needs a border of 1 pixel (`Encoder.border`).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from vicreg.errors import InputError
from vicreg.models.checkpoint_names import HEADS, RENAMED, Role, role_of
from vicreg.models.weight_files import OPTIMISER_STATE, enumerate_names

LAYOUTS = ("torchvision", "vicreg", "lightly", "solo-learn", "vicreg-study")

_FIRST_CONVOLUTION = re.compile(r"((?:[^.]+\.)*)(conv1|0)\.weight")
# Children of a torchvision ResNet in order, as nn.Sequential(*children) numbers those that have tensors.
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


class Extracted(NamedTuple):
    """The one network of a checkpoint under torchvision's names, its layout, and what a reader must know of the choice."""

    layout: str
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def extract_network(tensors: Mapping[str, Tensor], path: Path) -> Extracted:
    """Return the one network among a checkpoint's tensors.

    Where there are several, `Role` decides, and a note says so.

    Raises:
        InputError: where the tensors, read from `path`, hold no ResNet, none under a known name, or several alike.
    """
    found = _networks(tensors)
    roles = {place: role_of(place[0]) for place in found}
    known = {place: role for place, role in roles.items() if role is not None and role != Role.COPY}
    chosen = [place for place, role in known.items() if role == min(known.values())]
    if len(chosen) != 1:
        raise _no_one_network(list(tensors), [prefix for prefix, _ in chosen or found], bool(chosen), path)
    prefix, first = chosen[0]
    inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    parent = re.sub(r"[^.]+\.$", "", prefix)
    beside = {name.removeprefix(parent).split(".")[0] for name in tensors if name.startswith(parent)} if prefix else set()
    notes: tuple[str, ...] = ()
    if others := [_place(other) for other, _ in found if other != prefix]:
        notes = (
            f"{path} holds several networks: {enumerate_names([_place(prefix), *others])}; the one at {_place(prefix)} is "
            "taken, and another must be exported as a state dict of its own",
        )
    return Extracted(_layout(first, beside), _torchvision_names(inside, first), notes)


def _networks(tensors: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Return the prefix of each ResNet, with the name of its first convolution: `conv1`, or `0` in an nn.Sequential."""
    found = []
    for match in map(_FIRST_CONVOLUTION.fullmatch, tensors):
        if match is None or tensors[match[0]].ndim != 4:
            continue
        prefix, first = match.groups()
        stage = re.compile(re.escape(prefix) + (r"layer1\..*" if first == "conv1" else r"\d+\.0\.conv1\.weight"), re.DOTALL)
        if any(map(stage.fullmatch, tensors)):
            found.append((prefix, first))
    return found


def _no_one_network(names: list[str], prefixes: list[str], several: bool, path: Path) -> InputError:
    """Return the error for a file in which no network, or none above others, lies under a known name."""
    places = enumerate_names([_place(prefix) for prefix in prefixes])
    if several:
        what = f"one lies at each of {places}"
    elif prefixes:
        what = f"what lies under {places} may be a copy or no encoder"
    elif all(map(OPTIMISER_STATE.fullmatch, names)):
        what = "it holds the state of an optimiser alone"
    else:
        what = f"its tensors are those of {enumerate_names(list(dict.fromkeys(name.split('.')[0] for name in names)))}"
    return InputError(
        f"{path} must hold one ResNet, at the top or under names such as module., backbone., encoder., model., net. or "
        f"encoder_q., but {what}; export the network's own state dict."
    )


def _place(prefix: str) -> str:
    return prefix or "the top"


def _layout(first: str, beside: set[str]) -> str:
    """Return the layout, which the first convolution's name and the names of the heads beside the network decide."""
    if first == "0" or "projection_head" in beside:
        return "lightly"
    if "expander" in beside:
        return "vicreg-study"
    if "classifier" in beside and any(name.startswith(("projector", "momentum_", "head")) for name in beside):
        return "solo-learn"
    return "vicreg" if "projector" in beside else "torchvision"


def _torchvision_names(tensors: Mapping[str, Tensor], first: str) -> dict[str, Tensor]:
    """Return a network's tensors without heads, with torchvision's names; `first` is `conv1`, or `0` in an nn.Sequential.

    There nn.Sequential(*network.children()) numbers what torchvision names: `4.0.conv1.weight` -> `layer1.0.conv1.weight`.
    """
    if first == "0":
        return {re.sub(r"^\d+", lambda child: _CHILDREN.get(child[0], child[0]), name): t for name, t in tensors.items()}
    kept = {name: tensor for name, tensor in tensors.items() if name.split(".")[0] not in HEADS}
    return {".".join(RENAMED.get(part, part) for part in name.split(".")): tensor for name, tensor in kept.items()}
