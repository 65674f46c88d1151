"""Runs that are the beginning of others: the same, but that they stop after fewer epochs.

A run of `stop_after: 50` is bit for bit the first half of the run of 100 epochs. So where both are run, the longer one
leaves in the shorter one's folder the checkpoint with which the training of that ends. The shorter one goes on from it like
any run that was interrupted, and has nothing left to train.
"""

import json
from collections.abc import Sequence
from typing import Any

import torch
from filelock import Timeout

from study.runs.locking import to_stderr
from study.runs.outcomes import DIVERGED, FINISHED
from study.runs.run import Run, make_run
from study.runs.store import Store
from study.runs.workspace import furthest_checkpoint, open_workspace
from vicreg.errors import InputError
from vicreg.methods.base import Method
from vicreg.training.checkpoint import save_checkpoint
from vicreg.training.loop import Keep


def shared_trainings(runs: Sequence[Run], store: Store) -> dict[str, Run]:
    """Return digest of a run -> the longer one of the others whose training will be its own, for those that have one.

    That is the longest, if it has yet to come to the epoch at which the shorter one stops.

    Args:
        runs: that are to be run, each once.
        store: which knows how far each has come.
    """
    alike: dict[str, list[Run]] = {}
    for run in runs:
        if run.config.pretrain.epochs:
            alike.setdefault(_but_for_the_stop(run), []).append(run)
    found: dict[str, Run] = {}
    for group in alike.values():
        longest = max(group, key=lambda run: run.config.pretrain.trained_epochs)
        if store.ending(longest.digest)[0] in (FINISHED, DIVERGED):
            continue
        done, last = epochs_done(longest, store), longest.config.pretrain.trained_epochs
        found |= {
            run.digest: longest for run in group
            if done < run.config.pretrain.trained_epochs < last and not is_trained(run, store)
        }  # fmt: skip
    return found


def is_trained(run: Run, store: Store) -> bool:
    """Return whether a run has nothing left to train: it has finished, or a checkpoint of its last epoch is there."""
    return store.ending(run.digest)[0] == FINISHED or has_last_epoch(run, store)


def has_last_epoch(run: Run, store: Store) -> bool:
    """Return whether a checkpoint of the last epoch of a run that trains is there."""
    return 0 < run.config.pretrain.trained_epochs <= epochs_done(run, store)


def epochs_done(run: Run, store: Store) -> int:
    """Return how many epochs the furthest checkpoint of a run has; 0 without one."""
    checkpoint = furthest_checkpoint(store.folder(run.digest))
    return 0 if checkpoint is None else int(checkpoint.name.split("-")[1])


def beginning_of(run: Run, *, stop_after: int, device: torch.device) -> Run:
    """Return the run that is the same but for where it stops."""
    config = run.config.with_settings({"pretrain.stop_after": stop_after})
    return make_run(config, data=run.identity.data, device=device, probes=run.probes, views=run.views)


def keeper(run: Run, store: Store) -> Keep:
    """Return what leaves the state in which a shorter run ends as its checkpoint.

    A run that has ended, and one that another command is at, is left alone. A full disk is said; the run is then trained by
    itself.

    Args:
        run: the shorter one.
        store: that keeps it.
    """

    def keep(model: Method, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]) -> None:
        try:
            with store.lock(run.digest, lease_s=run.config.ablate.lock_lease_s, timeout=0) as is_locked:
                if is_trained(run, store) or store.ending(run.digest)[0] == DIVERGED:
                    return
                workspace = open_workspace(store.folder(run.digest), is_locked=is_locked)
                save_checkpoint(workspace, identity=run.digest, model=model, optimizer=optimizer, history=history)
        except Timeout:
            return
        except InputError as error:
            to_stderr(f"run {run.digest} could not be given the first {len(history)} epochs of a longer one: {error}")

    return keep


def _but_for_the_stop(run: Run) -> str:
    """Return what a run's identity holds but for where it stops."""
    identity = run.identity
    settings = {key: value for key, value in identity.settings.items() if key != "stop_after"}
    return json.dumps([settings, identity.data, identity.code, dict(identity.machinery)], sort_keys=True)
