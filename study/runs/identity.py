"""The identity of a run: settings, data, code and machinery."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import torch

from study.config.config import Config
from study.runs.code_digest import CodeDigest, changed_definitions, code_digest
from study.runs.weights import starting_weights
from vicreg.methods import method_class
from vicreg.methods.base import DESCRIPTIONS, OVER_PROCESSES, TRAITS
from vicreg.torchvision_compat import torchvision
from vicreg.training.settings import LATER_SWITCHES, PretrainSettings, decisive_settings, switches_on
from vicreg.views.settings import ViewSettings

TRAINING = "vicreg.training.loop:pretrain"  # what decides a run's weights and its log
EVALUATION = "vicreg.evaluation.evaluate:evaluate"  # what decides the measurements of a run
READING = "vicreg.data.dataset:load_dataset"  # what decides the bytes of a data set

# Modules that are not followed. An identity holds the digest of the data, so the code that reads or downloads them may
# change. `vicreg.methods` looks a method up by its name, and the method is a root of its own.
_COVERED = ("vicreg.data.dataset", "vicreg.data.cache", "vicreg.methods")


# Precision -> the versions and the hardware below a run of it, as `machinery` names them.
Machinery = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that a run's result depends on. Two runs with the same digest have the same weights, bit for bit.

    `code` is the Merkle root of the code that trains. `definitions` maps each definition in it to a digest of its own. These
    show what has changed where roots differ, and are no part of the run's digest.
    """

    settings: Mapping[str, Any]
    data: str
    code: str
    machinery: Mapping[str, str]
    definitions: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of what decides the result; its folder's name in the store."""
        names = ("settings", "data", "code", "machinery")
        return _digest({name: getattr(self, name) for name in names})

    def differences(self, other: "Identity") -> list[str]:
        """Return what differs from the earlier `other`, a phrase each: settings, data, code, machinery."""
        found = []
        for key in sorted({*self.settings, *other.settings}):
            old, new = other.settings.get(key), self.settings.get(key)
            if old != new:
                found.append(f"setting {key} changed from {old} to {new}")
        if self.data != other.data:
            found.append(f"data changed from {other.data[7:19]} to {self.data[7:19]}")
        if self.code != other.code:
            changed = modules_of(changed_definitions(self.definitions, other.definitions))
            found.append("code changed in " + ", ".join(changed) if changed else "code changed")
        for key in sorted({*self.machinery, *other.machinery}):
            old, new = other.machinery.get(key), self.machinery.get(key)
            if old != new:
                found.append(f"{key} changed from {old} to {new}")
        return found


def modules_of(definitions: list[str]) -> list[str]:
    """Return the files of definitions named `module:name`, each with these names: `vicreg/optim/lars.py (LARS)`."""
    files: dict[str, list[str]] = {}
    for definition in sorted(definitions):
        module, _, name = definition.partition(":")
        files.setdefault(module.replace(".", "/") + ".py", []).append(name or "its imports")
    return [f"{file} ({', '.join(names)})" for file, names in files.items()]


def training_code(method: str, *, switches: frozenset[str] = frozenset()) -> CodeDigest:
    """Return the digest of the code that trains with a method: the loop's and the method's own.

    Code for a trait that the method does not have is left out, and so is code for a switch that is off. A trait or a switch
    that is added therefore leaves the runs without it what they were.

    Args:
        method: its name.
        switches: those of `LATER_SWITCHES` that are on in the run.

    Raises:
        InputError: for an unknown method.
    """
    found = method_class(method)
    off = set(LATER_SWITCHES) - switches
    for trait, hooks in TRAITS.items():
        if not getattr(found, trait):
            off |= {trait, *hooks}
    ignored = set(DESCRIPTIONS)
    if "distributed" in off:
        off |= set(OVER_PROCESSES)
        ignored |= set(OVER_PROCESSES)
    return code_digest(
        TRAINING, f"{found.__module__}:{found.__name__}", leave_out=_COVERED, off=frozenset(off),
        ignored=frozenset(ignored),
    )  # fmt: skip


def code_of(settings: PretrainSettings) -> CodeDigest:
    """Return the digest of the code that trains with these settings. An untrained network depends on no switch."""
    return training_code(settings.method, switches=switches_on(settings) if settings.epochs > 0 else frozenset())


def evaluation_code() -> CodeDigest:
    """Return the digest of the code that measures a trained model. It does so in one process, however many trained it."""
    return code_digest(
        EVALUATION, leave_out=_COVERED, off=frozenset({"distributed", *OVER_PROCESSES}),
        ignored=frozenset({*DESCRIPTIONS, *OVER_PROCESSES}),
    )  # fmt: skip


def reading_code() -> CodeDigest:
    """Return the digest of the code that reads data sets."""
    return code_digest(READING)


def run_identity(config: Config, *, data: str, device: torch.device, below: Machinery | None = None) -> Identity:
    """Return the identity of the run that `config` describes.

    The metadata of settings says on which device each counts, and whether an untrained network depends on it.

    Args:
        config: the whole configuration, of which the section `pretrain` counts.
        data: the digest of the data set, `sha256:` and hexadecimal digits.
        device: where it trains.
        below: the machinery of the hosts that train it; None for this one's.

    Raises:
        InputError: where the settings name weights that cannot be read.
    """
    settings = _plain(decisive_settings(config.pretrain, device=device.type))
    if (encoder := starting_weights(config.pretrain)) is not None:
        settings["weights"] = encoder.digest  # whatever the file's name and folder
    code = code_of(config.pretrain)
    precision = config.pretrain.precision
    return Identity(
        settings=settings, data=data, code=code.root, definitions=code.definitions,
        machinery=machinery(device, precision=precision) if below is None else below[precision],
    )  # fmt: skip


def evaluation_digest(run: str, config: Config, *, probes: tuple[str, ...], views: tuple[ViewSettings, ViewSettings]) -> str:
    """Return the digest of an evaluation of a run: the run, settings, views, probes and the code that measures.

    Args:
        run: the digest of the run.
        config: the whole configuration, of which the section `evaluate` counts.
        probes: names of the probes, in any order.
        views: the two kinds of views of augmented images that are measured.
    """
    return _digest({
        "run": run,
        "settings": _plain(dataclasses.asdict(config.evaluate)),
        "views": _plain([dataclasses.asdict(view) for view in views]),
        "probes": sorted(probes),
        "code": evaluation_code().root,
    })  # fmt: skip


def machinery(device: torch.device, *, precision: str) -> dict[str, str]:
    """Return the versions and the hardware that a result's last bits depend on, by name.

    On a CPU torch chooses kernels by its CPU capability, and oneDNN by the instruction set: for bfloat16 it has others with
    AMX or AVX512-BF16. ONEDNN_MAX_CPU_ISA limits oneDNN's choice, and counts where it is set. numba compiles our own loops.
    """
    found = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    if device.type == "cuda":
        return found | {"device": f"cuda ({torch.cuda.get_device_name(device)})"}
    found["device"] = f"{device.type} ({torch.backends.cpu.get_cpu_capability()})"
    if limit := os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA"):
        found["onednn"] = f"at most {limit}"
    found["numba"] = numba.__version__
    if precision == "bfloat16":
        found["bfloat16"] = bfloat16_kernels()
    return found


def bfloat16_kernels() -> str:
    """Return which instructions this CPU has for bfloat16: `amx`, `avx512-bf16` or `emulated`."""
    flags = _cpu_flags()
    if {"amx_bf16", "amx_tile"} <= flags:
        return "amx"
    return "avx512-bf16" if "avx512_bf16" in flags else "emulated"


def _cpu_flags() -> set[str]:
    """Return the features that Linux lists for the first processor; none on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in text.splitlines() if line.startswith("flags")), set())


def _plain(value: Any) -> Any:
    """Return the value as it is after JSON, so that an identity read from disk equals the one that was written."""
    return json.loads(json.dumps(value))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
