"""Times one executor, in a process of its own: of this project's commit, or of an earlier one with the home-made pool.

    PYTHONPATH=CHECKOUT python -P probe.py JSON

`checkouts.py` calls it so. It imports nothing of the project before it knows whose checkout it is in.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

STUDY, PROFILE = "lambda-mu-nu", "digits"
# The worker of the home-made pool, which answers without making or executing a run.
_ANSWERS_AT_ONCE = (
    "from study import worker; worker.config_from_values = lambda values: None;"
    "worker.make_run = lambda *given, **named: None; worker.execute = lambda *given, **named: 'finished'; worker.main()"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be measured.

    Attributes:
        old: whether the checkout has the home-made pool.
        jobs: `finished`, a run that has finished is sent again; `nothing`, the worker answers without looking at it.
        workers: processes.
        one_by_one: jobs that are sent each after the answer to the one before.
        in_all: jobs that keep all workers busy.
        settings: of the study, `KEY=VALUE`.
        folder: of the store.
        out: the file that the result is written to.
    """

    old: bool
    jobs: str
    workers: int
    one_by_one: int
    in_all: int
    settings: tuple[str, ...]
    folder: str
    out: str


@dataclass(frozen=True, kw_only=True)
class Ready:
    """How to open an executor, runs as it takes them, and which processes are its workers, those that are ready."""

    open: Callable[[], Any]
    runs: Sequence[Any]
    workers_of: Callable[[Any], list[int]]


def measure(ready: Ready, asked: Asked) -> dict[str, Any]:
    """Return seconds and bytes: `first`, `one_by_one` (each), `in_all`, `closed`, and the memory of every process."""
    alone = memory_of(os.getpid())
    started = time.perf_counter()
    with ready.open() as executor:
        executor.submit(ready.runs[0])
        finish(executor)
        first = time.perf_counter() - started
        for run in ready.runs:
            executor.submit(run)
        finish(executor)
        while len(ready.workers_of(executor)) < asked.workers:
            time.sleep(0.05)
        finish_many(executor, ready.runs, 10 * asked.workers)  # each has imported by then what it needs
        each = []
        for _ in range(asked.one_by_one):
            before = time.perf_counter()
            executor.submit(ready.runs[0])
            finish(executor)
            each.append(time.perf_counter() - before)
        before = time.perf_counter()
        finish_many(executor, ready.runs, asked.in_all)
        in_all = time.perf_counter() - before
        memory = memory_of_all(ready.workers_of(executor)) | {"parent_before": alone}
        before = time.perf_counter()
    closed = time.perf_counter() - before
    return {"first": first, "one_by_one": each, "in_all": in_all, "closed": closed, "memory": memory}


def finish(executor: Any) -> None:
    """Wait until nothing is active."""
    for _ in executor.events():
        pass


def finish_many(executor: Any, runs: Sequence[Any], jobs: int) -> None:
    """Send runs again and again, each only while it is not active, until so many jobs have ended."""
    idle, sent = deque(runs), 0

    def fill() -> None:
        nonlocal sent
        while sent < jobs and executor.free:
            executor.submit(idle.popleft())
            sent += 1

    fill()
    for event in executor.events():
        if event.kind == "end":
            assert event.status == "finished", event.reason
            idle.append(getattr(event, "cell", None) or event.run)
            fill()


def memory_of(process: int) -> dict[str, int]:
    """Return a process's resident memory in bytes: `rss`, and `pss`, where processes divide what they share."""
    found = psutil.Process(process).memory_full_info()
    return {"rss": found.rss, "pss": found.pss}


def memory_of_all(workers: Sequence[int]) -> dict[str, Any]:
    """Return the memory of this process, of each worker, and of each other process that it has started."""
    children = [child.pid for child in psutil.Process().children(recursive=True)]
    return {
        "parent": memory_of(os.getpid()),
        "workers": [memory_of(pid) for pid in workers],
        "others": [memory_of(pid) for pid in children if pid not in workers],
    }


def old_pool(asked: Asked) -> Ready:
    """Return the home-made pool, and untrained runs that have finished."""
    ablate, runs = import_module("study.ablate"), import_module("study.runs")
    given = ["--study", STUDY, "--profile", PROFILE, "--seeds", str(asked.workers), "--device", "cpu"]
    given += ["--store", asked.folder, *(part for setting in asked.settings for part in ("--set", setting))]
    session = import_module("study.session").open_session(ablate.parse_arguments(given))
    plan = ablate.plan_of(session, import_module("study.schedule").Lookup(session))
    cells = [cell for cell in plan.cells if cell.is_control]
    for cell in cells:
        runs.execute(cell.run, store=session.store, dataset=session.dataset, device=session.device)

    def open_pool() -> Any:
        pool = import_module("study.pool").Pool(
            workers=asked.workers, data=session.data_folder, store=session.store, device=str(session.device)
        )
        if asked.jobs == "nothing":
            command = pool._command
            pool._command = [command[0], "-c", _ANSWERS_AT_ONCE, *command[command.index("--data") :]]
        return pool

    return Ready(
        open=open_pool,
        runs=cells,
        workers_of=lambda _: [child.pid for child in psutil.Process().children()],
    )


def new_executor(asked: Asked) -> Ready:
    """Return the executor on Dask's workers on this host, and untrained runs that have finished."""
    from study.config.values import parse_settings
    from study.execution.executors.opening import open_local
    from study.execution.request import Request
    from study.execution.scheduler import Lookup
    from study.execution.session import open_session
    from study.runs.execute import execute

    unfold = import_module("study.design.unfold").unfold
    request = Request(
        study=STUDY, profile=PROFILE, overrides=parse_settings(asked.settings), seeds=asked.workers, device="cpu",
        store=Path(asked.folder),
    )  # fmt: skip
    session = open_session(request)
    runs = [cell.run for cell in unfold(session, Lookup(session)).cells if cell.is_control]
    for run in runs:
        execute(run, store=session.store, dataset=session.dataset, device=session.device)
    engines = []

    def open_it() -> Any:
        from study.execution.executors import dask  # not above: its import is a part of the start

        if asked.jobs == "nothing":
            dask.run_job = import_module("benchmarks.scale.jobs").nothing

        class Kept(dask.LocalWorkers):  # its workers can be asked for their processes
            def __enter__(self) -> Any:
                engines.append(self)
                return super().__enter__()

        dask.LocalWorkers = Kept  # type: ignore[misc]
        return open_local(workers=asked.workers, data=session.data_folder, store=session.store, device=session.device)

    return Ready(open=open_it, runs=runs, workers_of=lambda _: sorted(engines[-1].ask(os.getpid).values()))


def main() -> None:
    given = json.loads(sys.argv[1])
    asked = Asked(**{**given, "settings": tuple(given["settings"])})
    found = measure((old_pool if asked.old else new_executor)(asked), asked)
    Path(asked.out).write_text(json.dumps(found), encoding="utf-8")


def to_argument(asked: Asked) -> str:
    """Return the argument that makes this program measure something."""
    return json.dumps(asdict(asked))


if __name__ == "__main__":
    main()
