"""Read the tensors of a checkpoint without running code from it."""

import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from vicreg.errors import InputError


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; of nested checkpoints, those under `state_dict` (Lightning) or `model`.

    Reads safetensors, torch's zip archives and its files of before torch 1.6. Nothing in the file is executed.

    Raises:
        InputError: for a damaged file, and for one whose tensors cannot be read without running code from it.
    """
    content = _read(path)
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    entries = content.items() if isinstance(content, Mapping) else ()
    tensors = {name: value for name, value in entries if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise _no_tensors(path)
    return tensors


def one_line(error: BaseException) -> str:
    """Return the text of an error on one line without a full stop, or its type where it has no text."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


class _InertDict:
    """Replaces any class or function that a file names: calling it returns an empty dict, which accepts any contents.

    Checkpoints hold more than weights: `argparse.Namespace`, the state of a Lightning callback, and in the VICReg
    authors' optimiser the function `__main__.exclude_bias_and_norm`. None of it is imported, run or kept.
    """

    def __new__(cls, *_: Any) -> Any:
        return OrderedDict()


class _InertArray:
    """Replaces NumPy's classes and functions, whose state no dict accepts."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def _read(path: Path) -> Any:
    """Return what a file holds."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_stand_ins(path)):
            warnings.simplefilter("ignore")  # about TorchScript archives; the error that follows reports them
            return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        cause = one_line(error)
    except Exception as error:  # torch and pickle have one exception for each way to fail
        if re.search("GLOBAL|TorchScript|Can only|blocked|unrecognized function", str(error)):
            raise _no_tensors(path) from error
        cause = type(error).__name__  # torch's messages have several lines, and advise to read without safety
    raise InputError(f"{path} is damaged, truncated or not a file of tensors ({cause}); fetch or export it again.")


def _no_tensors(path: Path) -> InputError:
    return InputError(
        f"{path} must hold tensors by name, but holds none that can be read without running code from the file; export the "
        "network with torch.save(network.state_dict(), path) and point at that file."
    )


def _stand_ins(path: Path) -> list[Any]:
    """Return what `safe_globals` takes: an inert class for each name in the file that torch would refuse."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no zip archive: torch.load also reads older files, and reports what is wrong with any other
        return []
    return [(_InertArray if name.startswith("numpy.") else _InertDict, name) for name in names]
