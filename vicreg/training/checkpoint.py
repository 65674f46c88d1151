"""Checkpoints: written atomically, checked when read, never unpickled.

A checkpoint is a folder with the weights (`model.safetensors`), the optimiser's buffers and the norms of dead taps
(`state.safetensors`), and the log so far (`history.json`). Its manifest holds the SHA-256 of each file and the identity of
the run. The folder is filled under another name, flushed to disk and renamed. A run killed at any moment leaves either the
previous checkpoint or the new one.
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from vicreg.errors import InputError, cause_of
from vicreg.files import disk_error, flush_folder, to_json, write_atomically
from vicreg.models.compact_taps import dead_norms

_PREFIX = "checkpoint-"
_OF_DEAD_TAPS = "dead taps of "  # begins the names of norms among the optimiser's buffers
_FILES = ("model.safetensors", "state.safetensors", "history.json")


class Checkpoint(NamedTuple):
    """The state of a run after `epoch` epochs, from which training resumes."""

    epoch: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    dead_norms: dict[str, Tensor]
    history: list[dict[str, Any]]


class CheckpointInterval:
    """When a run saves its next checkpoint, so that saving takes at most a share of its time.

    After a save that took t seconds the next one waits for t * (1 / share - 1) seconds of training: 49 t at 0.02. The first
    one of a run waits for no time, and so shows early whether the disk can hold it. The last epoch always has one.

    Args:
        every: epochs from one checkpoint to the next, at least.
        share: of a run's time, in (0, 1]; 1 sets no limit.
        last: the number of the last epoch, counted from 1.
        clock: returns seconds.
    """

    def __init__(self, *, every: int, share: float, last: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._every, self._share, self._last, self._clock = every, share, last, clock
        self._earliest = -math.inf  # the clock's time before which no save starts

    def due(self, epoch: int) -> bool:
        """Return whether epoch number `epoch`, counted from 1, gets a checkpoint."""
        return epoch == self._last or (epoch % self._every == 0 and self._clock() >= self._earliest)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Time the save that is made meanwhile."""
        started = self._clock()
        yield
        ended = self._clock()
        self._earliest = ended + (ended - started) * (1 / self._share - 1)


def save_weights(path: Path, model: nn.Module) -> None:
    """Write a module's state dict as safetensors, atomically.

    Raises:
        InputError: where the disk is full or may not be written.
    """
    write_atomically(path, dump_tensors(_on_host(model.state_dict())))


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, by name, on the CPU.

    Raises:
        InputError: if the file is missing or is not a whole safetensors file.
    """
    try:
        return load_tensors(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; train it first, or point at another file.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it a readable file.") from None
    except SafetensorError as error:
        raise InputError(f"{path} is not a readable safetensors file ({error}); delete it and train again.") from None


def save_checkpoint(
    folder: Path, *, identity: str, model: nn.Module, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]
) -> Path:
    """Write the checkpoint of `len(history)` epochs into `folder`, remove the earlier ones, and return its path.

    Raises:
        InputError: where the disk is full or may not be written; the previous checkpoint is then untouched.
    """
    norms = {f"{_OF_DEAD_TAPS}{name}": norm for name, norm in dead_norms(model).items()}
    contents = {
        "model.safetensors": dump_tensors(_on_host(model.state_dict())),
        "state.safetensors": dump_tensors(_on_host(_optimizer_tensors(optimizer) | norms)),
        "history.json": to_json(history),
    }
    manifest = {
        "epoch": len(history),
        "identity": identity,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    target = folder / f"{_PREFIX}{len(history):05d}"
    temporary = folder / f".{target.name}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in (*contents.items(), ("manifest.json", to_json(manifest))):
            with open(temporary / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if target.exists():  # only where a run is trained again from before this epoch
            shutil.rmtree(target)
        os.rename(temporary, target)
        flush_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise disk_error(target, error) from error
    for older in _folders(folder):
        if older != target:
            shutil.rmtree(older, ignore_errors=True)
    return target


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the most epochs in `folder`, or None where it holds none."""
    folders = _folders(folder)
    return folders[-1] if folders else None


def load_checkpoint(path: Path, *, identity: str) -> Checkpoint:
    """Return a checkpoint, each file of it checked against the manifest's SHA-256.

    Raises:
        InputError: if it is incomplete or altered, or belongs to a run of another identity.
    """
    remedy = f"delete {path} and start again"
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        contents = {name: (path / name).read_bytes() for name in _FILES}
        recorded, epoch, owner = dict(manifest["sha256"]), int(manifest["epoch"]), str(manifest["identity"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        which = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        raise InputError(f"the checkpoint {path} cannot be read ({which}{cause_of(error)}); {remedy}.") from None
    if owner != identity:
        raise InputError(f"the checkpoint {path} belongs to run {owner[:12]}, not to {identity[:12]}; {remedy}.")
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != recorded.get(name):
            expected = str(recorded.get(name))[:12]
            raise InputError(f"{path / name} is corrupt: its SHA-256 is {found[:12]}..., not {expected}...; {remedy}.")
    history = json.loads(contents["history.json"])
    if len(history) != epoch:
        raise InputError(
            f"{path / 'manifest.json'} is corrupt: it names epoch {epoch}, but the log has {len(history)}; {remedy}."
        )
    state = load_tensors(contents["state.safetensors"])
    norms = {key.removeprefix(_OF_DEAD_TAPS): state.pop(key) for key in list(state) if key.startswith(_OF_DEAD_TAPS)}
    return Checkpoint(
        epoch=epoch,
        weights=load_tensors(contents["model.safetensors"]),
        optimizer=state,
        dead_norms=norms,
        history=history,
    )


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser the buffers of `Checkpoint.optimizer`; it keeps its own hyper-parameters.

    Each buffer gets its parameter's memory layout, which it had in training. With mixed layouts torch's updates are slower
    and may differ in the last bit.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)].detach()
        same_shape = tensor.shape == parameter.shape and tensor.ndim > 0
        buffer = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if same_shape else tensor
        state.setdefault(int(index), {})[name] = buffer
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, buffers in state.items()
        for name, value in buffers.items()
        if isinstance(value, Tensor)
    }


def _on_host(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous copies on the host, for which a GPU is waited for once and not tensor by tensor."""
    copies = {name: tensor.detach().contiguous().to("cpu", non_blocking=tensor.is_cuda) for name, tensor in tensors.items()}
    if any(tensor.is_cuda for tensor in tensors.values()):
        torch.cuda.synchronize()
    return copies


def _folders(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PREFIX}*"))
