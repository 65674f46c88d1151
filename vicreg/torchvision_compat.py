"""`torchvision`, importable next to a CPU build of torch as well.

torchvision's wheels on the package index are built for CUDA. Next to a CPU-only torch their compiled operators cannot
load, and `import torchvision` then fails while it registers shape functions for operators that do not exist. Nothing
here needs those operators (they belong to detection), so where they are missing their signatures are declared before
the import. With a matching pair of wheels this module declares nothing.
"""

import importlib.machinery
import importlib.util
import warnings

import torch

_MISSING_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _compiled_operators_load() -> bool:
    specification = importlib.util.find_spec("torchvision")
    if specification is None or not specification.submodule_search_locations:
        return True  # the import below says plainly that torchvision is not installed
    library = importlib.machinery.PathFinder.find_spec("_C", list(specification.submodule_search_locations))
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True


_library = None
if not _compiled_operators_load():
    _library = torch.library.Library("torchvision", "FRAGMENT")  # must stay alive for as long as its declarations
    for _signature in _MISSING_OPERATORS:
        _library.define(_signature)

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Failed to load image Python extension")
    import torchvision  # noqa: E402  (after the declarations, by design)

__all__ = ["torchvision"]
