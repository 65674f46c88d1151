"""Methods by name: each file here but the shared ones holds one."""

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from vicreg.errors import InputError

if TYPE_CHECKING:
    from vicreg.methods.base import Method

_SHARED = ("base", "batch_statistics")


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, sorted; a method's name is its file's."""
    return _names_in(tuple(__path__))


@functools.cache
def _names_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in pkgutil.iter_modules(folders) if one.name not in _SHARED))


def method_class(name: str) -> "type[Method]":
    """Return the class of a method.

    Raises:
        InputError: for a name that no file here has.
    """
    from vicreg.methods.base import Method

    if name not in method_names():
        raise InputError(f"pretrain.method must be one of {', '.join(method_names())}, but got {name!r}.")
    module = importlib.import_module(f"{__name__}.{name}")
    found = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    (method,) = [one for one in found if issubclass(one, Method)]
    return method
