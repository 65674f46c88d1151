"""A worker process: executes one run after the other for its parent.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import torch

from study.cli.command import print_in_any_encoding
from study.execution.job import read_job
from study.runs.execute import execute
from study.runs.outcomes import FAILED
from study.runs.store import Store
from vicreg.data.cache import read_dataset
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.files import write_atomically

Emit = Callable[[dict[str, Any]], None]


def main() -> None:
    """Read jobs until standard input ends, and execute each."""
    print_in_any_encoding()
    arguments = _parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    emit = _take_over_stdout()
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    store, device = Store(arguments.store), torch.device(arguments.device)
    # One cache for all workers: what the first run compiles (`pretrain.compile`) the others load.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((store.root / "compiled").absolute()))
    try:
        dataset = read_dataset(arguments.data)
    except InputError as error:
        jobs.get()
        emit({"event": "end", "status": FAILED, "reason": str(error)})
        return
    while True:
        work(jobs.get(), store=store, dataset=dataset, device=device, emit=emit)


def work(line: str, *, store: Store, dataset: Dataset, device: torch.device, emit: Emit) -> None:
    """Execute one job and emit an event an epoch and one for its end.

    An error ends this run as failed and no other; the traceback of a defect is kept beside the run.
    """
    try:
        job = read_job(line, data=dataset.digest, device=device)
    except InputError as error:
        emit({"event": "end", "status": FAILED, "reason": str(error)})
        return
    try:
        status = execute(
            job.run,
            store=store,
            dataset=dataset,
            device=device,
            on_epoch=lambda record: emit({"event": "epoch", "record": record}),
            prune_after=job.prune_after,
        )
        emit({"event": "end", "status": status})
    except InputError as error:
        emit({"event": "end", "status": FAILED, "reason": str(error)})
    except Exception as error:
        write_atomically(store.folder(job.run.digest) / "error.txt", traceback.format_exc().encode())
        emit({"event": "end", "status": FAILED, "reason": f"{type(error).__name__}: {error}".splitlines()[0]})


def _take_over_stdout() -> Emit:
    """Return what writes events; what a library prints goes to standard error, or it would be taken for an event."""
    events: TextIO = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def emit(event: dict[str, Any]) -> None:
        try:
            events.write(json.dumps(event) + "\n")
        except BrokenPipeError:
            os._exit(1)

    return emit


def _read_jobs(jobs: queue.Queue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # not sys.exit: the main thread may be in the middle of an epoch


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--device", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
