"""Dask's scheduler, or many of its workers in one process, for jobs that sleep.

    python -m benchmarks.scale.crowd scheduler
    python -m benchmarks.scale.crowd workers tcp://HOST:PORT NUMBER FOLDER

It prints the scheduler's address, or `ready` once the scheduler has all workers, and ends when its standard input does.
"""

import asyncio
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import dask
from distributed import Scheduler, Worker

from benchmarks.scale import jobs

# What a process does for itself, a thousand times in one, would be most of the load. A real worker has it on its own host.
QUIET = {
    "distributed.admin.tick.interval": "60s",
    "distributed.admin.tick.cycle": "60s",
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.system-monitor.disk": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.low-level-log-length": 10,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.use-file-locking": False,  # each would look at the folders of all that were there before
    "distributed.comm.timeouts.connect": "120s",
}
AT_A_TIME = 50  # that connect; a scheduler's queue of connections is short


async def gather(address: str, number: int, folder: str) -> None:
    """Start workers, say so, and let them work until standard input ends."""
    # Dask's own threads look once a second whether they should end. Each worker still has one job at a time.
    threads = ThreadPoolExecutor(max_workers=number)
    for first in range(0, number, AT_A_TIME):
        workers = [
            Worker(
                address, nthreads=1, host="127.0.0.1", memory_limit=0, dashboard=False, local_directory=folder,
                silence_logs=logging.CRITICAL, death_timeout=120, executor=threads,
            )
            for _ in range(min(AT_A_TIME, number - first))
        ]  # fmt: skip
        await asyncio.gather(*workers)
        for worker in workers:  # each second; jobs have no inputs that could be missing
            worker.periodic_callbacks["find-missing"].stop()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def schedule() -> None:
    """Start a scheduler as `dask scheduler` does, say where, and let it work until standard input ends."""
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler:
        print(scheduler.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    assert jobs  # it is imported before the first job asks for it
    what, *rest = sys.argv[1:]
    if what == "scheduler":
        asyncio.run(schedule())
    else:
        address, number, folder = rest
        dask.config.set(QUIET)
        asyncio.run(gather(address, int(number), folder))


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(0)  # a thousand workers need not take leave one by one
