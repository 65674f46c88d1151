"""Runs: the store that keeps them by identity, and the one function that executes them.

    store/runs/<digest>/identity.json        everything that decides the result
                        checkpoint-00007/    while it trains
                        model.safetensors, history.json, status.json     once it has ended
                        evaluation-<digest>.json                         what was measured of it
                        unmeasured-<digest>.json                         or why it could not be, till tried again

A run that has ended is never computed again, whichever study asks for it.
"""

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from study.config.config import Config
from study.runs.identity import Identity, evaluation_digest, run_identity
from study.runs.weights import starting_weights
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.collapse_diagnosis import diagnose_collapse
from vicreg.evaluation.evaluate import evaluate
from vicreg.files import to_json, write_atomically
from vicreg.methods.base import Method
from vicreg.training.checkpoint import latest_checkpoint, load_weights, save_weights
from vicreg.training.loop import Diverged, exact_arithmetic, new_model, normalised, pretrain, view_size
from vicreg.views.settings import ViewSettings

# How a run can end. The first three are outcomes of its identity: asked again, it would end so again.
FINISHED, DIVERGED, PRUNED = "finished", "diverged", "pruned"
OUT_OF_MEMORY, KILLED, FAILED = "out-of-memory", "killed", "failed"
# How it can stand when it has not ended.
MISSING, PARTIAL = "missing", "partial"


class Pruned(RuntimeError):
    """A search stopped this run: it had collapsed."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: what is trained, on which data and device, and what is measured of it."""

    config: Config
    identity: Identity
    probes: tuple[str, ...]
    views: tuple[ViewSettings, ViewSettings]  # that alignment compares: one pair for a whole study, or arms differ by it

    @property
    def digest(self) -> str:
        return self.identity.digest

    @property
    def evaluation(self) -> str:
        return evaluation_digest(self.digest, self.config, probes=self.probes, views=self.views)


def make_run(
    config: Config,
    *,
    data: str,
    device: torch.device,
    probes: tuple[str, ...],
    views: tuple[ViewSettings, ViewSettings] | None = None,
) -> Run:
    """The run `config` describes on data of digest `data`; measured under `views`, or else those it trains on."""
    identity = run_identity(config, data=data, device=device)
    return Run(config=config, identity=identity, probes=probes, views=views or config.pretrain.views)


@dataclass(frozen=True)
class Store:
    """A folder of runs by digest."""

    root: Path

    def folder(self, digest: str) -> Path:
        return self.root / "runs" / digest

    def status(self, run: Run) -> tuple[str, str | None]:
        """How a run stands, and why in a sentence where it has not simply finished.

        `finished` means that what was asked to be measured is measured too. Endings that say nothing about the run
        itself (killed, out of memory, failed) are reported until the run is tried again.
        """
        status, reason = self.ending(run.digest)
        if status == FINISHED and not self.evaluation_path(run).exists():
            failed = _read_json(self._unmeasured_path(run))
            if failed is not None:
                return failed["status"], failed["reason"]
            return PARTIAL, "trained, but not yet measured with these probes"
        if status is not None:
            return status, reason
        checkpoint = latest_checkpoint(self.folder(run.digest))
        if checkpoint is not None:
            return PARTIAL, f"stopped after {int(checkpoint.name.split('-')[1])} of {run.config.pretrain.trained_epochs} epochs"
        return MISSING, None

    def ending(self, digest: str) -> tuple[str | None, str | None]:
        """How the training of a run ended, and why; (None, None) where it has not."""
        ended = _read_json(self.folder(digest) / "status.json")
        return (ended["status"], ended["reason"]) if ended is not None else (None, None)

    def evaluation_path(self, run: Run) -> Path:
        return self.folder(run.digest) / f"evaluation-{run.evaluation}.json"

    def result(self, run: Run) -> dict[str, Any]:
        """What a report shows of one run; empty measurements where there are none."""
        folder = self.folder(run.digest)
        status, reason = self.status(run)
        provenance = _read_json(folder / "provenance.json") or {}
        history = _read_json(folder / "history.json") or []
        measured = _read_json(self.evaluation_path(run)) if status == FINISHED else None
        empty = {"validation": {}, "test": {}, "collapse": {}, "verdict": None}
        return {
            "seed": run.config.pretrain.seed,
            "digest": run.digest,
            "status": status,
            "reason": reason,
            "commit": provenance.get("commit"),
            "effective_coefficients": provenance.get("effective_coefficients"),
            "images_per_second": [record["images_per_second"] for record in history],  # of each epoch, where it was run
            "joules": (_read_json(folder / "energy.json") or {}).get("joules"),
            "history": [{key: record[key] for key in record if key != "images_per_second"} for record in history],
            **(measured or empty),
        }

    def identities(self) -> Iterator[tuple[str, Identity]]:
        """Every run that was ever started, by digest."""
        for path in sorted((self.root / "runs").glob("*/identity.json")):
            recorded = _read_json(path)
            fields = {field.name for field in dataclasses.fields(Identity)}
            if recorded is not None and set(recorded) == fields:  # other fields: written by another version of this module
                yield path.parent.name, Identity(**recorded)

    def record_ending(self, run: Run, status: str, reason: str | None) -> None:
        """Notes how a run ended. What ends after the training has finished is a measurement, and the training stays."""
        trained = self.ending(run.digest)[0] == FINISHED
        path = self._unmeasured_path(run) if trained else self.folder(run.digest) / "status.json"
        write_atomically(path, to_json({"status": status, "reason": reason}))

    def add_energy(self, run: Run, joules: float | None) -> None:
        """Adds what a device used while it worked on a run; None is not known."""
        if joules is None:
            return
        path = self.folder(run.digest) / "energy.json"
        before = (_read_json(path) or {}).get("joules", 0.0)
        write_atomically(path, to_json({"joules": round(before + joules, 1)}))

    def _unmeasured_path(self, run: Run) -> Path:
        return self.folder(run.digest) / f"unmeasured-{run.evaluation}.json"

    @contextmanager
    def lock(self, digest: str) -> Iterator[None]:
        """Keeps two commands from training one run at the same time; released by the system if the process dies."""
        folder = self.folder(digest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the store {self.root} cannot be written ({error.strerror}); choose another.") from None
        with FileLock(folder / "lock"):
            yield


def execute(
    run: Run,
    *,
    store: Store,
    dataset: Dataset,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None,
    prune_after: int | None = None,
) -> str:
    """Trains and measures a run, as far as that has not been done, and returns how it ended.

    Args:
        prune_after: end the run as `pruned` once its embeddings have been collapsed completely for this many epochs in
            a row; None trains to the end.

    Raises:
        InputError: for input that cannot be worked with; what was computed before is kept.
    """
    assert run.identity.data == dataset.digest, "a run is executed on the data it names"
    with store.lock(run.digest):
        status, _ = store.ending(run.digest)
        if status == DIVERGED:
            return status
        try:
            if status != FINISHED:
                _train(run, store, dataset, device, on_epoch, prune_after)
            if not store.evaluation_path(run).exists():
                model = trained_model(run, store=store, dataset=dataset, device=device)
                write_atomically(store.evaluation_path(run), to_json(measure(run, model, dataset, device)))
        except Diverged as error:
            return _end(store, run, DIVERGED, str(error))
        except Pruned as error:
            return _end(store, run, PRUNED, str(error))
        except (MemoryError, torch.OutOfMemoryError) as error:
            return _end(store, run, OUT_OF_MEMORY, str(error).splitlines()[0] if str(error) else "no memory was left")
    return FINISHED


def trained_model(run: Run, *, store: Store, dataset: Dataset, device: torch.device) -> Method:
    """The model of a run that has finished, with its weights from the store."""
    return model_from(store.folder(run.digest) / "model.safetensors", run, dataset=dataset, device=device)


def model_from(path: Path, run: Run, *, dataset: Dataset, device: torch.device) -> Method:
    """The run's architecture with the weights of a safetensors file.

    Raises:
        InputError: if the file is missing, unreadable, or of another architecture.
    """
    model = new_model(run.config.pretrain, dataset).to(memory_format=torch.channels_last)
    try:
        model.load_state_dict(load_weights(path))
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} holds weights of another architecture ({detail}); train it again.") from None
    return model.to(device)


def _train(
    run: Run,
    store: Store,
    dataset: Dataset,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None],
    prune_after: int | None,
) -> None:
    folder = store.folder(run.digest)
    write_atomically(folder / "identity.json", to_json(dataclasses.asdict(run.identity)))
    provenance = {
        "commit": current_commit(),
        "method": run.config.pretrain.method,
        "effective_coefficients": run.config.pretrain.effective,  # in the units of the method's loss
        "values": run.config.values,
    }
    write_atomically(folder / "provenance.json", to_json(provenance))
    (folder / "status.json").unlink(missing_ok=True)
    checkpoint = latest_checkpoint(folder)
    history = [] if checkpoint is None else _read_json(checkpoint / "history.json") or []

    def watch_epoch(record: dict[str, Any]) -> None:
        on_epoch(record)
        history.append(record)
        _prune(history, run, prune_after)

    _prune(history, run, prune_after)
    encoder, channels = starting_weights(run.config.pretrain), dataset.train.images.shape[1]
    if encoder is not None and encoder.in_channels != channels:
        raise InputError(
            f"pretrain.weights must be of a network for images of {channels} channels, as {dataset.name} has, but "
            f"{run.config.pretrain.weights} takes {encoder.in_channels}; choose other weights or images."
        )
    trained = pretrain(
        run.config.pretrain, dataset, device=device, folder=folder, identity=run.digest, on_epoch=watch_epoch,
        start=None if encoder is None else encoder.tensors,
    )  # fmt: skip
    save_weights(folder / "model.safetensors", trained.model)
    write_atomically(folder / "history.json", to_json(trained.history))
    store.record_ending(run, FINISHED, None)
    for checkpoint in folder.glob("checkpoint-*"):  # the ending is on disk: nothing will be resumed from it
        shutil.rmtree(checkpoint, ignore_errors=True)


def judged(result: Mapping[str, Any], run: Run, prune_after: int | None) -> Mapping[str, Any]:
    """A run's result as the search hears it that prunes after so many epochs: `pruned`, and nothing measured, where the run
    went on beyond the epoch at which that search would have ended it, for another command had asked for all of it."""
    if result["status"] not in (FINISHED, DIVERGED):
        return result
    for epochs in range(1, len(result["history"]) + 1):
        history = result["history"][:epochs]
        if reason := _prune_reason(history, run, prune_after):
            empty = {"validation": {}, "test": {}, "collapse": {}, "verdict": None}
            return {**result, "status": PRUNED, "reason": reason, "history": history, **empty}
    return result


def _prune(history: Sequence[Mapping[str, Any]], run: Run, prune_after: int | None) -> None:
    """Raises `Pruned` where the last epochs of a log have collapsed; by the log alone, so that a run which was
    interrupted is pruned where it would have been otherwise."""
    if reason := _prune_reason(history, run, prune_after):
        raise Pruned(reason)


def _prune_reason(history: Sequence[Mapping[str, Any]], run: Run, prune_after: int | None) -> str | None:
    """Why a run whose log has come so far is ended, or None where it goes on."""
    if prune_after is None or len(history) <= run.config.pretrain.warmup_epochs + prune_after:
        return None
    named = [
        diagnose_collapse(
            embeddings=one["embeddings"], representations=one["representations"], knn_accuracy=None, chance=None
        )
        for one in history[-prune_after:]
    ]
    if not all(one.name == "complete" for one in named):
        return None
    return f"complete collapse for {prune_after} epochs, at epoch {len(history)}: {named[-1].reason}"


def measure(run: Run, model: Method, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """What `run` asks to be measured, of `model`."""
    settings = run.config.pretrain
    exact_arithmetic(settings)
    dataset = normalised(settings, dataset)
    return evaluate(
        model,
        dataset,
        control=new_model(settings, dataset).to(device=device, memory_format=torch.channels_last),
        settings=run.config.evaluate,
        probes=run.probes,
        views=run.views,
        target_std=model.target_std,
        size=view_size(settings, dataset.train.images),
        seed=settings.seed,
        device=device,
    )


def _end(store: Store, run: Run, status: str, reason: str) -> str:
    checkpoint = latest_checkpoint(store.folder(run.digest))
    if checkpoint is not None:  # the log up to the last good epoch is worth showing
        write_atomically(store.folder(run.digest) / "history.json", (checkpoint / "history.json").read_bytes())
    store.record_ending(run, status, reason)
    return status


def current_commit() -> str:
    """The commit of the working tree, with `-dirty` where code or parameters differ from it; `unknown` without git."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--", "vicreg", "study", "params.yaml"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); delete its folder and run again.") from None
