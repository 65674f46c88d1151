"""The energy that each run has used, by its device's own counters.

A counter only ever grows, and is read whenever something is heard of a run. It belongs to the device: what that used while
several runs were going is shared alike among them, and what it used while none was is nobody's. What other programs used
meanwhile is counted as if the runs had. Where no counter can be read (most virtual machines show none), nothing is reported.

A GPU's counter is read through NVIDIA's management library, whose Python package `nvidia-ml-py` is no requirement of this
project: `pip install .[energy]` brings it. Without it, or where a GPU is divided (MIG), a GPU has no energy.
"""

import functools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

RAPL = Path("/sys/class/powercap")  # Linux's view of Intel's and AMD's running average power limit; package domains


class Shares:
    """What each of several runs at a time has used of a device.

    Read it often. A counter that wraps around twice between two readings has lost a round, and what was used is shared
    among the runs that were going since the last reading.
    """

    def __init__(self, meter: "Meter") -> None:
        self._meter = meter
        self._going: dict[int, float | None] = {}

    def read(self) -> None:
        """Give what was used since the last reading to the runs that are going, in equal parts."""
        used = self._meter.joules()
        for worker, before in self._going.items():
            self._going[worker] = None if used is None or before is None else before + used / len(self._going)

    def begin(self, worker: int) -> None:
        """Begin to count for the run on this worker."""
        self.read()
        self._going[worker] = 0.0

    def end(self, worker: int) -> float | None:
        """Return the joules of the run that has ended on this worker; None where the device did not always tell."""
        self.read()
        return self._going.pop(worker)


class Meter:
    """Joules used by a device since it was last asked, or since the meter was made."""

    def __init__(self, device: torch.device, *, rapl: Path = RAPL) -> None:
        counters = [_gpu_counter(device)] if device.type == "cuda" else _cpu_counters(rapl)
        self._counters = [counter for counter in counters if counter is not None]
        self._last = [counter() for counter, _ in self._counters]

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
