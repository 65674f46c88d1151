"""VICReg and other self-supervised methods, and what it takes to study them.

The names below are the public ones; each is documented where it is defined. They are imported on first use, so that
`import vicreg` alone does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vicreg.data.dataset import load_dataset
    from vicreg.errors import InputError
    from vicreg.evaluation.collapse_diagnosis import diagnose_collapse
    from vicreg.evaluation.evaluate import evaluate
    from vicreg.methods import method_class, method_names
    from vicreg.methods.base import Method
    from vicreg.methods.vicreg import Coefficients, effective_coefficients, vicreg_loss
    from vicreg.metrics.collapse import collapse_metrics, rankme
    from vicreg.metrics.features import encode
    from vicreg.models.pretrained import load_encoder
    from vicreg.optim.lars import LARS
    from vicreg.training.loop import pretrain
    from vicreg.views.pipeline import two_views

_HOMES = {
    "Coefficients": "vicreg.methods.vicreg",
    "InputError": "vicreg.errors",
    "LARS": "vicreg.optim.lars",
    "Method": "vicreg.methods.base",
    "collapse_metrics": "vicreg.metrics.collapse",
    "diagnose_collapse": "vicreg.evaluation.collapse_diagnosis",
    "effective_coefficients": "vicreg.methods.vicreg",
    "encode": "vicreg.metrics.features",
    "evaluate": "vicreg.evaluation.evaluate",
    "load_dataset": "vicreg.data.dataset",
    "load_encoder": "vicreg.models.pretrained",
    "method_class": "vicreg.methods",
    "method_names": "vicreg.methods",
    "pretrain": "vicreg.training.loop",
    "rankme": "vicreg.metrics.collapse",
    "two_views": "vicreg.views.pipeline",
    "vicreg_loss": "vicreg.methods.vicreg",
}

__all__ = [
    "LARS", "Coefficients", "InputError", "Method", "collapse_metrics", "diagnose_collapse", "effective_coefficients",
    "encode", "evaluate", "load_dataset", "load_encoder", "method_class", "method_names", "pretrain", "rankme", "two_views",
    "vicreg_loss",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vicreg' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
