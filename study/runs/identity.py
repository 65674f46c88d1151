"""What a run is: a digest of its resolved settings, its data, the code that trains, and the machinery below it."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from study.config.config import Config
from study.runs.code_digest import CodeDigest, changed_definitions, code_digest
from study.runs.weights import starting_weights
from vicreg.methods import method_class
from vicreg.torchvision_compat import torchvision
from vicreg.training.settings import decisive_settings
from vicreg.views.settings import ViewSettings

TRAINING = "vicreg.training.loop:pretrain"  # what decides a run's weights and its log
EVALUATION = "vicreg.evaluation.evaluate:evaluate"  # what decides the measurements of a run
READING = "vicreg.data.dataset:load_dataset"  # what decides the bytes of a data set

# Not followed. The data's digest covers what the first two make, so how they read or download it may change freely. The third
# finds a method by its name, and the method is a root of its own.
_COVERED = ("vicreg.data.dataset", "vicreg.data.cache", "vicreg.methods")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that decides a run's result. Two runs with one digest have the same weights, bit for bit.

    `code` is the Merkle root of the code that trains. `definitions` maps each definition below it to a digest of its own.
    They say what has changed where roots differ, and are no part of the run's digest.
    """

    settings: Mapping[str, Any]
    data: str
    code: str
    machinery: Mapping[str, str]
    definitions: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of what decides the result; its folder's name in the store."""
        decided = dataclasses.asdict(self)
        del decided["definitions"]
        return _digest(decided)

    def differences(self, other: "Identity") -> list[str]:
        """What differs from `other`, in words: which settings, which definitions, the data, the machinery."""
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
    """The files of definitions named `module:name`, each with the names in it: `vicreg/optim/lars.py (LARS)`."""
    files: dict[str, list[str]] = {}
    for definition in sorted(definitions):
        module, _, name = definition.partition(":")
        files.setdefault(module.replace(".", "/") + ".py", []).append(name or "its imports")
    return [f"{file} ({', '.join(names)})" for file, names in files.items()]


def training_code(method: str) -> CodeDigest:
    """The code that trains by a method: the loop, and the method's own."""
    found = method_class(method)
    return code_digest(TRAINING, f"{found.__module__}:{found.__name__}", leave_out=_COVERED)


def evaluation_code() -> CodeDigest:
    """The code that measures."""
    return code_digest(EVALUATION, leave_out=_COVERED)


def reading_code() -> CodeDigest:
    """The code that reads data sets."""
    return code_digest(READING)


def run_identity(config: Config, *, data: str, device: torch.device) -> Identity:
    """The identity of the run `config` describes, on data of digest `data`.

    What counts on which device, and what an untrained network depends on, the fields of the settings say themselves.
    """
    settings = _plain(decisive_settings(config.pretrain, device=device.type))
    if (encoder := starting_weights(config.pretrain)) is not None:
        settings["weights"] = encoder.digest  # whatever they are called and wherever they lie
    code = training_code(config.pretrain.method)
    return Identity(
        settings=settings, data=data, code=code.root, machinery=machinery(device, precision=config.pretrain.precision),
        definitions=code.definitions,
    )  # fmt: skip


def evaluation_digest(run: str, config: Config, *, probes: tuple[str, ...], views: tuple[ViewSettings, ViewSettings]) -> str:
    """Digest of one evaluation of one run: its settings, its probes and the code that measures."""
    return _digest({
        "run": run,
        "settings": _plain(dataclasses.asdict(config.evaluate)),
        "views": _plain([dataclasses.asdict(view) for view in views]),
        "probes": sorted(probes),
        "code": evaluation_code().root,
    })  # fmt: skip


def machinery(device: torch.device, *, precision: str) -> dict[str, str]:
    """Versions and hardware that a result's last bits depend on.

    On a CPU torch picks its kernels by the capability it finds, and oneDNN by the instruction set: for bfloat16 it has
    other kernels with AMX or AVX512-BF16 than without. ONEDNN_MAX_CPU_ISA holds oneDNN to less, and counts where it is set.
    """
    found = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    if device.type == "cuda":
        return found | {"device": f"cuda ({torch.cuda.get_device_name(device)})"}
    found["device"] = f"{device.type} ({torch.backends.cpu.get_cpu_capability()})"
    if limit := os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA"):
        found["onednn"] = f"at most {limit}"
    if precision == "bfloat16":
        found["bfloat16"] = bfloat16_kernels()
    return found


def bfloat16_kernels() -> str:
    """The instructions that this CPU has for bfloat16: `amx`, `avx512-bf16` or `emulated`."""
    flags = _cpu_flags()
    if {"amx_bf16", "amx_tile"} <= flags:
        return "amx"
    return "avx512-bf16" if "avx512_bf16" in flags else "emulated"


def _cpu_flags() -> set[str]:
    """The features that Linux lists of the first processor; none where there is no such list."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in text.splitlines() if line.startswith("flags")), set())


def _plain(value: Any) -> Any:
    """The value as JSON gives it back, so that an identity read from disk equals the one that was written."""
    return json.loads(json.dumps(value))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
