"""Import torchvision, also beside a CPU build of torch.

torchvision's wheels on the package index are built for CUDA. Beside a CPU build of torch their compiled operators cannot
load. `import torchvision` then fails, because it registers shape functions for operators that do not exist. Nothing here
needs these operators, which are for detection. So their signatures are declared before the import where they are missing.
With a matching pair of wheels nothing is declared.
"""

import importlib.machinery
import importlib.util
import warnings

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

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Failed to load image Python extension")
    import torchvision  # noqa: E402  (after the declarations, by design)

__all__ = ["torchvision"]
