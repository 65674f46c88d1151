"""Opens executors whose runs are jobs in a queue, and asks a queue's hosts what they are."""

import json
import queue
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from study.config.slurm import SlurmSettings
from study.execution.executors.base import Executor
from study.execution.executors.engine import Answer, EngineExecutor
from study.execution.machine import describe_host
from study.runs.identity import machinery
from study.runs.outcomes import FINISHED
from study.runs.store import Store
from study.runs.stored_json import stored_object
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

if TYPE_CHECKING:
    from study.execution.executors.queues import Queue

SLURM, LOCAL = "slurm", "submitit-local"  # as --executor names them
QUEUES = (SLURM, LOCAL)
AT_A_TIME = 100  # jobs that are queued, unless --workers says otherwise: many clusters allow a user some hundred
FRESH = 12 * 3600.0  # seconds for which an answer about hosts is taken to hold: for a day's work, not for a new node image


def open_queued(
    name: str, settings: SlurmSettings, *, workers: int | None, data: Path, store: Store, device: torch.device
) -> Executor:
    """Return an executor on a queue.

    Args:
        name: one of `QUEUES`.
        settings: what every job asks for.
        workers: jobs at a time, those that wait among them; None for a hundred.
        data: the folder of the prepared data set.
        store: where runs are kept.
        device: that they run on, as the queue's hosts name it.

    Raises:
        InputError: where submitit or SLURM is missing.
    """
    waiting = _open_queue(name, settings, folder := _new_folder(store.root))  # which says so where there is no submitit
    from study.execution.executors.slurm import SubmititEngine

    engine = SubmititEngine(waiting, size=workers or AT_A_TIME, folder=folder)
    return EngineExecutor(engine, data=data, store=store, device=str(device))


def ask_queue(name: str, settings: SlurmSettings, *, store: Store) -> list[Mapping[str, Any]]:
    """Return what a host says of itself that the queue gives jobs with these settings; the store keeps it for hours.

    Raises:
        InputError: where no job can be had there.
    """
    if name == LOCAL:
        return [describe_host()]
    kept = store.root / "slurm-hosts.json"
    asked = sorted([key, value] for key, value in settings.options if key != "time")
    key = json.dumps([asked, versions()], sort_keys=True)
    known = stored_object(kept).get(key)
    if isinstance(known, dict) and "host" in known and time.time() - known.get("asked", 0.0) < FRESH:
        return [known["host"]]
    waiting = _open_queue(name, settings, folder := _new_folder(store.root))
    print("waiting for a first job on SLURM, which tells what its hosts are", file=sys.stderr)
    host = _ask(waiting, folder)
    write_atomically(kept, to_json({**stored_object(kept), key: {"asked": time.time(), "host": host}}))
    return [host]


def _ask(waiting: "Queue", folder: Path) -> Mapping[str, Any]:
    from study.execution.executors.slurm import SubmititEngine

    answers: queue.Queue[Answer] = queue.Queue()
    with SubmititEngine(waiting, size=1, folder=folder, work=lambda: describe) as engine:
        engine.send({}, answers.put)
        answer = answers.get()
    if answer["status"] != FINISHED:
        raise InputError(f"SLURM's hosts could not be asked what they are ({answer['reason']}); change ablate.slurm.")
    host: Mapping[str, Any] = answer["host"]
    return host


def versions() -> dict[str, str]:
    """Return what runs depend on here beside the hardware: a node of the same environment has it, too."""
    below = machinery(torch.device("cpu"), precision="float32")
    return {name: value for name, value in below.items() if name != "device"}


def describe(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the host of this process says of itself, as the answer to a job."""
    return {"status": FINISHED, "reason": None, "host": describe_host()}


def _new_folder(root: Path) -> Path:
    """Return a new folder for submitit's files in the store: ids of jobs are given out again, and old results stay."""
    return root.absolute() / "submitit" / uuid.uuid4().hex[:12]


def _open_queue(name: str, settings: SlurmSettings, folder: Path) -> "Queue":
    from study.execution.executors.queues import LocalQueue, SlurmQueue

    return SlurmQueue(settings, folder=folder) if name == SLURM else LocalQueue(settings, folder=folder)
