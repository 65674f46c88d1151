"""Trains one run beside its first process: `python -m vicreg.training.child FOLDER NUMBER`.

`processes.py` starts it, and reads one line from it once it has its job. It logs and writes nothing of the run.
"""

import json
import os
import shutil
import sys
import threading
from pathlib import Path

import torch

from vicreg.errors import InputError
from vicreg.files import write_atomically
from vicreg.training.loop import Diverged, pretrain
from vicreg.training.processes import ERROR, JOB, LOST, is_of_connections, joined

FAILED = 1  # any other status than 0 and LOST would do
_TO_BE_ENDED = 30.0  # seconds that number 0 has to end, or to end this process, when a connection is broken


def main() -> None:
    """Train the run that the folder describes as one of its processes; end without cleaning up, as all ends at once."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    watch = threading.Thread(target=_end_with_parent, args=(folder,), daemon=True)
    watch.start()
    try:
        train(folder, rank)
    except Diverged:
        os._exit(FAILED)  # number 0 finds and says the same
    except Exception as error:
        if is_of_connections(error):
            watch.join(_TO_BE_ENDED)  # another has gone: where that is number 0, the folder is removed first
            os._exit(LOST)
        words = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}".splitlines()[0]
        said = {"error": words, "is_memory": is_out_of_memory(error)}
        write_atomically(folder / ERROR.format(rank), json.dumps(said).encode())
        os._exit(FAILED)
    os._exit(0)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that a device has too little memory; for a CPU torch has no error of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def train(folder: Path, rank: int) -> None:
    """Train as process number `rank` of the run whose job lies in `folder`."""
    # Our own file, in a folder that this user alone may open. Its images are mapped, so all processes share one copy.
    job = torch.load(folder / JOB, weights_only=False, mmap=True)
    print("has its job", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    device = job["devices"][rank]
    with joined(folder, rank=rank, count=len(job["devices"]), device=device):
        pretrain(
            job["settings"], job["dataset"], device=device, folder=job["folder"], identity=job["identity"],
            start=job["start"],
        )  # fmt: skip


def _end_with_parent(folder: Path) -> None:
    """End this process at once when its standard input does, which is when the process that started it does."""
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(LOST)


if __name__ == "__main__":
    main()
