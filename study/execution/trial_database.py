"""Optuna's database of trials: a view for its dashboard, which no run needs.

Trials live in memory (`trials.py`) and follow from the store of runs. This module copies them into SQLite. No run fails for
what becomes of the database: it may be locked, full, damaged, of another version, read-only or deleted at any time. One
sentence then says so. A later write, the end of the command or the next command makes it again.
"""

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

WAIT = 5.0  # seconds for another command, or a program that has locked the database
PAUSE = 60.0  # seconds after a failure before the next attempt, so that a lasting lock costs a study 8 % at most
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


@dataclass(frozen=True)
class _Shown:
    """A study in the database: its id there, and number -> id and state of each of its trials."""

    study_id: int
    trials: dict[int, tuple[int, TrialState]] = field(default_factory=dict)


class TrialDatabase:
    """Copies Optuna studies from memory into the database at `path`; no method raises."""

    def __init__(self, path: Path, *, say: Callable[[str], None] | None = None) -> None:
        """Open nothing yet.

        Args:
            path: of the database, which commands may share.
            say: is told in a sentence what becomes of the database; None writes to standard error.
        """
        self._path, self._tell = path, say or _to_stderr
        self._studies: dict[str, optuna.Study] = {}
        self._shown: dict[str, _Shown] = {}
        self._storage: RDBStorage | None = None
        self._file: tuple[int, int] | None = None  # device and inode of the file that the storage has open
        self._failed_at: float | None = None
        self._has_spoken = False

    def show(self, study: optuna.Study) -> None:
        """Bring the database's study of this name to the state of `study`; the first time it is made anew."""
        self._studies[study.study_name] = study
        if self._failed_at is None or time.monotonic() - self._failed_at > PAUSE:
            self._write()

    def close(self) -> None:
        """Write what could not be written before, and let go of the database."""
        if self._failed_at is not None:
            self._write()
        self._forget()

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_name(f"{self._path.name}.lock"), timeout=WAIT):
                self._write_locked()
            self._failed_at = None
        except Exception as error:  # whatever becomes of a view, a study must not fail for it
            self._forget()
            self._failed_at = time.monotonic()
            self._say(
                f"{self._path}, Optuna's view of the store, cannot be written ({_reason(error)}): runs go on, and a later "
                "write makes it again; if none ever can, delete it."
            )

    def _write_locked(self) -> None:
        """Write all studies, while no other command writes; a file that is no database is set aside and begun anew."""
        try:
            self._bring_up_to_date()
        except Exception:
            if not _is_damaged(self._path):
                raise
            self._forget()
            kept = self._path.with_suffix(".damaged")
            self._path.replace(kept)
            self._bring_up_to_date()
            self._say(f"{self._path} was no database any more and is now {kept.name}; {_MADE_AGAIN}.")

    def _bring_up_to_date(self) -> None:
        if self._storage is not None and _file_of(self._path) != self._file:
            self._forget()
            self._say(f"{self._path} was deleted or replaced; {_MADE_AGAIN}.")
        _require_writable(self._path)
        if self._storage is None:
            self._storage = RDBStorage(f"sqlite:///{self._path}", engine_kwargs={"connect_args": {"timeout": 1.0}})
            self._file = _file_of(self._path)
        for name, study in self._studies.items():
            if name not in self._shown:
                self._shown[name] = _Shown(_new_study(self._storage, study))
            _copy_trials(self._storage, study, self._shown[name])

    def _forget(self) -> None:
        """Close the database, and take it that it holds nothing."""
        if self._storage is not None:
            with contextlib.suppress(Exception):  # what cannot be closed is left to the garbage collector
                self._storage.remove_session()
                self._storage.engine.dispose()
        self._storage, self._file, self._shown = None, None, {}

    def _say(self, sentence: str) -> None:
        if not self._has_spoken:
            self._has_spoken = True
            self._tell(sentence)


_MADE_AGAIN = "it was made again with this study, and the next command of each other study adds that one"


def _new_study(storage: RDBStorage, study: optuna.Study) -> int:
    """Return the id of a new study in the database with the name of one in memory; an old one of the name is deleted."""
    with contextlib.suppress(KeyError):
        storage.delete_study(storage.get_study_id_from_name(study.study_name))
    identifier = storage.create_new_study(study.directions, study.study_name)
    for key, value in study.user_attrs.items():
        storage.set_study_user_attr(identifier, key, value)
    return identifier


def _copy_trials(storage: RDBStorage, study: optuna.Study, shown: _Shown) -> None:
    """Add the trials that the database lacks, in order, and bring those to their state that have another there."""
    for trial in study.get_trials(deepcopy=False):
        if trial.number not in shown.trials:
            identifier = storage.create_new_trial(shown.study_id, template_trial=trial)
        elif shown.trials[trial.number][1] != trial.state:
            identifier = shown.trials[trial.number][0]
            _update_trial(storage, identifier, trial)
        else:
            continue
        shown.trials[trial.number] = (identifier, trial.state)


def _update_trial(storage: RDBStorage, identifier: int, trial: FrozenTrial) -> None:
    for name, distribution in trial.distributions.items():
        storage.set_trial_param(identifier, name, distribution.to_internal_repr(trial.params[name]), distribution)
    for key, value in trial.user_attrs.items():
        storage.set_trial_user_attr(identifier, key, value)
    storage.set_trial_state_values(identifier, trial.state, trial.values)


def _file_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which tell whether it is still the same one; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _require_writable(path: Path) -> None:
    """Raise at once where the database cannot be written; Optuna would try some writes five times."""
    with contextlib.closing(sqlite3.connect(path, timeout=WAIT)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def _is_damaged(path: Path) -> bool:
    """Whether a file that there is is certainly no sound SQLite database; one that is locked may be sound."""
    if not path.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
            return connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",)
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _reason(error: BaseException) -> str:
    """Return what the innermost error says, in its first sentence."""
    if isinstance(error, Timeout):
        return "another command is writing it"
    while inner := getattr(error, "orig", None) or error.__cause__:
        error = inner
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0].split(". ")[0].rstrip(".")


def _to_stderr(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)
