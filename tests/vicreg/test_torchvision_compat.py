"""torchvision can be imported, whatever build of torch is beside it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vicreg import torchvision_compat

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_fresh_interpreter_imports_torchvision_without_a_warning():
    script = (
        "from vicreg.torchvision_compat import torchvision\n"
        "from torchvision.models import resnet18\n"
        "from torchvision.transforms import v2\n"
        "print(torchvision.models.resnet18 is resnet18)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("True\n", "")


def test_the_missing_operators_have_signatures_after_the_import():
    assert "Tensor dets, Tensor scores, float iou_threshold" in str(torch.ops.torchvision.nms.default._schema)


def test_operators_are_declared_only_where_the_compiled_ones_do_not_load():
    assert (torchvision_compat._library is None) == torchvision_compat._compiled_operators_load()


def test_an_absent_torchvision_is_left_to_the_import_statement(monkeypatch):
    monkeypatch.setattr(torchvision_compat.importlib.util, "find_spec", lambda name: None)
    assert torchvision_compat._compiled_operators_load()


def test_a_library_that_cannot_be_loaded_counts_as_missing(monkeypatch):
    def fail(path):
        raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(torch.ops, "load_library", fail)
    assert not torchvision_compat._compiled_operators_load()
