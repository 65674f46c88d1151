"""Dask's cluster on this host: its workers listen on loopback alone, are silent here and have environments of their own."""

import asyncio
import functools
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import LocalCluster, Nanny, Security, Status, Worker

LOOPBACK = "127.0.0.1"
CLOSES_WITHIN = 5.0  # seconds for one that has no process any more
STARTS_WITHIN = 60.0  # seconds for a worker's process to be there, on a busy host


class LocalWorkersCluster(LocalCluster):
    """Dask's cluster on this host, whose workers are silent here and have environments of their own."""

    def __init__(self, *, log: Path, environments: Sequence[Mapping[str, str]]) -> None:
        self._printed, self._environments = log, environments
        self._nannies: dict[Any, Nanny] = {}
        self._gone_since: dict[Any, float] = {}
        super().__init__(
            n_workers=0, threads_per_worker=1, processes=True, host=LOOPBACK, dashboard_address=None, memory_limit=0,
            security=Security.temporary(), silence_logs=logging.CRITICAL,
            # It serves a page in any case; by default on the port 8787, which another command may have.
            scheduler_kwargs={"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"},
        )  # fmt: skip

    def new_worker_spec(self) -> dict[Any, dict[str, Any]]:
        """Return the next worker's name and what it is made of: it has the environment that the fewest have."""
        taken = Counter(spec["environment"] for spec in self.worker_spec.values())
        place = min(range(len(self._environments)), key=lambda one: taken[one])
        ((name, spec),) = super().new_worker_spec().items()
        options = {
            **spec["options"],
            "env": dict(self._environments[place]),
            "worker_class": functools.partial(_silent_worker, log=str(self._printed)),
            "silence_logs": logging.WARNING,
        }
        return {name: {"cls": self._make_nanny, "options": options, "environment": place}}

    def _make_nanny(self, *arguments: Any, **options: Any) -> Nanny:
        nanny = _Nanny(*arguments, **options)
        self._nannies[nanny.name] = nanny
        return nanny

    def replace_lost(self) -> int:
        """Forget the workers that could not be started, and return how many; Dask starts those again that died later.

        One that it could not start again it takes for running. That its process is gone tells it.
        """
        now, lost = time.monotonic(), []
        for name, nanny in list(self._nannies.items()):
            if nanny.is_alive():
                self._gone_since.pop(name, None)
                continue
            waited = now - self._gone_since.setdefault(name, now)
            if nanny.status in (Status.closed, Status.failed) or waited > STARTS_WITHIN:
                lost.append(name)
        for name in lost:
            self._gone_since.pop(name, None)
            del self._nannies[name]
            self.worker_spec.pop(name, None)
            self.workers.pop(name, None)
        return len(lost)

    def kill(self) -> None:
        """Kill every worker, and start none again."""
        for nanny in list(self._nannies.values()):
            nanny.close_gracefully()
            if pid := nanny.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class _Nanny(Nanny):
    """Starts a worker's process again when it dies."""

    async def close(self, *arguments: Any, **options: Any) -> Any:
        """Close it, in some seconds: one whose worker died while it started waits for ever, and all others with it."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(super().close(*arguments, **options), CLOSES_WITHIN)
        return "OK"


def _silent_worker(*arguments: Any, log: str, **options: Any) -> Worker:
    """Make a process a worker: Ctrl-C is its parent's to hear, and what it prints goes to a file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(log, "ab") as file:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return Worker(*arguments, **options)
