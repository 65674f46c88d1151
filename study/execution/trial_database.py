"""Optuna's database of trials: a view for its dashboard, which no run needs.

Trials live in memory (`trials.py`) and follow from the store of runs. This module copies them to where a dashboard reads
them: a file of the store's own, or what `ablate.storage` names. No run fails for what becomes of it. It may be locked, full,
damaged, of another version, read-only, out of reach or deleted at any time. One sentence then says so. A later write, the
end of the command or the next command makes it again.

In the store's own file a study has the name that `trials.py` gives it. Elsewhere the store's number follows that name:
`tiny@digits-1a2b3c4d@store-9f8e7d6c`. For a command deletes the study of the same name that an earlier one has left.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy.orm
from filelock import Timeout
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from study.config.storage import hide_password
from study.execution.trial_storage import place_of
from study.runs.locking import to_stderr
from study.runs.store_id import store_id

PAUSE = 60.0  # seconds after a failure before the next attempt, so that a lasting lock costs a study 8 % at most


@dataclass(frozen=True, kw_only=True)
class _ShownTrial:
    """A trial in the database: its id there, its state, parameters and attributes."""

    trial_id: int
    state: TrialState
    params: frozenset[str]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class _Shown:
    """A study in the database: its id there, and its trials by their number."""

    study_id: int
    trials: dict[int, _ShownTrial] = field(default_factory=dict)


class TrialDatabase:
    """Copies Optuna studies from memory into a database; no method raises."""

    def __init__(self, path: Path, *, address: str | None = None, say: Callable[[str], None] | None = None) -> None:
        """Open nothing yet.

        Args:
            path: of the store's own database, which commands may share.
            address: of another one, which stores may share; None for the store's own.
            say: is told in a sentence what becomes of the database; None writes to standard error.
        """
        self._place, self._address, self._root, self._tell = place_of(path, address), address, path.parent, say or to_stderr
        self._studies: dict[str, optuna.Study] = {}
        self._shown: dict[str, _Shown] = {}
        self._storage: BaseStorage | None = None
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
            with self._place.locked():
                self._write_locked()
            self._failed_at = None
        except Exception as error:  # whatever becomes of a view, a study must not fail for it
            self._forget()
            self._failed_at = time.monotonic()
            reason = hide_password(_reason(error), self._address or "")
            self._say(
                f"{self._place.name}, Optuna's view of the store, cannot be written ({reason}): runs go on, and a later "
                f"write makes it again; if none ever can, {self._place.remedy}."
            )

    def _write_locked(self) -> None:
        """Write all studies, while no other command writes; a file that is no database is set aside and begun anew."""
        try:
            self._bring_up_to_date()
        except Exception:
            kept = self._place.set_damaged_aside()
            if kept is None:
                raise
            self._forget()
            self._bring_up_to_date()
            self._say(f"{self._place.name} was no database any more and is now {kept.name}; {_MADE_AGAIN}.")

    def _bring_up_to_date(self) -> None:
        if self._storage is not None and self._place.is_lost():
            self._forget()
            self._say(f"{self._place.name} was deleted or replaced; {_MADE_AGAIN}.")
        self._place.require_writable()
        if self._storage is None:
            self._storage = self._place.open()
        suffix = f"@store-{store_id(self._root)}" if self._address else ""
        for name, study in self._studies.items():
            if name not in self._shown:
                self._shown[name] = _Shown(_new_study(self._storage, study, name + suffix))
            with _one_transaction(self._storage):
                _copy_trials(self._storage, study, self._shown[name])

    def _forget(self) -> None:
        """Close the database, and take it that it holds nothing."""
        if self._storage is not None:
            with contextlib.suppress(Exception):  # what cannot be closed is left to the garbage collector
                self._storage.remove_session()
                if isinstance(self._storage, RDBStorage):
                    self._storage.engine.dispose()
        self._storage, self._shown = None, {}

    def _say(self, sentence: str) -> None:
        if not self._has_spoken:
            self._has_spoken = True
            self._tell(sentence)


_MADE_AGAIN = "it was made again with this study, and the next command of each other study adds that one"


@contextmanager
def _one_transaction(storage: BaseStorage) -> Iterator[None]:
    """Make all that is written meanwhile one transaction: Optuna makes one of each attribute, and a disk takes as long."""
    if not isinstance(storage, RDBStorage):
        yield
        return
    own = storage.scoped_session
    with storage.engine.begin() as connection:
        joined = sqlalchemy.orm.sessionmaker(bind=connection, join_transaction_mode="rollback_only")
        storage.scoped_session = sqlalchemy.orm.scoped_session(joined)
        try:
            yield
        finally:
            storage.scoped_session.remove()
            storage.scoped_session = own


def _new_study(storage: BaseStorage, study: optuna.Study, name: str) -> int:
    """Return the id of a new study of a name, with what one in memory says; an old one of the name is deleted."""
    with contextlib.suppress(KeyError):
        storage.delete_study(storage.get_study_id_from_name(name))
    identifier = storage.create_new_study(study.directions, name)
    for key, value in study.user_attrs.items():
        storage.set_study_user_attr(identifier, key, value)
    return identifier


def _copy_trials(storage: BaseStorage, study: optuna.Study, shown: _Shown) -> None:
    """Add the trials that the database lacks, in order, and bring those to their state that have another there."""
    for trial in study.get_trials(deepcopy=False):
        known = shown.trials.get(trial.number)
        if known is None:
            identifier = storage.create_new_trial(shown.study_id, template_trial=trial)
        elif known.state != trial.state:
            identifier = known.trial_id
            _update_trial(storage, known, trial)
        else:
            continue
        shown.trials[trial.number] = _ShownTrial(
            trial_id=identifier, state=trial.state, params=frozenset(trial.params), attributes=dict(trial.user_attrs)
        )


def _update_trial(storage: BaseStorage, known: _ShownTrial, trial: FrozenTrial) -> None:
    """Write what a trial has since got; to write a parameter a second time ends a transaction."""
    for name, distribution in trial.distributions.items():
        if name not in known.params:
            storage.set_trial_param(known.trial_id, name, distribution.to_internal_repr(trial.params[name]), distribution)
    for key, value in trial.user_attrs.items():
        if key not in known.attributes or known.attributes[key] != value:
            storage.set_trial_user_attr(known.trial_id, key, value)
    storage.set_trial_state_values(known.trial_id, trial.state, trial.values)


def _reason(error: BaseException) -> str:
    """Return what the innermost error says, in its first sentence."""
    if isinstance(error, Timeout):
        return "another command is writing it"
    while inner := getattr(error, "orig", None) or error.__cause__:
        error = inner
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0].split(". ")[0].rstrip(".")
