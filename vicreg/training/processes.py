"""Starts the processes that train one run together, and ends them with it.

This process is number 0. The others (`child.py`) run the same loop on their rows of every batch. They are on this machine,
find each other by a file, and talk over the loopback interface, or NCCL's ways between the GPUs of one machine. The standard
input of each is a pipe from this process. It closes when this process ends, however it ends, and the child then ends too.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from vicreg.data.dataset import Dataset, Split
from vicreg.errors import InputError
from vicreg.methods.base import Method
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.shared_batchnorm import share_batchnorm
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import check_last_batch, training_count

JOB, RENDEZVOUS, ERROR = "job.pt", "rendezvous", "error-{}.json"  # files of the folder that the processes share
# Longer than anything that number 0 does alone between two epochs: metrics, a k-NN, a checkpoint on a slow disk.
TIMEOUT = timedelta(minutes=30)
LOST = 3  # the status of a child that ends since another process has gone
# Seconds. An ended child breaks a connection at once, and this process looks for it so long before it blames something else.
_LOOK = 5.0
# A child that ends must end the run. Where this process waits in a way that no broken connection ends, it ends itself.
_GRACE = 120.0
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
_INTERFACES = {"GLOO_SOCKET_IFNAME": _LOOPBACK, "NCCL_SOCKET_IFNAME": _LOOPBACK}


def share(model: Method, settings: PretrainSettings) -> None:
    """Make a model one that this process trains on its rows of each batch."""
    for network in model.modules():
        if isinstance(network, JointEmbedding):
            network.distributed = True
    if settings.batchnorm_over == "all":
        share_batchnorm(model)


@contextmanager
def started_processes(
    settings: PretrainSettings,
    dataset: Dataset,
    *,
    device: torch.device,
    folder: Path,
    identity: str,
    start: Mapping[str, Tensor] | None,
) -> Iterator[None]:
    """Start the other processes of a run, and be number 0 of them meanwhile.

    Args:
        settings, dataset, device, folder, identity, start: as `pretrain` takes them. `device` is this process's own. On GPUs
            the others have the following ones.

    Raises:
        InputError: for a short last batch or GPUs that do not suffice, and where one of the others ended before the run.
        MemoryError: where one of the others had too little memory.
    """
    check_last_batch(settings, training_count(settings, dataset))
    devices = devices_of(device, settings.processes)
    job = {
        "settings": settings, "dataset": _without_test_images(dataset), "devices": devices, "folder": folder,
        "identity": identity, "start": None if start is None else dict(start),
    }  # fmt: skip
    shared = Path(tempfile.mkdtemp(prefix="vicreg-processes-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, shared, ignore_errors=True)
        torch.save(job, shared / JOB)
        children = stack.enter_context(_Children(shared, settings.processes))
        try:
            with joined(shared, rank=0, count=settings.processes, device=devices[0]):
                yield
                children.finish()
        except RuntimeError as error:
            # A broken connection, or anything else that may follow from a process that has gone.
            if (type(error) is RuntimeError or is_of_connections(error)) and (ended := children.first_to_fail()) is not None:
                raise children.why(ended) from error
            raise


def devices_of(device: torch.device, count: int) -> list[torch.device]:
    """Return the device of each process: the CPU for all, or GPUs from `device` on.

    Raises:
        InputError: where there are too few GPUs.
    """
    if device.type != "cuda":
        return [device] * count
    first, there = device.index or 0, torch.cuda.device_count()
    if first + count > there:
        raise InputError(
            f"pretrain.processes must not exceed the GPUs a run may use, {there - first} here, but got {count}; lower it."
        )
    return [torch.device("cuda", first + number) for number in range(count)]


@contextmanager
def joined(folder: Path, *, rank: int, count: int, device: torch.device) -> Iterator[None]:
    """Be process number `rank` of `count` that find each other in `folder`: by gloo on a CPU, by NCCL on GPUs."""
    before = {name: os.environ.get(name) for name in _INTERFACES}
    os.environ.update(_INTERFACES)
    try:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        store = dist.FileStore(str(folder / RENDEZVOUS), count)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=TIMEOUT)
        try:
            yield
        finally:
            dist.destroy_process_group()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _Children:
    """The processes of a run beside this one; none is left when the context ends.

    Args:
        folder: holds the job, and takes the last words of a child that fails.
        count: of all processes.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._children: list[subprocess.Popen[bytes]] = []
        self._is_over = threading.Event()

    def __enter__(self) -> "_Children":
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        for rank in range(1, self._count):
            command = [sys.executable, "-m", "vicreg.training.child", str(self._folder), str(rank)]
            self._children.append(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                    env={**os.environ, "PYTHONPATH": path},
                )
            )  # fmt: skip
        try:
            for child in self._children:
                assert child.stdout is not None
                if not child.stdout.readline():  # it says that it has read its job
                    child.wait()
                    raise self.why(child)
        except BaseException:
            self._kill()
            raise
        for child in self._children:
            threading.Thread(target=self._watch, args=(child,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._kill()

    def finish(self) -> None:
        """Wait for the children, which end by themselves after the last epoch."""
        for child in self._children:
            if child.wait(timeout=TIMEOUT.total_seconds()) != 0:
                raise self.why(child)

    def first_to_fail(self) -> "subprocess.Popen[bytes] | None":
        """Return a child that has failed, or fails within some seconds, and not since another process had gone."""
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=_LOOK / len(self._children))
        return next((child for child in self._children if child.poll() not in (None, 0, LOST)), None)

    def why(self, child: "subprocess.Popen[bytes]") -> Exception:
        """Return an error that says how a child ended, in one sentence."""
        number = self._children.index(child) + 1
        where = f"process {number + 1} of {self._count} of this run"
        try:
            last = json.loads((self._folder / ERROR.format(number)).read_bytes())
        except (OSError, ValueError):
            code = child.returncode
            how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            return InputError(f"{where} {how} before the run's end; call the command again, and it goes on.")
        if last["is_memory"]:
            return MemoryError(f"{where} had too little memory: {last['error']}")
        return InputError(f"{where} failed: {last['error'].rstrip('.')}; call the command again, and it goes on.")

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        """End this process where a child has failed and nothing else ends the run within the grace."""
        if child.wait() != 0 and not self._is_over.wait(_GRACE):
            print(self.why(child), file=sys.stderr, flush=True)
            self._kill()
            shutil.rmtree(self._folder, ignore_errors=True)
            os._exit(1)

    def _kill(self) -> None:
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()
            for pipe in (child.stdin, child.stdout):
                assert pipe is not None
                pipe.close()


def is_of_connections(error: Exception) -> bool:
    """Return whether an error says that another process has gone. gloo has no class for it, but names its files."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _without_test_images(dataset: Dataset) -> Dataset:
    """Return a data set without test images, which no training reads."""
    none = Split(images=dataset.test.images[:0].clone(), labels=dataset.test.labels[:0].clone())
    return dataclasses.replace(dataset, test=none)
