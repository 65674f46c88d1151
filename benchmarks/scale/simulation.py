"""Many workers of one scheduler on this host, with jobs that sleep: what bringing a job to a worker costs."""

import functools
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.measure import ROOT, foreign_share, processor_time
from benchmarks.scale import jobs
from benchmarks.scale.made_up import one_real_run, runs_like, write_finished
from benchmarks.scale.probe import finish_many
from study.config.values import parse_settings
from study.execution.executors import dask
from study.execution.executors.engine import EngineExecutor
from study.runs.store import Store
from vicreg.errors import InputError


def simulate(
    workers: int, *, waves: int, seconds: float, settings: Sequence[str], processes: int = 2, rest: float = 5.0
) -> dict[str, Any]:
    """Send jobs that sleep to a scheduler with many workers, by this project's own executor, and time it.

    The scheduler has a process of its own, and the workers share `processes` others. Each job is a run's, with a folder in
    a store; it sleeps in place of training. The run has finished there before, so the executor believes the answer.

    Args:
        workers: of the scheduler, and jobs at a time.
        waves: jobs for each worker, one after the other.
        seconds: that a job sleeps.
        settings: of the run that is made up so often, `KEY=VALUE`.
        processes: that workers are put into.
        rest: seconds without jobs, for what the scheduler does of itself.
    """
    before, began = processor_time(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        store = Store(folder / "store")
        real, data = one_real_run(store, parse_settings(settings))
        runs = runs_like(real, workers)
        write_finished(runs, like=real, store=store)
        with cluster(workers, processes, folder) as (address, scheduler, crowd):
            started = time.perf_counter() - began
            executor = EngineExecutor(dask.SchedulerWorkers(address, workers=workers), data=data, store=store, device="cpu")
            meter = Meter({"scheduler": [scheduler], "client": [os.getpid()], "workers": crowd})
            with executor:
                with _jobs_that_sleep(0.0):
                    finish_many(executor, runs, workers)  # connections are made by then
                    at_once = meter.over(lambda: finish_many(executor, runs, workers))
                resting = meter.over(lambda: time.sleep(rest))
                with _jobs_that_sleep(seconds):
                    asleep = meter.over(lambda: finish_many(executor, runs, waves * workers))
                memory = {name: sum(map(_memory, pids)) for name, pids in meter.processes.items()}
    return {
        "workers": workers, "jobs": waves * workers, "job_seconds": seconds, "started": started, "at_once": at_once,
        "resting": resting,
        "asleep": asleep, "overhead": overhead(asleep["wall"], jobs=waves * workers, workers=workers, seconds=seconds),
        "memory": memory, "foreign_load": foreign_share(before, processor_time()),
    }  # fmt: skip


def overhead(wall: float, *, jobs: int, workers: int, seconds: float) -> float:
    """Return seconds a job beyond what so many workers need at least: (wall - waves x seconds) / jobs."""
    return (wall - math.ceil(jobs / workers) * seconds) / jobs


class Meter:
    """Processor time of some processes, by the name of what they are."""

    def __init__(self, processes: Mapping[str, Sequence[int]]) -> None:
        self.processes = processes

    def over(self, work: Any) -> dict[str, float]:
        """Do some work, and return its `wall` time and each name's processor time meanwhile, seconds."""
        before, started = self._spent(), time.perf_counter()
        work()
        wall = time.perf_counter() - started
        return {"wall": wall, **{name: now - before[name] for name, now in self._spent().items()}}

    def _spent(self) -> dict[str, float]:
        return {name: sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids) for name, pids in self.processes.items()}


@contextmanager
def cluster(workers: int, processes: int, folder: Path) -> Iterator[tuple[str, int, list[int]]]:
    """Start a scheduler and workers on loopback; yield its address, its process and those of the workers.

    Raises:
        InputError: where they do not start.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started: list[subprocess.Popen[str]] = []
    log = open(folder / "log.txt", "a", encoding="utf-8")

    def start(*command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "benchmarks.scale.crowd", *command], env=environment, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        started.append(process)
        return process

    def say(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        if line := process.stdout.readline().strip():
            return line
        said = (folder / "log.txt").read_text(encoding="utf-8").strip().splitlines()
        raise InputError(f"{workers} workers could not be started ({said[-1] if said else 'they said nothing'}).")

    try:
        scheduler = start("scheduler")
        address = say(scheduler)
        shares = [workers // processes + (place < workers % processes) for place in range(processes)]
        crowd = [start("workers", address, str(share), str(folder)) for share in shares if share]
        for process in crowd:
            say(process)
        yield address, scheduler.pid, [process.pid for process in crowd]
    finally:
        for process in reversed(started):
            process.kill()
        for process in started:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        log.close()


def _jobs_that_sleep(seconds: float) -> Any:
    return patch.object(dask, "run_job", functools.partial(jobs.sleep, seconds=seconds))


def _memory(process: int) -> int:
    found: int = psutil.Process(process).memory_full_info().pss
    return found


def simulation_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return a row for each number of workers; processor times are of the jobs that sleep."""
    return [
        {
            "workers": str(one["workers"]),
            "jobs": f"{one['jobs']:,} of {one['job_seconds']:g} s",
            "wall, s": f"{one['asleep']['wall']:.1f}",
            "overhead, ms a job": f"{1000 * one['overhead']:.2f}",
            "scheduler, ms a job": f"{1000 * one['asleep']['scheduler'] / one['jobs']:.2f}",
            "command, ms a job": f"{1000 * one['asleep']['client'] / one['jobs']:.2f}",
            "jobs a second at most": f"{one['workers'] / one['at_once']['wall']:.0f}",
            "scheduler at rest": f"{one['resting']['scheduler'] / one['resting']['wall']:.1%}",
            "its memory, MB": f"{one['memory']['scheduler'] / 1e6:.0f}",
        }
        for one in results
    ]
