"""The energy that each run has used, by its device's own counters.

A counter only ever grows, and is read every two seconds by the process that executes the run. It belongs to the device: what
that used is shared alike among the runs that this user has going on it, which find each other in a folder of this host. What
other programs used meanwhile is counted as if the runs had. Where no counter can be read (most virtual machines show none),
nothing is reported.

A GPU's counter is read through NVIDIA's management library, whose Python package `nvidia-ml-py` is no requirement of this
project: `pip install .[energy]` brings it. Without it, or where a GPU is divided (MIG), a GPU has no energy.
"""

import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import torch

from study.runs.run import Run
from study.runs.store import Store

RAPL = Path("/sys/class/powercap")  # Linux's view of Intel's and AMD's running average power limit; package domains
READ_EVERY = 2.0  # seconds; RAPL's counters of 32 bits wrap around after some minutes, and others begin and end meanwhile
NOTE_EVERY = 30.0  # seconds; a run that is killed has lost no more


@contextmanager
def noted_energy(
    run: Run, store: Store, device: torch.device, *, meter: "Meter | None" = None, every: float = READ_EVERY
) -> Iterator[None]:
    """Note in the store what a run uses of its device meanwhile, however it ends.

    Args:
        run: that is executed.
        store: that has the note.
        device: that it shares with the other runs of this user on this host.
        meter: of the energy that the device uses; None for its own counters.
        every: seconds from one reading to the next.
    """
    settings = run.config.pretrain
    meter = meter or Meter(device, number=settings.processes if settings.distributed else 1)
    if not meter.tells:
        yield
        return
    ended = threading.Event()
    with going(device) as count:
        reader = threading.Thread(target=_read, args=(meter, count, run, store, every, ended), daemon=True, name="energy")
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()


def _read(meter: "Meter", count: Callable[[], int], run: Run, store: Store, every: float, ended: threading.Event) -> None:
    used, noted, last = 0.0, time.monotonic(), False
    while not last:
        last = ended.wait(every)
        if (joules := meter.joules()) is None:
            return
        used += joules / count()
        if last or time.monotonic() - noted >= NOTE_EVERY:
            store.add_energy(run, used)
            used, noted = 0.0, time.monotonic()


@contextmanager
def going(device: torch.device, *, folder: Path | None = None) -> Iterator[Callable[[], int]]:
    """Count this process among those of this user that have a run going on a device, and yield what counts them.

    Each has an empty file, named by its number and the time of its start, since numbers are given again.

    Args:
        device: of this host.
        folder: of these files; None for one among the temporary files of the host.
    """
    folder = (folder or Path(tempfile.gettempdir()) / f"vicreg-study-going-{os.getuid()}") / _name(device)
    own = folder / _token(psutil.Process())

    def count() -> int:
        found = 1
        for path in folder.glob("*-*"):
            if path.name == own.name:
                continue
            try:
                found += _token(psutil.Process(int(path.name.partition("-")[0]))) == path.name
            except (psutil.Error, ValueError):
                path.unlink(missing_ok=True)
        return found

    with suppress(OSError):  # then each counts for itself
        folder.mkdir(parents=True, exist_ok=True)
        own.touch()
    try:
        yield count
    finally:
        with suppress(OSError):
            own.unlink(missing_ok=True)


def _token(process: psutil.Process) -> str:
    return f"{process.pid}-{process.create_time():.2f}"


def _name(device: torch.device) -> str:
    """Return the name of a device that all processes of this host have for it."""
    return str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else device.type


class Meter:
    """Joules used by a device, or by so many GPUs from it on, since it was last asked or since the meter was made."""

    def __init__(self, device: torch.device, *, number: int = 1, rapl: Path = RAPL) -> None:
        first = device.index or 0
        gpus = [torch.device("cuda", first + index) for index in range(number)]
        counters = [_gpu_counter(one) for one in gpus] if device.type == "cuda" else _cpu_counters(rapl)
        self._counters = [counter for counter in counters if counter is not None]
        self._last = [counter() for counter, _ in self._counters]

    @property
    def tells(self) -> bool:
        """Whether the device has counters that can be read."""
        return bool(self._counters)

    def joules(self) -> float | None:
        """Return the joules since the last call; None where the device does not tell, and from then on.

        A counter that has wrapped around in between goes on from its limit. One without a limit was reset, and counts
        from zero.
        """
        if not self._counters:
            return None
        total = 0.0
        for index, (counter, wraps_at) in enumerate(self._counters):
            try:
                now = counter()
            except Exception:  # whatever a driver says, a study must not fail for want of a counter
                self._counters = []
                return None
            gained = now - self._last[index]
            total += gained if gained >= 0 else now if wraps_at is None else gained + wraps_at
            self._last[index] = now
        return total


Counter = tuple[Callable[[], float], float | None]  # joules so far, and where it wraps around


def _cpu_counters(rapl: Path) -> list[Counter | None]:
    found: list[Counter | None] = []
    for folder in sorted(rapl.glob("*-rapl:*")):
        with suppress(OSError, ValueError):  # for root alone on most systems
            if not (folder / "name").read_text().startswith("package"):
                continue
            limit = int((folder / "max_energy_range_uj").read_text())
            counter = functools.partial(_joules_in, folder / "energy_uj")
            counter()
            found.append((counter, limit / 1e6))
    return found


def _joules_in(path: Path) -> float:
    return int(path.read_text(encoding="utf-8")) / 1e6


def _gpu_counter(device: torch.device) -> Counter | None:
    """Return the counter of the GPU that torch calls `device`, found by its UUID.

    NVML numbers all GPUs of the machine, torch those of CUDA_VISIBLE_DEVICES, in its order.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # whatever a driver says, a study must not fail for want of a counter
        return None
    return (lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3), None
