"""NVIDIA's MPS, by which kernels of several processes run on a GPU at the same time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
_PLACES = ("/usr/local/nvidia/bin", "/usr/bin")  # beside PATH
# A process that computes on the GPU, to learn whether it can through the service.
_TRIAL = "import torch; assert torch.ones(9, device='cuda').sum().item() == 9"
_SECONDS = 60.0


@contextmanager
def served(work: Path, *, trial: str = _TRIAL) -> Iterator[str]:
    """Serve the GPU by MPS for the processes that are started meanwhile, where this machine can; yield what came of it.

    It changes no setting of the GPU, and is ended afterwards. It is ended at once where a process cannot compute through it.

    Args:
        work: a folder for its log; its sockets need a short path, and are below /tmp.
        trial: Python that must run through it.
    """
    control = shutil.which(CONTROL, path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    if control is None:
        yield f"MPS: not there, for {CONTROL} is not installed"
        return
    pipes, log = Path(f"/tmp/mps-{os.getpid()}"), work / "logs" / "mps"
    own = {"CUDA_MPS_PIPE_DIRECTORY": str(pipes), "CUDA_MPS_LOG_DIRECTORY": str(log.absolute())}
    for folder in (pipes, log):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(own)
    started = subprocess.run([control, "-d"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    said = "MPS: serves the GPU"
    try:
        if started.returncode != 0 or not _runs(trial):
            _quit(control)
            said = f"MPS: not used, for it could not be started or a process failed through it; {log} has its log"
        yield said
    finally:
        _quit(control)
        shutil.rmtree(pipes, ignore_errors=True)


def _runs(trial: str) -> bool:
    try:
        return subprocess.run([sys.executable, "-c", trial], capture_output=True, timeout=_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _quit(control: str) -> None:
    """End the service, and let processes that start from now on do without it; the second time nothing happens."""
    if os.environ.pop("CUDA_MPS_PIPE_DIRECTORY", None) is None:
        return
    pipes = {"CUDA_MPS_PIPE_DIRECTORY": f"/tmp/mps-{os.getpid()}"}
    subprocess.run([control], input="quit\n", capture_output=True, text=True, timeout=_SECONDS, env=os.environ | pipes)
    os.environ.pop("CUDA_MPS_LOG_DIRECTORY", None)
