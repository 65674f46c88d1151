"""The places that Optuna's trials are shown in: a file of SQLite, a journal, the database of a server."""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from study.config.storage import JOURNAL, without_password
from study.runs.locking import hold

WAIT = 5.0  # seconds for another command, a program that has locked the database, or a server that does not answer
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class Place(Protocol):
    """Where trials are shown; errors of any kind are its caller's."""

    @property
    def name(self) -> str:
        """What sentences call it, without a password."""

    @property
    def remedy(self) -> str:
        """What to do where it can never be written."""

    def locked(self) -> contextlib.AbstractContextManager[object]:
        """Keep other commands from writing at the same time, where the place itself does not."""

    def require_writable(self) -> None:
        """Raise at once where it cannot be written, and repair what a writer that was killed has left."""

    def open(self) -> BaseStorage:
        """Return the storage."""

    def is_lost(self) -> bool:
        """Whether what `open` opened is not there any more."""

    def set_damaged_aside(self) -> Path | None:
        """Rename what is certainly no storage, and return its new name; None where it may be sound."""


def place_of(path: Path, address: str | None) -> Place:
    """Return the place that `ablate.storage` names; for None the file at `path`."""
    if address is None:
        return SqliteFile(path)
    if address.startswith(JOURNAL):
        return JournalFile(Path(address.removeprefix(JOURNAL)).expanduser())
    if address.startswith("sqlite:///"):
        return SqliteFile(Path(address.removeprefix("sqlite:///")).expanduser())
    return Server(address)


class SqliteFile:
    """A database of SQLite in a file, which anyone may lock, delete or damage."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.remedy = path, str(path), "delete it"
        self._file: tuple[int, int] | None = None  # device and inode of the file that is open

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock beside the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with hold(self.path.with_name(f"{self.path.name}.lock"), timeout=WAIT):
            yield

    def require_writable(self) -> None:
        """Begin a transaction: Optuna would try some writes five times."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=WAIT)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()

    def open(self) -> BaseStorage:
        """Return the storage."""
        storage = RDBStorage(f"sqlite:///{self.path}", engine_kwargs={"connect_args": {"timeout": 1.0}})
        self._file = _file_of(self.path)
        return storage

    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced."""
        return _file_of(self.path) != self._file

    def set_damaged_aside(self) -> Path | None:
        """Rename a file that is no sound database; one that is locked may be sound."""
        return _set_aside(self.path) if _is_damaged(self.path) else None


class JournalFile:
    """A file that trials are appended to; Optuna's own lock serves network file systems, and expires after 30 s."""

    def __init__(self, path: Path) -> None:
        self.path, self.name, self.remedy = path, str(path), "delete it"
        self._file: tuple[int, int] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder; Optuna locks the file at each line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        yield

    def require_writable(self) -> None:
        """Cut off what a writer that was killed has left of its last line, which would make the file unreadable for good."""
        if _is_torn(self.path):
            lock = JournalFileOpenLock(str(self.path))
            lock.acquire()  # whoever writes at this moment ends his line first
            try:
                if _is_torn(self.path):
                    _cut_last_line(self.path)
            finally:
                lock.release()

    def open(self) -> BaseStorage:
        """Return the storage."""
        path = str(self.path)
        storage = JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
        self._file = _file_of(self.path)
        return storage

    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced."""
        return _file_of(self.path) != self._file

    def set_damaged_aside(self) -> Path | None:
        """Rename a file with a line that is no JSON."""
        if not self.path.is_file():
            return None
        try:
            with open(self.path, "rb") as file:
                for line in file:
                    json.loads(line)
        except ValueError:
            return _set_aside(self.path)
        return None


class Server:
    """The database of a server, by an address of SQLAlchemy."""

    def __init__(self, address: str) -> None:
        self.address, self.name, self.remedy = address, without_password(address), "correct ablate.storage"

    def locked(self) -> contextlib.AbstractContextManager[object]:
        """Do nothing: a server takes care of its writers."""
        return contextlib.nullcontext()

    def require_writable(self) -> None:
        """Do nothing: the first write tells."""

    def open(self) -> BaseStorage:
        """Return the storage, its tables made where there are none; two commands may do so at the same time."""
        wait = {"connect_timeout": round(WAIT)} if self.address.startswith(("postgresql", "mysql", "mariadb")) else {}
        last: Exception | None = None
        for _ in range(3):
            try:
                return RDBStorage(self.address, engine_kwargs={"connect_args": wait, "pool_pre_ping": True})
            except ImportError:
                raise
            except Exception as error:  # each driver has its own for a table that another command made first
                if last is not None and "exist" not in str(error):
                    raise
                last = error
                time.sleep(0.2)
        raise last or AssertionError

    def is_lost(self) -> bool:
        """Return False: what goes wrong with a server is an error when it is written."""
        return False

    def set_damaged_aside(self) -> Path | None:
        """Return None: the tables of others are left as they are."""
        return None


def _file_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which tell whether it is still the same one; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _set_aside(path: Path) -> Path:
    return path.replace(path.with_suffix(".damaged"))


def _is_damaged(path: Path) -> bool:
    """Whether a file that there is is certainly no sound SQLite database; one that is locked may be sound."""
    if not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _is_torn(path: Path) -> bool:
    """Return whether a file's last line has no end."""
    try:
        with open(path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False


def _cut_last_line(path: Path) -> None:
    """Shorten a file to its last whole line."""
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                file.truncate(start + found + 1)
                return
            end = start
        file.truncate(0)
