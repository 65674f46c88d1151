"""Self-supervised methods by name, one file each.

To add a method, write one file here with a subclass of `vicreg.methods.base.Method` and its `Settings`. Give it a section of
its name under `pretrain` in `params.yaml`. Nothing else is edited; README.md in this folder has an example.
"""

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import TYPE_CHECKING

from vicreg.errors import InputError

if TYPE_CHECKING:
    from vicreg.methods.base import Method, MethodSettings

# What methods share. Every other module of this folder is a method.
_SHARED = ("base", "batch_statistics", "clustering", "contrastive", "counter_random", "divided_vicreg")


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, sorted. A method's name is its file's."""
    return _names_in(tuple(__path__))


@functools.cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in pkgutil.iter_modules(folders) if one.name not in _SHARED))


def method_class(name: str) -> "type[Method]":
    """Return the class of a method: the one subclass of `Method` that its file defines.

    Raises:
        InputError: for a name that no file here has.
        ValueError: where the file defines no method, or several.
    """
    if name not in method_names():
        raise InputError(f"pretrain.method must be one of {', '.join(method_names())}, but got {name!r}.")
    return _class_in(importlib.import_module(f"{__name__}.{name}"))


@functools.cache
def _class_in(module: ModuleType) -> "type[Method]":
    from vicreg.methods.base import Method

    found = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    (method,) = [one for one in found if issubclass(one, Method)]
    return method


def target_std_of(name: str, settings: "MethodSettings") -> float | None:
    """Return the standard deviation that a method drives each embedding dimension to; None where it leaves the scale free.

    `Method.target_std` depends on the settings alone, so no network is built for it.

    Raises:
        InputError: for a name that no file here has.
    """
    from torch import nn

    method = method_class(name)
    bare = method.__new__(method)
    nn.Module.__init__(bare)
    bare.settings = settings
    return bare.target_std
