"""A worker process: executes one run after the other for the command that started it, and dies with it.

Jobs come as JSON lines on standard input, events go as JSON lines to standard output. Standard input ends when the
parent does, however it ends; a thread that reads it then ends this process at once, so that nothing is left behind.
A run that a worker is in the middle of goes on from its last checkpoint next time.
"""

import argparse
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import torch

from study.config.config import config_from_values
from study.runs.store import FAILED, Store, execute, make_run
from vicreg.data.cache import read_dataset
from vicreg.errors import InputError
from vicreg.files import write_atomically
from vicreg.views.settings import ViewSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--device", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not be taken for an event

    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    store, device = Store(arguments.store), torch.device(arguments.device)
    # One cache for all workers: what the first run compiles (`pretrain.compile`) the others load.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((store.root / "compiled").absolute()))

    def emit(**event: Any) -> None:
        try:
            events.write(json.dumps(event) + "\n")
        except BrokenPipeError:
            os._exit(1)

    try:
        dataset = read_dataset(arguments.data)
    except InputError as error:
        jobs.get()
        emit(event="end", status=FAILED, reason=str(error))
        return
    while True:
        job = jobs.get()
        run = make_run(
            config_from_values(job["values"]),
            data=dataset.digest,
            device=device,
            probes=tuple(job["probes"]),
            views=tuple(_view(fields) for fields in job["views"]),
        )
        try:
            status = execute(
                run,
                store=store,
                dataset=dataset,
                device=device,
                on_epoch=lambda record: emit(event="epoch", record=record),
                prune_after=job["prune_after"],
            )
            emit(event="end", status=status)
        except InputError as error:
            emit(event="end", status=FAILED, reason=str(error))
        except Exception as error:  # a defect in one run must not stop the others; its traceback is kept beside it
            write_atomically(store.folder(run.digest) / "error.txt", traceback.format_exc().encode())
            emit(event="end", status=FAILED, reason=f"{type(error).__name__}: {error}".splitlines()[0])


def _view(fields: dict[str, Any]) -> ViewSettings:
    """A view's settings back from JSON, which has lists for tuples."""
    return ViewSettings(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


def _read_jobs(jobs: queue.Queue) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)  # not sys.exit: the main thread may be in the middle of an epoch


if __name__ == "__main__":
    main()
