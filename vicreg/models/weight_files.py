"""Read the tensors of a checkpoint without running code from it."""

import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from vicreg.errors import InputError, kind_of
from vicreg.file_kinds import describe_file, is_safetensors

_DEEPEST = 8  # mappings inside each other that are looked into; VISSL's checkpoints have five
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # modules as pickle's protocol 2 calls them
OPTIMISER_STATE = re.compile(r"(?:.*\.)?state\.\d+\..+", re.DOTALL)  # names of what torch.optim keeps of each parameter
_EXPORT = "export the network with torch.save(network.state_dict(), path) and point at that file."


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by dotted name; the keys of nested checkpoints are the first parts of the names.

    Reads safetensors, torch's zip archives and its files of before torch 1.6. Nothing in the file is executed.

    Raises:
        InputError: for a damaged file, and for one that holds no tensors that can be read without running code from it.
    """
    content = _read(path)
    tensors: dict[str, Tensor] = {}
    objects = []
    for name, value in _entries(content, (), ()):
        if not isinstance(value, Tensor):
            objects.append(name)
        elif name in tensors:
            raise InputError(f"{path} must hold one tensor of a name, but holds two called {one_line(name)}; {_EXPORT}")
        else:
            tensors[name] = value
    if objects and all(map(OPTIMISER_STATE.fullmatch, tensors)):
        where = f"under {enumerate_names(objects)} " if any(objects) else ""
        raise _needs_code(path, f"a whole network {where}as an object")
    if tensors:
        return tensors
    if isinstance(content, dict):
        keys = f"only {enumerate_names([str(key) for key in content])}" if content else "and nothing else"
        raise InputError(f"{path} must hold tensors by name, but holds none, {keys}; {_EXPORT}")
    what = "one tensor without a name" if isinstance(content, Tensor) else kind_of(content)
    raise InputError(f"{path} must hold tensors by name, but holds {what}; {_EXPORT}")


def one_line(error: BaseException | str) -> str:
    """Return the text of an error or a name on one line without a full stop, or an error's type where it has no text."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def enumerate_names(names: Sequence[str]) -> str:
    """Return the first four names on one line, each cut to 80 characters, and how many there are more."""
    shown = [" ".join(name.split()) for name in names[:4]]
    shown = [name if len(name) <= 80 else f"{name[:77]}..." for name in shown]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


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


def _entries(content: Any, path: tuple[str, ...], outer: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Yield tensors, and networks saved as objects, with the dotted names under which nested mappings keep them."""
    if isinstance(content, Tensor):
        if path:
            yield ".".join(path), content
    elif isinstance(content, OrderedDict) and "_modules" in vars(content):  # what `_InertDict` made of an nn.Module
        yield ".".join(path), content
    elif isinstance(content, dict) and id(content) not in outer and len(path) < _DEEPEST:
        for key, value in dict.items(content):  # what `_InertDict` made may have an attribute `items` of its own
            yield from _entries(value, (*path, str(key)), (*outer, id(content)))


def _read(path: Path) -> Any:
    """Return what a file holds."""
    try:
        if is_safetensors(path):
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_stand_ins(path)), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # about TorchScript archives; the error that follows reports them
            return torch.load(file, map_location="cpu", weights_only=True)  # of a path, torch believes the suffix
    except OSError as error:
        cause = one_line(error.strerror or error)
    except Exception as error:  # torch, pickle and safetensors have one exception for each way to fail
        known = describe_file(path)
        if known is None and (what := _code_needed(path, str(error))) is not None:
            raise _needs_code(path, what) from error
        cause = known or "torch cannot read it"  # its messages have several lines, and advise to read without safety
    raise InputError(f"{path} is damaged, truncated or not a file of tensors ({cause}); fetch or export it again.")


def _code_needed(path: Path, message: str) -> str | None:
    """Return what in a file torch refuses to read because that would run code, or None for another of its messages."""
    if "TorchScript" in message:
        return "a TorchScript archive"
    if "persistent_load of storage" in message:  # before torch 1.6, the class of a network was kept with its source
        return "a whole network as an object"
    if blocked := re.search(r"GLOBAL (\S+) whose module \S+ is blocked", message):
        return f"a call of {blocked[1]}"
    if re.search(r"Unsupported operand (6[67]|14\d|15[0-2])\b", message):  # the operations that protocols 3 to 5 added
        return "what was pickled by a later protocol than 2"
    if re.search("GLOBAL|Can only|unrecognized function", message):
        names = sorted(name for name in _global_names(path) if not name.startswith(("torch.", "collections.OrderedDict")))
        return f"objects of {enumerate_names(names)}" if names else "objects"
    return None


def _needs_code(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} must hold tensors by name, but holds {what}, which cannot be read without running code from the file; "
        f"{_EXPORT}"
    )


def _stand_ins(path: Path) -> list[Any]:
    """Return what `safe_globals` takes: an inert class for each name in the file; torch prefers its own where it has one."""
    return [(_InertArray if name.startswith("numpy.") else _InertDict, name) for name in sorted(_global_names(path))]


def _global_names(path: Path) -> set[str]:
    """Return the names of classes and functions in a file's pickles, none of which is imported; none of a damaged file."""
    names: set[str] = set()
    with suppress(Exception):  # a truncated pickle has many ways to end; torch.load reports what is wrong
        if zipfile.is_zipfile(path):
            return set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
        with open(path, "rb") as file:
            for _ in range(4):  # before torch 1.6: a magic number, a version, the system, and the content
                for code, argument, _place in pickletools.genops(file):
                    if code.name == "GLOBAL":
                        module, _, name = str(argument).partition(" ")
                        names.add(f"{_PYTHON_2.get(module, module)}.{name}")
    return names
