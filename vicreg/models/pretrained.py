"""Weights of others for our backbones: found or downloaded, read without running code from the file, and renamed.

A file names tensors, so what a network is made of is told from their names and shapes. What has no tensors (strides,
padding, pooling) is in no file, and is taken to be as the layout's own authors build it. Two of them pad otherwise than
we do. The VICReg authors lay zeros of 1 around the image and pad their 7x7 convolution by 2: together our 3. solo-learn
pads its 3x3 convolution by 2 where ours pads by 1: `Encoder.border` says that an image then needs 1 pixel of zeros.
"""

import hashlib
import http.client
import re
import socket
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from vicreg.errors import InputError
from vicreg.models.resnet import ARCHITECTURES, Bottleneck, ResNet
from vicreg.torchvision_compat import torchvision

LAYOUTS = ("torchvision", "vicreg", "lightly", "solo-learn", "vicreg-study")

_NETWORK_TIMEOUT = 30.0  # seconds without a byte; torch.hub sets none, and a silent network would then hang for ever
_STEMS = {7: "imagenet", 3: "cifar"}  # side of the first convolution's kernel
# Modules that others wrap a network in: DistributedDataParallel, torch.compile, and their own. A momentum copy or a
# teacher (`momentum_backbone`, `encoder_k`) lies under none of these, and so is never taken for the network.
_FIRST = re.compile(r"((?:(?:module|_orig_mod|backbone|encoder|model)\.)*)(conv1|0)\.weight")
# Children of a torchvision ResNet in order, as nn.Sequential(*children) numbers those that have tensors.
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


class Published(NamedTuple):
    """An encoder that anyone can fetch; `file` is the name to keep it under. All were trained on images normalised by
    ImageNet's statistics (`pretrain.normalisation: imagenet`)."""

    url: str
    file: str
    source: str


class Encoder(NamedTuple):
    """Weights for `ResNet(architecture=backbone, stem=stem, width=width, in_channels=in_channels)`.

    `tensors` is that network's whole state dict. `digest` is `sha256:...` of their names, dtypes, shapes and bytes, so how
    a file was laid out does not matter; `file_sha256` is the file's own. `border` is how many pixels of zeros must be laid
    around a normalised image for the features of the network that was trained (0 but for solo-learn's CIFAR stem).
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


_MODELS = torchvision.models
_TORCHVISION = {
    "torchvision-resnet18": _MODELS.ResNet18_Weights.IMAGENET1K_V1,
    "torchvision-resnet34": _MODELS.ResNet34_Weights.IMAGENET1K_V1,
    "torchvision-resnet50": _MODELS.ResNet50_Weights.IMAGENET1K_V1,
    "torchvision-resnet50-v2": _MODELS.ResNet50_Weights.IMAGENET1K_V2,
}
PUBLISHED = {
    # torch.hub's facebookresearch/vicreg:main resnet50. Its file is called resnet50.pth, as Barlow Twins' is.
    "vicreg-resnet50": Published(
        url="https://dl.fbaipublicfiles.com/vicreg/resnet50.pth",
        file="vicreg-resnet50.pth",
        source="the VICReg authors' ResNet-50 (arXiv 2105.04906)",
    )
} | {
    name: Published(url=weights.url, file=weights.url.rpartition("/")[2], source=f"torchvision's {weights}")
    for name, weights in _TORCHVISION.items()
}


def load_encoder(source: str, *, folder: Path | None = None) -> Encoder:
    """Read an encoder that someone else trained, having first downloaded it where it is published and missing.

    Args:
        source: a name of `PUBLISHED`, or the path of a file (.pth, .pt, .ckpt, .tar, .safetensors) in one of `LAYOUTS`.
        folder: where published files are kept; torch.hub's `checkpoints` by default.

    Raises:
        InputError: for what is missing and cannot be had, is damaged, or is not a ResNet-18, 34 or 50 of ours.
    """
    if (published := PUBLISHED.get(source)) is not None:
        path = (folder or Path(torch.hub.get_dir()) / "checkpoints").absolute() / published.file
        if not path.is_file():
            _fetch(source, published, path)
    elif not (path := Path(source).expanduser()).is_file():
        raise InputError(f"an encoder must be one of {', '.join(PUBLISHED)} or the path of a file, but got {source!r}.")
    try:
        with open(path, "rb") as file:
            file_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it readable and run again.") from error
    if published is not None and not file_sha256.startswith(prefix := _hash_prefix(published.url)):
        raise InputError(
            f"{path} is damaged or truncated: its SHA-256 must start with {prefix}, but is {file_sha256}; delete it and "
            "run again to have it replaced."
        )
    layout, tensors = _network(_state_dict(_read(path), path), path)
    settings, tensors = _checked(tensors, path)
    border = int(layout == "solo-learn" and settings["stem"] == "cifar")
    found = f"the file {path.name}, in the layout of {layout}"
    return Encoder(
        **settings,
        tensors=tensors,
        digest=_digest(tensors),
        file_sha256=file_sha256,
        origin=(f"{published.source}, from {published.url}" if published is not None else found) + ".",
        layout=layout,
        border=border,
    )


# ---- files


def _fetch(name: str, published: Published, path: Path) -> None:
    """Download into a folder beside and read the file there, so that half a file never lies under its name.

    It is read because http.client takes a connection that closes early for the end of the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as scratch, _time_limit():
            partial = Path(scratch) / published.file
            torch.hub.download_url_to_file(published.url, str(partial), _hash_prefix(published.url) or None, progress=False)
            _state_dict(_read(partial), partial)
            partial.replace(path)
    except (OSError, RuntimeError, http.client.HTTPException, InputError) as error:  # URLError is an OSError
        cause = "what came is no whole file" if isinstance(error, InputError) else _one_line(error)
        raise InputError(
            f"{name} must be at {path}, but is missing there and downloading it from {published.url} failed ({cause}); "
            f"connect to the network and run again, or fetch {published.url} elsewhere, put it at {path} and run again."
        ) from error


@contextmanager
def _time_limit() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _hash_prefix(url: str) -> str:
    """The start of the file's SHA-256, where its name carries one (`resnet50-0676ba61.pth`), or nothing."""
    match = re.search(r"-([0-9a-f]{8,})\.", url.rpartition("/")[2])
    return match[1] if match else ""


class _Inert:
    """Stands for any class or function that a file names: called or made, it is an empty dict, which takes any contents.

    Checkpoints hold more than weights: argparse.Namespace, a Lightning callback's state, and in the authors' optimiser
    the function `__main__.exclude_bias_and_norm`. None of it is imported or run, and all of it is left aside.
    """

    def __new__(cls, *_: Any) -> Any:
        return OrderedDict()


class _InertArray:
    """The same for NumPy's, whose contents are no dict's."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _read(path: Path) -> Any:
    """What a file of tensors holds, without running code from it."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_stand_ins(path)):
            warnings.simplefilter("ignore")  # of archives of TorchScript, which the error after it reports
            return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        cause = _one_line(error)
    except Exception as error:  # torch and pickle have one kind for each way to fail
        if re.search("GLOBAL|TorchScript|Can only|blocked|unrecognized function", str(error)):
            raise _no_tensors(path) from error
        cause = type(error).__name__  # torch's sentences are of several lines, and advise to read without safety
    raise InputError(f"{path} is damaged, truncated or not a file of tensors ({cause}); fetch or export it again.")


def _no_tensors(path: Path) -> InputError:
    return InputError(
        f"{path} must hold tensors by name, but holds none that can be read without running code from the file; export the "
        "network with torch.save(network.state_dict(), path) and point at that file."
    )


def _stand_ins(path: Path) -> list[Any]:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no archive: torch.load reads files of before torch 1.6 as well, and says what is wrong with others
        return []
    return [(_InertArray if name.startswith("numpy.") else _Inert, name) for name in names]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


# ---- layouts


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name in what a file holds: Lightning keeps them as `state_dict`, the authors as `model`."""
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    entries = content.items() if isinstance(content, Mapping) else ()
    tensors = {name: value for name, value in entries if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise _no_tensors(path)
    return tensors


def _network(tensors: Mapping[str, Tensor], path: Path) -> tuple[str, dict[str, Tensor]]:
    """(layout, tensors of the network alone under torchvision's names)."""
    found = [match for match in map(_FIRST.fullmatch, tensors) if match and tensors[match[0]].ndim == 4]
    places = [match[1] or "the top" for match in found]
    if len(found) != 1:
        named = _some(list(dict.fromkeys(name.split(".")[0] for name in tensors)))
        what = f"one lies at each of {', '.join(places)}" if found else f"its tensors are those of {named}"
        raise InputError(
            f"{path} must hold one ResNet, at the top or under module., backbone., encoder. or model., but {what}; export "
            "the network's own state dict."
        )
    prefix, first = found[0].groups()
    inside = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    parent = re.sub(r"\w+\.$", "", prefix)
    beside = {name.removeprefix(parent).split(".")[0] for name in tensors if name.startswith(parent)} if prefix else set()
    return _layout(first, beside), _from_children(inside) if first == "0" else _without_classifier(inside)


def _layout(first: str, beside: set[str]) -> str:
    """Told from the name of the first convolution and from the names of the heads beside the network."""
    if first == "0" or "projection_head" in beside:
        return "lightly"
    if "expander" in beside:
        return "vicreg-study"
    if "classifier" in beside and any(name.startswith(("projector", "momentum_", "head")) for name in beside):
        return "solo-learn"
    return "vicreg" if "projector" in beside else "torchvision"


def _without_classifier(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}


def _from_children(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`4.0.conv1.weight` -> `layer1.0.conv1.weight`: what nn.Sequential(*network.children()) numbers, by name."""
    return {re.sub(r"^\d+", lambda child: _CHILDREN.get(child[0], child[0]), name): value for name, value in tensors.items()}


# ---- the network


def _checked(tensors: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(settings of the ResNet, its whole state dict in its own order and dtypes), having compared every shape."""
    conv1 = tensors["conv1.weight"]
    width, in_channels, *kernel = conv1.shape
    if 0 in conv1.shape or kernel not in [[side, side] for side in _STEMS]:
        shape = " x ".join(map(str, kernel))
        raise InputError(f"{path} must begin with a 7 x 7 or a 3 x 3 convolution, but has {shape}; point at other weights.")
    architecture, stem = _architecture(tensors, path), _STEMS[kernel[0]]
    with torch.device("meta"):
        network = ResNet(architecture=architecture, stem=stem, width=width, in_channels=in_channels)
    expected = network.state_dict()
    counts = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith("num_batches_tracked")}
    tensors = {**counts, **tensors}  # files of before torch 0.4.1 count no batches; nothing here depends on the count
    missing, left = [name for name in expected if name not in tensors], [name for name in tensors if name not in expected]
    for names, what in ((missing, "missing"), (left, "left over")):
        if names:
            raise InputError(
                f"{path} must hold a whole {architecture} and nothing else where the network lies, but "
                f"{_some(names)} is {what}; export the network's own state dict."
            )
    for name, reference in expected.items():
        if tensors[name].shape != reference.shape:
            raise InputError(
                f"{path} must hold a {architecture} as torchvision shapes it at width {width}, so {name} must be "
                f"{tuple(reference.shape)}, but is {tuple(tensors[name].shape)}; point at weights of such a network."
            )
    settings = {"backbone": architecture, "stem": stem, "width": width, "in_channels": in_channels}
    return settings, {name: tensors[name].detach().to(like.dtype).clone().contiguous() for name, like in expected.items()}


def _architecture(tensors: Mapping[str, Tensor], path: Path) -> str:
    """The one of `ARCHITECTURES` with this kind of block, and as many in each stage."""
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


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
