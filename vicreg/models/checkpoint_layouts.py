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

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.models.resnet import ARCHITECTURES, Bottleneck, ResNet

LAYOUTS = ("torchvision", "vicreg", "lightly", "solo-learn", "vicreg-study")

_STEMS = {7: "imagenet", 3: "cifar"}  # side of the first convolution's kernel -> stem
# Modules that wrap a network: DistributedDataParallel's, torch.compile's, and those of other libraries. A momentum copy
# or a teacher (`momentum_backbone`, `encoder_k`) is inside none of these, and so is never taken for the network.
_FIRST_CONVOLUTION = re.compile(r"((?:(?:module|_orig_mod|backbone|encoder|model)\.)*)(conv1|0)\.weight")
# Children of a torchvision ResNet in order, as nn.Sequential(*children) numbers those that have tensors.
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


class Architecture(NamedTuple):
    """The arguments of `ResNet`; `backbone` is its `architecture`."""

    backbone: str
    stem: str
    width: int
    in_channels: int


def extract_network(tensors: Mapping[str, Tensor], path: Path) -> tuple[str, dict[str, Tensor]]:
    """Return the layout of a checkpoint's tensors, and those of its one network under torchvision's names.

    Raises:
        InputError: where the tensors, read from `path`, hold no ResNet or several.
    """
    found = [match for match in map(_FIRST_CONVOLUTION.fullmatch, tensors) if match and tensors[match[0]].ndim == 4]
    places = [match[1] or "the top" for match in found]
    if len(found) != 1:
        named = _enumerate(list(dict.fromkeys(name.split(".")[0] for name in tensors)))
        what = f"one lies at each of {', '.join(places)}" if found else f"its tensors are those of {named}"
        raise InputError(
            f"{path} must hold one ResNet, at the top or under module., backbone., encoder. or model., but {what}; export "
            "the network's own state dict."
        )
    prefix, first = found[0].groups()
    inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    parent = re.sub(r"\w+\.$", "", prefix)
    beside = {name.removeprefix(parent).split(".")[0] for name in tensors if name.startswith(parent)} if prefix else set()
    return _layout(first, beside), _name_children(inside) if first == "0" else _drop_classifier(inside)


def match_architecture(tensors: Mapping[str, Tensor], path: Path) -> tuple[Architecture, dict[str, Tensor]]:
    """Return the ResNet that the tensors are of, and its whole state dict in its own order and dtypes.

    Raises:
        InputError: where the tensors, read from `path`, are not exactly those of a ResNet of ours.
    """
    conv1 = tensors["conv1.weight"]
    width, in_channels, *kernel = conv1.shape
    if 0 in conv1.shape or kernel not in [[side, side] for side in _STEMS]:
        shape = " x ".join(map(str, kernel))
        raise InputError(f"{path} must begin with a 7 x 7 or a 3 x 3 convolution, but has {shape}; point at other weights.")
    found = Architecture(_backbone(tensors, path), _STEMS[kernel[0]], width, in_channels)
    with torch.device("meta"):
        network = ResNet(architecture=found.backbone, stem=found.stem, width=width, in_channels=in_channels)
    expected = network.state_dict()
    counts = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith("num_batches_tracked")}
    tensors = {**counts, **tensors}  # files of before torch 0.4.1 count no batches; nothing here depends on the count
    _require_same_tensors(tensors, expected, found, path)
    return found, {name: tensors[name].detach().to(like.dtype).clone().contiguous() for name, like in expected.items()}


def _layout(first: str, beside: set[str]) -> str:
    """Return the layout, which the first convolution's name and the names of the heads beside the network decide."""
    if first == "0" or "projection_head" in beside:
        return "lightly"
    if "expander" in beside:
        return "vicreg-study"
    if "classifier" in beside and any(name.startswith(("projector", "momentum_", "head")) for name in beside):
        return "solo-learn"
    return "vicreg" if "projector" in beside else "torchvision"


def _drop_classifier(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}


def _name_children(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename what nn.Sequential(*network.children()) numbers: `4.0.conv1.weight` -> `layer1.0.conv1.weight`."""
    return {re.sub(r"^\d+", lambda child: _CHILDREN.get(child[0], child[0]), name): value for name, value in tensors.items()}


def _require_same_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], found: Architecture, path: Path
) -> None:
    """Raise `InputError` where the names or the shapes of the tensors differ from the expected ones."""
    missing, left = [name for name in expected if name not in tensors], [name for name in tensors if name not in expected]
    for names, what in ((missing, "missing"), (left, "left over")):
        if names:
            raise InputError(
                f"{path} must hold a whole {found.backbone} and nothing else where the network lies, but "
                f"{_enumerate(names)} is {what}; export the network's own state dict."
            )
    for name, reference in expected.items():
        if tensors[name].shape != reference.shape:
            raise InputError(
                f"{path} must hold a {found.backbone} as torchvision shapes it at width {found.width}, so {name} must be "
                f"{tuple(reference.shape)}, but is {tuple(tensors[name].shape)}; point at weights of such a network."
            )


def _backbone(tensors: Mapping[str, Tensor], path: Path) -> str:
    """Return the name in `ARCHITECTURES` that has this kind of block, and as many in each stage."""
    stages = {match.groups() for match in map(re.compile(r"layer(\d+)\.(\d+)\..+").fullmatch, tensors) if match}
    depths = tuple(sum(stage == str(n) for stage, _ in stages) for n in range(1, 5))
    bottleneck = "layer1.0.conv3.weight" in tensors
    for name, (block, wanted) in ARCHITECTURES.items():
        if (block is Bottleneck, wanted) == (bottleneck, depths):
            return name
    accepted = ", ".join(f"{name} ({_blocks(block is Bottleneck, of)})" for name, (block, of) in ARCHITECTURES.items())
    found = _blocks(bottleneck, depths)
    raise InputError(f"{path} must hold one of {accepted}, but holds {found}; point at weights of one of these.")


def _blocks(bottleneck: bool, depths: tuple[int, ...]) -> str:
    return f"{'bottlenecks' if bottleneck else 'basic blocks'} {'-'.join(map(str, depths))}"


def _enumerate(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
