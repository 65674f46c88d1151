"""torchvision can be imported beside any build of torch."""

import importlib.machinery
import importlib.util
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from vicreg import torchvision_compat

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_fresh_interpreter_imports_torchvision_without_a_warning_and_without_the_compiler_which_works_all_the_same():
    script = (
        "import sys\n"
        "from vicreg.torchvision_compat import torchvision\n"
        "from torchvision.models import resnet18\n"
        "there = [name in sys.modules for name in ('torch._dynamo', 'torch._dynamo.utils')]\n"
        "print(torchvision.models.resnet18 is resnet18, *there)\n"
        "held_back = sys.modules['torchvision.ops.roi_align'].is_compile_supported\n"
        "from torchvision.transforms import v2\n"
        "import torch._dynamo.utils\n"
        "print(held_back('cpu') == torch._dynamo.utils.is_compile_supported('cpu'), held_back.__module__)\n"
        "print(torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item())\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("True False False\nTrue vicreg.torchvision_compat\n2.0\n", "")


def test_the_missing_operators_have_signatures_after_the_import():
    assert "Tensor dets, Tensor scores, float iou_threshold" in str(torch.ops.torchvision.nms.default._schema)


def test_operators_are_declared_only_where_the_compiled_ones_do_not_load():
    library = next(Path(find_spec("torchvision").origin).parent.glob("_C*.so"))
    try:
        torch.ops.load_library(library)
        loads = True
    except OSError:
        loads = False
    assert torchvision_compat.OPERATORS_ARE_DECLARED == (not loads)


def test_an_absent_torchvision_is_left_to_the_import_statement(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match="torchvision"):
        runpy.run_path(torchvision_compat.__file__)


@pytest.mark.parametrize("name", ["_C.so", "_C_stable.so"])  # before and since torchvision 0.29
def test_a_compiled_library_of_either_name_is_loaded_and_nothing_declared_beside_it(monkeypatch, tmp_path, name):
    (tmp_path / name).touch()
    loaded: list[str] = []
    package = importlib.machinery.ModuleSpec("torchvision", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: package)
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    ran = runpy.run_path(torchvision_compat.__file__)
    assert loaded == [str(tmp_path / name)] and not ran["OPERATORS_ARE_DECLARED"]


class Declarations:
    """Stands for `torch.library.Library`, since the operators can be declared once in a process."""

    made: ClassVar[list[str]] = []

    def __init__(self, namespace: str, kind: str) -> None:
        assert (namespace, kind) == ("torchvision", "FRAGMENT")

    def define(self, signature: str) -> None:
        self.made.append(signature)


def test_a_library_that_cannot_be_loaded_counts_as_missing(monkeypatch):
    def fail(path):
        raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(torch.ops, "load_library", fail)
    monkeypatch.setattr(torch.library, "Library", Declarations)
    assert runpy.run_path(torchvision_compat.__file__)["OPERATORS_ARE_DECLARED"]
    assert [signature.split("(")[0] for signature in Declarations.made] == ["nms", "qnms"]
