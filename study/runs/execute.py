"""Trains and measures one run, as far as it is not done."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from study.runs.beginnings import beginning_of, keeper
from study.runs.identity import evaluation_code
from study.runs.models import trained_model
from study.runs.outcomes import DIVERGED, FINISHED, OUT_OF_MEMORY, PRUNED, is_out_of_memory
from study.runs.pruning import prune_reason
from study.runs.revision import current_commit
from study.runs.run import Run
from study.runs.store import Store, read_log
from study.runs.weights import fitting_weights
from study.runs.workspace import clear_workspaces, open_workspace
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.evaluate import evaluate
from vicreg.files import temporary_path, to_json, write_atomically
from vicreg.methods.base import Method
from vicreg.training.checkpoint import latest_checkpoint, save_weights
from vicreg.training.loop import Diverged, Keep, pretrain
from vicreg.training.memory import place_network
from vicreg.training.setup import new_model, normalised, set_deterministic, view_size

OnEpoch = Callable[[dict[str, Any]], None]


class Pruned(RuntimeError):
    """A search ended this run: it had collapsed."""


def execute(
    run: Run,
    *,
    store: Store,
    dataset: Dataset,
    device: torch.device,
    on_epoch: OnEpoch = lambda record: None,
    prune_after: int | None = None,
    keep_weights: bool = False,
    keep: Sequence[int] = (),
) -> str:
    """Train and measure a run, as far as that has not been done, and return how it ended.

    A finished run whose weights were deleted or damaged is trained again where they are needed. It is the same run, so they
    come out the same, and what was measured before stays.

    Args:
        run: what is trained and measured.
        store: where it goes on from a checkpoint, and what it leaves is kept.
        dataset: the data that the run names.
        device: where it runs.
        on_epoch: called with the log record of each epoch.
        prune_after: end the run as `pruned` once its embeddings have been collapsed completely for this many epochs in
            a row; None trains to the end.
        keep_weights: whether its weights are needed though everything was measured.
        keep: epochs at which other runs stop that are the beginning of this one; each is given its checkpoint.

    Raises:
        InputError: for input that cannot be worked with; what was computed before is kept.
    """
    assert run.identity.data == dataset.digest, "a run is executed on the data it names"
    with store.lock(run.digest, lease_s=run.config.ablate.lock_lease_s) as is_locked:
        status, _ = store.ending(run.digest)
        if status == DIVERGED:
            return status
        try:
            measured = store.is_measured(run)
            if status != FINISHED:
                _train(run, store, dataset, device, on_epoch, prune_after, is_locked, keep)
            elif (keep_weights or not measured) and not store.are_weights_whole(run.digest):
                _train(run, store, dataset, device, on_epoch, None, is_locked)  # it was not pruned before
            if not measured:
                model = trained_model(run, store=store, dataset=dataset, device=device)
                write_atomically(store.evaluation_path(run), to_json(measure(run, model, dataset, device)))
        except Diverged as error:
            return _end(store, run, DIVERGED, str(error))
        except Pruned as error:
            return _end(store, run, PRUNED, str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return _end(store, run, OUT_OF_MEMORY, str(error).splitlines()[0] if str(error) else "no memory was left")
    return FINISHED


def measure(run: Run, model: Method, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """Return what `run` asks to be measured, of `model`; its control is the network as the run's seed draws it.

    Where a run trains on train and validation, what is measured of it on test is fitted on both as well.
    """
    settings = run.config.pretrain
    set_deterministic(settings)
    dataset = normalised(settings, dataset)
    control = place_network(new_model(settings, dataset), device)
    return evaluate(
        model,
        dataset,
        control=control,
        settings=run.config.evaluate,
        probes=run.probes,
        views=run.views,
        target_std=model.target_std,
        size=view_size(settings, dataset.train.images),
        seed=settings.seed,
        device=device,
        on_all=settings.trains_on_all,
    )


def _train(
    run: Run,
    store: Store,
    dataset: Dataset,
    device: torch.device,
    on_epoch: OnEpoch,
    prune_after: int | None,
    is_locked: bool,
    keep: Sequence[int] = (),
) -> None:
    folder, had_finished = store.folder(run.digest), _has_finished(run, store)
    if not had_finished:  # where it has, its weights alone are lost
        _write_provenance(run, folder)
        if not store.forget_ending(run):
            return  # another host has finished it meanwhile
    workspace = open_workspace(folder, is_locked=is_locked)
    checkpoint = latest_checkpoint(workspace)
    history = [] if checkpoint is None else read_log(checkpoint)

    def prune() -> None:
        if reason := prune_reason(history, run, prune_after):
            raise Pruned(reason)

    def watch_epoch(record: dict[str, Any]) -> None:
        history.append(record)
        on_epoch(record)
        prune()

    encoder = fitting_weights(run.config.pretrain, dataset)
    try:
        prune()
        trained = pretrain(
            run.config.pretrain, dataset, device=device, folder=workspace, identity=run.digest, on_epoch=watch_epoch,
            start=None if encoder is None else encoder.tensors, keep=_keepers(run, store, device, keep),
        )  # fmt: skip
    except InputError:
        if had_finished or not _has_finished(run, store):
            raise
        return  # another host has finished it meanwhile, and has cleared the checkpoints
    except (MemoryError, RuntimeError):  # `Diverged` and `Pruned` among these
        # The log up to the last good epoch is worth showing, epochs since the last checkpoint too.
        if history and not had_finished:
            store.record_partial_log(run, history)
        raise
    weights = temporary_path(folder / "model.safetensors")  # another host that ends first clears all workspaces
    save_weights(weights, trained.model)
    store.publish(run, weights=weights, history=trained.history)
    clear_workspaces(folder)  # the ending is on disk


def _keepers(run: Run, store: Store, device: torch.device, keep: Sequence[int]) -> dict[int, Keep]:
    """Return epoch -> what gives its checkpoint to the run that stops there."""
    stops = [epochs for epochs in keep if epochs < run.config.pretrain.trained_epochs]
    return {epochs: keeper(beginning_of(run, stop_after=epochs, device=device), store) for epochs in stops}


def _has_finished(run: Run, store: Store) -> bool:
    return store.ending(run.digest)[0] == FINISHED


def _write_provenance(run: Run, folder: Path) -> None:
    write_atomically(folder / "identity.json", to_json(dataclasses.asdict(run.identity)))
    provenance = {
        "commit": current_commit([*run.identity.definitions, *evaluation_code().definitions]),
        "method": run.config.pretrain.method,
        "effective_coefficients": run.config.pretrain.effective,  # in the units of the method's loss
        "values": run.config.values,
    }
    write_atomically(folder / "provenance.json", to_json(provenance))


def _end(store: Store, run: Run, status: str, reason: str) -> str:
    store.record_ending(run, status, reason)
    return status
