"""Files: written whole or not at all, and JSON whose bytes depend on the value alone."""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from vicreg.errors import InputError


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that it is either the old one or the new one, whenever the process dies.

    Raises:
        InputError: where the disk is full or may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def to_json(value: Any) -> bytes:
    """JSON with sorted keys and a closing newline: the same value always gives the same bytes."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def flush_folder(folder: Path) -> None:
    """Makes a rename in `folder` outlast a power cut, not only the end of the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_error(path: Path, error: OSError) -> InputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "free some space and start again: what was finished before is kept"
        return InputError(f"no space is left to write {path} ({error.strerror}); {remedy}.")
    return InputError(f"{path} cannot be written ({error.strerror}); make its folder writable and start again.")
