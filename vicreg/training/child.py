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


def main() -> None:
    """Train the run that the folder describes as one of its processes; end without cleaning up, as all ends at once."""
    folder, rank = Path(sys.argv[1]), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    try:
        train(folder, rank)
    except Diverged:
        os._exit(FAILED)  # number 0 finds and says the same
    except Exception as error:
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        words = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}".splitlines()[0]
        write_atomically(folder / ERROR.format(rank), json.dumps({"error": words, "is_memory": is_memory}).encode())
        os._exit(LOST if is_of_connections(error) and not is_memory else FAILED)
    os._exit(0)


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
