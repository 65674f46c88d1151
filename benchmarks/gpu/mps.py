"""NVIDIA's MPS, by which kernels of several processes run on a GPU at the same time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
_PLACES = ("/usr/local/nvidia/bin", "/usr/bin")  # beside PATH
# A process that computes on the GPU, to learn whether it can through the service.
_TRIAL = "import torch; assert torch.ones(9, device='cuda').sum().item() == 9"
_TO_START, _TO_TRY, _TO_QUIT = 10.0, 40.0, 5.0  # seconds at most


@contextmanager
def served(work: Path, *, trial: str = _TRIAL) -> Iterator[str]:
    """Serve the GPU by MPS for the processes that are started meanwhile, where this machine can; yield what came of it.

    It changes no setting of the GPU, and is ended afterwards. It is ended at once where a process cannot compute through it.
    Where the environment names a service already, that one is left alone and used.

    Args:
        work: a folder for its log; its sockets need a short path, and are below /tmp.
        trial: Python that must run through it.
    """
    control = shutil.which(CONTROL, path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    if PIPES in os.environ:
        yield f"MPS: that of {PIPES} is used, whatever it is"
        return
    if control is None:
        yield f"MPS: not there, for {CONTROL} is not installed"
        return
    pipes, log = Path(f"/tmp/mps-{os.getpid()}"), (work / "logs" / "mps").absolute()
    own = {PIPES: str(pipes), LOGS: str(log)}
    try:
        for folder in (pipes, log):
            folder.mkdir(parents=True, exist_ok=True)
        os.environ.update(own)
        if _starts(control, log) and _runs(trial):
            said = "MPS: serves the GPU"
        else:
            _quit(control, own)
            said = "MPS: not used, for it could not be started or a process failed through it; logs/mps has its log"
        yield said
    finally:
        _quit(control, own)
        shutil.rmtree(pipes, ignore_errors=True)


def _starts(control: str, log: Path) -> bool:
    """Start the service, which goes on in the background with the files that it was given."""
    with open(log / "start.txt", "ab") as out:
        try:
            done = subprocess.run([control, "-d"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=_TO_START)
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0


def _runs(trial: str) -> bool:
    command = [sys.executable, "-c", trial]
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_TO_TRY)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _quit(control: str, own: Mapping[str, str]) -> None:
    """End the service, and let processes that start from now on do without it; the second time nothing happens."""
    if os.environ.get(PIPES) != own[PIPES]:
        return
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([control], input=b"quit\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_TO_QUIT)
    for name in own:
        os.environ.pop(name, None)
