"""What a run is: a digest of its resolved settings, its data, the code that trains, and the machinery below it."""

import ast
import dataclasses
import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from study.config import Config
from study.weights import starting_weights
from vicreg.settings import UNTRAINED_FIELDS
from vicreg.torchvision_compat import torchvision
from vicreg.views import ViewSettings

TRAINING = "vicreg.pretrain"  # the code that decides a run: this module and every module of ours it imports
EVALUATION = "vicreg.evaluation"  # the code that decides what is measured of it

# Not followed: what these make is covered by the data's digest, so how they read or download it may change freely.
_COVERED_BY_DATA = ("vicreg.datasets", "vicreg.dataset_store")

# Decide how often a run is interrupted or watched, not what comes out of it.
_WITHOUT_EFFECT = ("checkpoint_every",)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that decides a run's result. Two runs with one digest have the same weights, bit for bit."""

    settings: Mapping[str, Any]
    data: str
    code: Mapping[str, str]
    machinery: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of all of it; its folder's name in the store."""
        return _digest(dataclasses.asdict(self))

    def differences(self, other: "Identity") -> list[str]:
        """What `other` has that differs, in words: which settings, which modules, the data, the machinery."""
        found = []
        for key in sorted({*self.settings, *other.settings}):
            old, new = other.settings.get(key), self.settings.get(key)
            if old != new:
                found.append(f"setting {key} changed from {old} to {new}")
        if self.data != other.data:
            found.append(f"data changed from {other.data[7:19]} to {self.data[7:19]}")
        changed = [name for name in sorted({*self.code, *other.code}) if self.code.get(name) != other.code.get(name)]
        if changed:
            found.append("code changed in " + ", ".join(name.replace(".", "/") + ".py" for name in changed))
        for key in sorted({*self.machinery, *other.machinery}):
            old, new = other.machinery.get(key), self.machinery.get(key)
            if old != new:
                found.append(f"{key} changed from {old} to {new}")
        return found


def run_identity(config: Config, *, data: str, device: torch.device) -> Identity:
    """The identity of the run `config` describes, on data of digest `data`.

    An untrained network (0 epochs) is decided by its architecture and seed alone, so all arms that share these share
    it. `threads` counts on a CPU only, where it decides the order of sums, and `graph` on a GPU only.
    """
    settings = _plain(dataclasses.asdict(config.pretrain))
    if (encoder := starting_weights(config.pretrain)) is not None:
        settings["weights"] = encoder.digest  # whatever they are called and wherever they lie
    if config.pretrain.epochs == 0:
        settings = {name: settings[name] for name in UNTRAINED_FIELDS}
    for name in _WITHOUT_EFFECT:
        settings.pop(name, None)
    settings.pop("graph" if device.type == "cpu" else "threads", None)
    return Identity(settings=settings, data=data, code=code_digests(TRAINING), machinery=machinery(device))


def evaluation_digest(
    run: str, config: Config, *, probes: tuple[str, ...], views: tuple[ViewSettings, ViewSettings]
) -> str:
    """Digest of one evaluation of one run: its settings, its probes and the code that measures."""
    return _digest({
        "run": run,
        "settings": _plain(dataclasses.asdict(config.evaluate)),
        "views": _plain([dataclasses.asdict(view) for view in views]),
        "probes": sorted(probes),
        "code": code_digests(EVALUATION),
    })  # fmt: skip


def machinery(device: torch.device) -> dict[str, str]:
    """Versions and hardware that a result's last bits depend on."""
    if device.type == "cuda":
        hardware = f"cuda ({torch.cuda.get_device_name(device)})"
    else:
        hardware = f"{device.type} ({torch.backends.cpu.get_cpu_capability()})"
    return {"torch": torch.__version__, "torchvision": torchvision.__version__, "device": hardware}


@functools.cache
def code_digests(module: str) -> dict[str, str]:
    """Module name -> digest of its source, for `module` and every module of its package it imports, however deeply.

    Comments, docstrings and layout are left out, so that only a change of what the code does changes a run.
    """
    package = module.partition(".")[0]
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or (name in _COVERED_BY_DATA and name != module):
            continue
        tree = ast.parse(module_path(name).read_bytes())
        waiting += [imported for imported in _imports(tree) if imported.partition(".")[0] == package]
        found[name] = hashlib.sha256(ast.unparse(_without_docstrings(tree)).encode()).hexdigest()[:16]
    return dict(sorted(found.items()))


def module_path(name: str) -> Path:
    """The source file of a module, found without importing it."""
    specification = importlib.util.find_spec(name)
    assert specification is not None and specification.origin is not None, name
    return Path(specification.origin)


def _imports(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute here"
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in members if "." in name and _is_module(name)]
            names += [node.module, *modules]
    return names


def _is_module(name: str) -> bool:
    parent = importlib.util.find_spec(name.rpartition(".")[0])
    if parent is None or not parent.submodule_search_locations:
        return False
    return importlib.util.find_spec(name) is not None


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _plain(value: Any) -> Any:
    """The value as JSON gives it back, so that an identity read from disk equals the one that was written."""
    return json.loads(json.dumps(value))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
