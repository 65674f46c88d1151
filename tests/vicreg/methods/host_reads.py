"""Refuse all reads of a tensor's value on the host, which a captured CUDA graph cannot hold."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor

from vicreg.models.view_batchnorm import ViewBatchNorm1d, ViewBatchNorm2d

READS = ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__")


@contextmanager
def refused() -> Iterator[None]:
    """Fail where Python code reads the value of a tensor within."""

    def fail(self, *arguments, **named):
        raise AssertionError("a step has read the value of a tensor on the host")

    with pytest.MonkeyPatch.context() as patch:
        for name in READS:
            patch.setattr(Tensor, name, fail)
        for layer in (ViewBatchNorm1d, ViewBatchNorm2d):  # normalises as on a GPU, where no loops of ours run
            patch.setattr(layer, "_is_compiled", lambda *_: False)
        yield
