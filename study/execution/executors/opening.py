"""Opens the executor that a request asks for. Dask is imported only then."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from study.execution.executors.base import Executor
from study.execution.executors.engine import EngineExecutor
from study.execution.executors.starting import start_fork_server
from study.execution.gpus import device_environments
from study.runs.store import Store

WORKERS_LOG = "workers.log"


def open_local(*, workers: int, data: Path, store: Store, device: torch.device, devices_each: int = 1) -> Executor:
    """Return an executor of so many worker processes on this host, dealt out among its devices, so many to each."""
    start_fork_server()
    from study.execution.executors.dask import LocalWorkers

    engine = LocalWorkers(workers, log=store.root / WORKERS_LOG, environments=device_environments(device, each=devices_each))
    return EngineExecutor(engine, data=data, store=store, device=str(device))


def open_remote(address: str, *, workers: int | None, data: Path, store: Store, device: torch.device) -> Executor:
    """Return an executor on the workers of the scheduler at an address; `workers` is None for as many as there are."""
    from study.execution.executors.dask import SchedulerWorkers

    return EngineExecutor(SchedulerWorkers(address, workers=workers), data=data, store=store, device=str(device))


def ask_workers(address: str) -> list[Mapping[str, Any]]:
    """Return what each worker of the scheduler at an address says of its host.

    Raises:
        InputError: where none answers.
    """
    from study.execution.executors.dask import SchedulerWorkers

    with SchedulerWorkers(address) as engine:
        return list(engine.describe())
