"""Import torchvision, also beside a CPU build of torch.

torchvision's wheels on the package index are built for CUDA. Beside a CPU build of torch their compiled operators cannot
load. `import torchvision` then fails, because it registers shape functions for operators that do not exist. Nothing here
needs these operators, which are for detection. So their signatures are declared before the import where they are missing.
With a matching pair of wheels nothing is declared.

One of these operators asks torch's compiler whether it may be compiled. So `import torchvision` imports the compiler, which
takes longer than all the rest of it. It is imported on first use here.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch

# The compiled library: `_C`, and `_C_stable` since 0.29. The same operators declared beside it end the process.
_LIBRARIES = ("_C", "_C_stable")
_MISSING_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _compiled_operators_load() -> bool:
    """Return whether torchvision's compiled operators load, and true where torchvision is not installed at all."""
    specification = importlib.util.find_spec("torchvision")
    if specification is None or not specification.submodule_search_locations:
        return True  # the import below then reports that torchvision is not installed
    folders = list(specification.submodule_search_locations)
    found = (importlib.machinery.PathFinder.find_spec(name, folders) for name in _LIBRARIES)
    library = next((one.origin for one in found if one is not None), None)
    if library is None:
        return False
    try:
        torch.ops.load_library(library)
    except OSError:
        return False
    return True


_library = None
if not _compiled_operators_load():
    _library = torch.library.Library("torchvision", "FRAGMENT")  # its declarations last as long as this object
    for _signature in _MISSING_OPERATORS:
        _library.define(_signature)

OPERATORS_ARE_DECLARED = _library is not None

_COMPILER = "torch._dynamo.utils"


class _Compiler(types.ModuleType):
    """In place of a module of the compiler: its functions import it when they are called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(importlib.import_module(_COMPILER), name)(*args, **kwargs)

        return call


def _hold_compiler_back() -> bool:
    """Let what is imported from now on take functions of the compiler without importing it; return whether it does."""
    if _COMPILER in sys.modules:
        return False
    sys.modules[_COMPILER] = _Compiler(_COMPILER)
    return True


def _let_compiler_in() -> bool:
    """Let the next import of the compiler import it; return whether it was held back."""
    return isinstance(sys.modules.get(_COMPILER), _Compiler) and sys.modules.pop(_COMPILER) is not None


# Assignments, since what an import does beside defining names is part of each run's identity, and these change no result.
_is_held_back = _hold_compiler_back()

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Failed to load image Python extension")
    import torchvision  # noqa: E402  (after the declarations, by design)

_was_held_back = _let_compiler_in()

__all__ = ["torchvision"]
