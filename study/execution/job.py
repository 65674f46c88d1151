"""A run as JSON values, and the function that brings it to its end on any host.

A job names the run's store and data by their folders, which every host must see by the same path. It is executed as often as
it is sent: what has ended is left as it is, and what was interrupted goes on from its last checkpoint.
"""

import dataclasses
import functools
import json
import os
import socket
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from study.config.config import config_from_values
from study.execution.energy import noted_energy
from study.runs.execute import execute
from study.runs.identity import Identity
from study.runs.outcomes import FAILED
from study.runs.run import Run, make_run
from study.runs.store import Store
from vicreg.data.cache import read_dataset
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.files import write_atomically
from vicreg.views.settings import ViewSettings

# Runs of one process share torch's number of threads and its switches, so that a worker with two threads runs one at a time.
_ONE_AT_A_TIME = threading.Lock()


def make_job(
    run: Run, *, store: Store, data: Path, device: str, prune_after: int | None = None, keep: Sequence[int] = ()
) -> dict[str, Any]:
    """Return the job of a run, of JSON values alone.

    Args:
        run: what is trained and measured, with the identity that it must have where it is executed.
        store: where it is kept.
        data: the folder of the prepared data set.
        device: where it runs, in torch's words.
        prune_after: end it after so many collapsed epochs in a row; None for never.
        keep: epochs at which other runs stop that are the beginning of this one, and are given its checkpoint.
    """
    job = {
        "digest": run.digest,
        "evaluation": run.evaluation,
        "identity": dataclasses.asdict(run.identity),
        "store": str(store.root.absolute()),
        "data": str(data.absolute()),
        "device": device,
        "values": dict(run.config.values),
        "probes": run.probes,
        "views": [dataclasses.asdict(view) for view in run.views],
        "prune_after": prune_after,
        "keep": list(keep),
    }
    values: dict[str, Any] = json.loads(json.dumps(job))
    return values


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Bring a job's run to its end, as far as it has not come there, and return how it ended.

    An error ends this run as failed and no other; the traceback of a defect is kept beside the run. So does a host on which
    it would be another run: the reason says what differs.

    Returns:
        `status`, `reason` (None where the store has it, or there is none), and the `host`.
    """
    with _ONE_AT_A_TIME:
        status, reason = _run(job)
    return {"status": status, "reason": reason, "host": socket.gethostname()}


def _run(job: Mapping[str, Any]) -> tuple[str, str | None]:
    store, device = Store(Path(job["store"])), torch.device(job["device"])
    # One cache for all workers: what the first run compiles (`pretrain.compile`) the others load.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(store.root / "compiled"))
    try:
        dataset = _dataset_of(job, store)
        run = run_of(job, dataset, device)
        with noted_energy(run, store, device):
            ended = execute(
                run, store=store, dataset=dataset, device=device, prune_after=job["prune_after"], keep=job["keep"]
            )
            return ended, None
    except InputError as error:
        return FAILED, str(error)
    except Exception as error:
        write_atomically(store.folder(job["digest"]) / "error.txt", traceback.format_exc().encode())
        return FAILED, f"{type(error).__name__}: {error}".splitlines()[0]


def run_of(job: Mapping[str, Any], dataset: Dataset, device: torch.device) -> Run:
    """Return a job's run as this process makes it.

    Raises:
        InputError: if it is not the run that was planned, or the weights that it starts from cannot be had.
    """
    first, second = (_view(fields) for fields in job["views"])
    host = socket.gethostname()
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"the run is planned for a GPU, but host {host} has none that torch can use; use one that has.")
    run = make_run(
        config_from_values(job["values"]),
        data=dataset.digest,
        device=device,
        probes=tuple(job["probes"]),
        views=(first, second),
    )
    remedy = "give all hosts the same code, versions, data and kind of processor"
    if run.digest != job["digest"]:
        differing = "; ".join(run.identity.differences(Identity(**job["identity"]))) or "how its digest is made changed"
        raise InputError(f"on host {host} it would be another run than was planned ({differing}); {remedy}.")
    if run.evaluation != job["evaluation"]:
        raise InputError(f"on host {host} other code would measure the run than was planned; {remedy}.")
    return run


def _dataset_of(job: Mapping[str, Any], store: Store) -> Dataset:
    """Return the data that a job names, if this host sees them and the store."""
    if not store.root.is_dir():
        raise InputError(
            f"host {socket.gethostname()} must see the store {store.root}, but it has no such folder; mount it."
        )
    return _dataset(job["data"], job["identity"]["data"])


@functools.lru_cache(maxsize=1)
def _dataset(folder: str, digest: str) -> Dataset:
    dataset = read_dataset(Path(folder))
    if dataset.digest != digest:
        what = f"the data set in {folder} must have the digest {digest}"
        raise InputError(
            f"{what}, but on host {socket.gethostname()} it has {dataset.digest}; give all hosts the same data."
        )
    return dataset


def _view(fields: Mapping[str, Any]) -> ViewSettings:
    """Return a view's settings; JSON has lists for tuples."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    return ViewSettings(**values)
