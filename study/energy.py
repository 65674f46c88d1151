"""The energy a device says it has used: counters that only ever grow, read before and after a run.

A counter belongs to a device and not to a run, so of what several runs at a time used each is given an equal share. Where no
counter can be read (most virtual machines show none), nothing is reported.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

RAPL = Path("/sys/class/powercap")  # Linux's view of Intel's and AMD's running average power limit; package domains


class Meter:
    """Joules used by a device since the meter was made."""

    def __init__(self, device: torch.device, *, rapl: Path = RAPL) -> None:
        self._counters = [_gpu_counter(device)] if device.type == "cuda" else _cpu_counters(rapl)
        self._counters = [counter for counter in self._counters if counter is not None]
        self._last = [counter() for counter, _ in self._counters]

    def joules(self) -> float | None:
        """Joules since the start; None where the device does not tell. A counter that started anew in between counts from
        zero: it wraps around after minutes to days."""
        if not self._counters:
            return None
        total = 0.0
        for (counter, wraps_at), before in zip(self._counters, self._last, strict=True):
            now = counter()
            total += now - before if now >= before else now - before + wraps_at
        return total


Counter = tuple[Callable[[], float], float]  # joules so far, and where it starts anew


def _cpu_counters(rapl: Path) -> list[Counter | None]:
    found: list[Counter | None] = []
    for folder in sorted(rapl.glob("*-rapl:*")):
        with suppress(OSError, ValueError):  # for root alone on most systems
            if not (folder / "name").read_text().startswith("package"):
                continue
            path, limit = folder / "energy_uj", int((folder / "max_energy_range_uj").read_text())
            int(path.read_text())
            found.append((lambda path=path: int(path.read_text()) / 1e6, limit / 1e6))
    return found


def _gpu_counter(device: torch.device) -> Counter | None:
    try:
        import pynvml  # comes with CUDA installations, not with this project

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.index or 0)
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # whatever a driver says, a run must not fail for want of a counter
        return None
    return (lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3), float("inf")
