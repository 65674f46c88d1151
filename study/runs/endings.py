"""Writes how a run ended, so that no other ending replaces a finished one.

Two hosts without a lock between them may end one run at the same moment. A check before a write is too early then: what
counts is the file that the write would replace. It is therefore taken away by a rename, which one of the two alone does.
"""

import functools
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.runs.outcomes import ENDINGS, FINISHED
from study.runs.stored_json import holds, stored_list, stored_object
from vicreg.files import disk_error, temporary_path, to_json, write_atomically

KEYS = ("status", "reason")  # of what is noted of an ending


def read_ending(path: Path, log: Path) -> dict[str, Any]:
    """Return what a file notes of an ending; nothing where it notes none, or a finished training's log is lost."""
    ended = noted_ending(path)
    if ended.get("status") != FINISHED:
        return ended
    is_whole = holds(log, list, ()) and ended.get("log") in (None, log_digest(log))  # none by an earlier version
    return ended if is_whole else {}


def noted_ending(path: Path) -> dict[str, Any]:
    """Return what a file notes of an ending, whatever became of the log; nothing where it cannot be read."""
    ended = stored_object(path, KEYS)
    is_one = ended.get("status") in ENDINGS and isinstance(ended["reason"], str | None)
    return ended if is_one else {}


def log_digest(log: Path) -> str:
    """Return the digest of a run's log without what differs each time a run is computed."""
    about = log.stat()
    return _log_digest(log, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=100_000)
def _log_digest(log: Path, changed: int, size: int) -> str:
    """Do what `log_digest` does, once for each state of a file."""
    return digest_of(stored_list(log))


def digest_of(history: list[dict[str, Any]]) -> str:
    """Return the digest that `log_digest` returns once these records are written."""
    kept = [{key: value for key, value in record.items() if key != "images_per_second"} for record in history]
    return hashlib.sha256(to_json(kept)).hexdigest()


def write_ending(path: Path, log: Path, content: bytes) -> bool:
    """Write an ending that is none of a finished training; return False where a finished one is there, and keep that.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    return _write_unless(lambda found: _is_finished(found, log), path, content)


def write_partial_log(path: Path, log: Path, content: bytes) -> bool:
    """Write the log of a training that did not finish; return False where that of a finished one is there, and keep it.

    Raises:
        InputError: if the disk is full or cannot be written.
    """
    return _write_unless(lambda found: _is_finished(path, found), log, content)


def remove_ending(path: Path, log: Path) -> bool:
    """Remove an ending that is none of a finished training; return False where a finished one is there, and keep that.

    One whose log is lost is none: the run is trained again.

    Raises:
        InputError: where the folder cannot be written.
    """
    try:
        return _remove_unless(lambda found: _is_finished(found, log), path)
    except OSError as error:
        raise disk_error(path, error) from error


def _is_finished(path: Path, log: Path) -> bool:
    return read_ending(path, log).get("status") == FINISHED


def _write_unless(keeps: Callable[[Path], bool], path: Path, content: bytes) -> bool:
    prepared = path.with_name(f"{temporary_path(path).name}.prepared")
    write_atomically(prepared, content)
    try:
        while _remove_unless(keeps, path):
            try:
                os.link(prepared, path)  # unlike a rename, it replaces nothing that was written since
                return True
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                os.replace(prepared, path)
                return True
        return False
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):
            prepared.unlink(missing_ok=True)


def _remove_unless(keeps: Callable[[Path], bool], path: Path) -> bool:
    if keeps(path):
        return False
    aside = path.with_name(f"{temporary_path(path).name}.aside")
    try:
        os.replace(path, aside)
    except FileNotFoundError:
        return True
    if keeps(aside):  # it was written in between
        os.replace(aside, path)
        return False
    aside.unlink(missing_ok=True)
    return True
