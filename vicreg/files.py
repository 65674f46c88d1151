"""Paths of people, files written atomically, and JSON and CSV with reproducible bytes."""

import csv
import errno
import io
import json
import os
import platform
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vicreg.errors import InputError


def user_path(text: str | Path, *, of: str) -> Path:
    """Return a path that a person wrote, with `~` and `~name` replaced by the home folder; `of` says what it is.

    Raises:
        InputError: where nobody of that name has a home folder here, and for a text that no path can be.
    """
    if "\0" in str(text):
        raise InputError(f"{of} must be a path, but got {str(text)!r}; write it without the character of value 0.")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        rule = f"{of} must begin with a folder of this machine"
        raise InputError(f"{rule}, but got {str(text)!r}; write it in full.") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is either the old or the new one whenever the process dies.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    temporary = temporary_path(path)
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


def temporary_path(path: Path) -> Path:
    """Return the name beside `path` that this thread of this process on this host writes under, and no other does.

    A host's name alone is not enough where containers share a folder, nor a process's number where hosts do.
    """
    return path.with_name(f".{path.name}.{writer_name()}.tmp")


def writer_name() -> str:
    """Return host, process and thread as one word that a file's name can hold: `node7-4711-4712`."""
    host = re.sub(r"[^A-Za-z0-9.]+", "-", platform.node())[:64] or "host"
    return f"{host}-{os.getpid()}-{threading.get_native_id()}"


def to_json(value: Any) -> bytes:
    """Return JSON with sorted keys and a final newline: equal values give equal bytes."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table as CSV; a value is quoted where it holds a comma, a quote or the end of a line, and nowhere else."""
    lines = []
    for row in (columns, *rows):
        line = io.StringIO(newline="")
        csv.writer(line).writerow(row)  # ends in "\r\n", so that a lone "\r" or "\n" within a value is quoted too
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode()


def flush_folder(folder: Path) -> None:
    """Write the entries of `folder` to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_error(path: Path, error: OSError) -> InputError:
    """Return the `InputError` for an error in writing `path`, with what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "free some space and start again: what was finished before is kept"
        return InputError(f"no space is left to write {path} ({error.strerror}); {remedy}.")
    return InputError(f"{path} cannot be written ({error.strerror}); make its folder writable and start again.")
