"""Results of a section: written after each measurement, with what they were measured on."""

import json
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

from vicreg.files import to_json, write_atomically

DONE, RUNNING, STOPPED, FAILED, NOT_RUN = "done", "running", "stopped", "failed", "not run"
_ARCHIVED = (".json", ".txt", ".csv")  # no weights: those of one run are larger than all the rest


class OutOfTime(RuntimeError):
    """A section has stopped itself shortly before it would have been stopped; the message says what becomes of the rest."""


class Results:
    """The results of one section, on disk after each of them."""

    def __init__(self, path: Path, **about: Any) -> None:
        """Write that the section has begun; `about` is what its results depend on."""
        self._path, self._started = path, time.monotonic()
        self._values: dict[str, Any] = {**about, "status": RUNNING, "seconds": 0.0, "results": {}}
        self._write()

    def record(self, name: str, value: Any) -> None:
        """Add a result."""
        self._values["results"][name] = value
        self._write()

    def end(self, status: str, reason: str | None = None) -> None:
        """Write how the section ended."""
        self._values |= {"status": status, "reason": reason}
        self._write()

    def _write(self) -> None:
        self._values["seconds"] = time.monotonic() - self._started
        write_atomically(self._path, to_json(self._values))


def read_results(path: Path) -> dict[str, Any] | None:
    """Return what a section has written, or None where it has not begun."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def mark(path: Path, status: str, reason: str, **about: Any) -> None:
    """Write how a section ended that could not do so itself; what it measured stays."""
    found = read_results(path) or {**about, "results": {}}
    write_atomically(path, to_json(found | {"status": status, "reason": reason}))


def archive(folder: Path, target: Path) -> None:
    """Pack the results, logs and records of runs below a folder into a tar archive, which replaces `target` at once."""
    temporary = target.with_name(f".{target.name}.tmp")
    with tarfile.open(temporary, "w:gz", compresslevel=6) as packed:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.suffix in _ARCHIVED and path.is_file() and inside.parts[0] in ("results", "logs", "store", "studies"):
                packed.add(path, arcname=str(inside))
    temporary.replace(target)


def card() -> dict[str, str] | None:
    """Return what nvidia-smi says of the first GPU and its driver; None without it."""
    fields = ("name", "driver_version", "memory.total", "power.limit")
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    lines = said.strip().splitlines()
    return dict(zip(fields, map(str.strip, lines[0].split(",")), strict=False)) if lines else None
