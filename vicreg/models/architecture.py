"""Hold the tensors of a checkpoint against the ResNets that can be built here."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.models.resnet import ARCHITECTURES, Bottleneck, ResNet
from vicreg.models.weight_files import enumerate_names

_STEMS = {7: "imagenet", 3: "cifar"}  # side of the first convolution's kernel -> stem
# ResNets that are none of ours, by kind of block and depths (arXiv 1512.03385, Table 1; arXiv 2110.00476).
_OTHER_RESNETS = {(True, (3, 4, 23, 3)): "resnet101", (True, (3, 8, 36, 3)): "resnet152", (True, (2, 2, 2, 2)): "resnet26"}


class Architecture(NamedTuple):
    """The arguments of `ResNet`; `backbone` is its `architecture`."""

    backbone: str
    stem: str
    width: int
    in_channels: int


class Matched(NamedTuple):
    """A ResNet, its whole state dict in its own order and dtypes, and what was converted on the way."""

    architecture: Architecture
    tensors: dict[str, Tensor]
    notes: tuple[str, ...]


def match_architecture(tensors: Mapping[str, Tensor], path: Path) -> Matched:
    """Return the ResNet that the tensors are of, and its state dict.

    Raises:
        InputError: where the tensors, read from `path`, are not exactly those of a ResNet of ours, or no finite numbers.
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
    converted = {name: _convert(name, tensors[name], like.dtype, path) for name, like in expected.items()}
    dtypes = {str(tensors[name].dtype).removeprefix("torch.") for name in expected if name not in counts} - {"float32"}
    notes = (f"{path} holds weights of {enumerate_names(sorted(dtypes))}, which are converted to float32",) if dtypes else ()
    return Matched(found, converted, notes)


def _convert(name: str, tensor: Tensor, dtype: torch.dtype, path: Path) -> Tensor:
    """Return a dense copy of a tensor in `dtype`.

    Raises:
        InputError: for a tensor without values, of a form that holds no plain numbers, and for numbers that are not finite.
    """
    if unusable := _unusable(tensor, count=not dtype.is_floating_point):
        raise InputError(
            f"{path} must hold a network's weights as dense floating-point tensors, but {name} is {unusable}; export the "
            "network's own state dict as it was trained."
        )
    numbers = tensor.detach().to(dtype).clone().contiguous()
    if dtype.is_floating_point:
        if wrong := int((~numbers.isfinite()).sum()):
            raise InputError(
                f"{path} must hold finite weights, but of {name} {wrong} of {numbers.numel()} are NaN or infinite; point at "
                "an earlier checkpoint."
            )
        if name.endswith("running_var") and bool((numbers < 0).any()):
            raise InputError(
                f"{path} must hold variances of at least 0, but {name} has some below; fetch or export it again."
            )
    return numbers


def _unusable(tensor: Tensor, *, count: bool) -> str | None:
    """Return what keeps a tensor from being a network's weights (or a `count` of batches), or None."""
    if tensor.is_quantized:
        return f"quantized ({tensor.dtype})"
    if tensor.layout != torch.strided:
        return f"sparse ({tensor.layout})"
    if tensor.is_meta:
        return "on the device meta, which keeps no values"
    if tensor.is_complex() or not (tensor.is_floating_point() or count):
        return f"of {tensor.dtype}"
    return None


def _require_same_tensors(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], found: Architecture, path: Path
) -> None:
    """Raise `InputError` where the names or the shapes of the tensors differ from the expected ones."""
    missing, left = [name for name in expected if name not in tensors], [name for name in tensors if name not in expected]
    for names, what in ((missing, "missing"), (left, "left over")):
        if names:
            raise InputError(
                f"{path} must hold a whole {found.backbone} and nothing else where the network lies, but "
                f"{enumerate_names(names)} is {what}; export the network's own state dict."
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
    other = _OTHER_RESNETS.get((bottleneck, depths))
    found = f"{other} ({_blocks(bottleneck, depths)})" if other else _blocks(bottleneck, depths)
    raise InputError(f"{path} must hold one of {accepted}, but holds {found}; point at weights of one of these.")


def _blocks(bottleneck: bool, depths: tuple[int, ...]) -> str:
    return f"{'bottlenecks' if bottleneck else 'basic blocks'} {'-'.join(map(str, depths))}"
