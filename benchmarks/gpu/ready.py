"""Says what has been unpacked in the background, and waits for it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu.results import read_results
from vicreg.errors import InputError


def ready_path(work: Path, what: str) -> Path:
    """Return the file that is there when something has been unpacked, or could not be."""
    return work / "ready" / f"{what}.json"


def packages_path(work: Path) -> Path:
    """Return the folder of installed packages."""
    return work / "packages"


def wait_until_ready(
    work: Path, what: str, *, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Return what was said of something unpacked, once it is there.

    Raises:
        InputError: where it could not be unpacked, or not in time.
    """
    ends = time.monotonic() + seconds
    while (said := read_results(ready_path(work, what))) is None:
        if time.monotonic() > ends:
            raise InputError(f"the {what} were not unpacked within {seconds:.0f} s.")
        sleep(0.2)
    if "error" in said:
        raise InputError(f"the {what} could not be unpacked: {said['error']}")
    return said
