"""The store: a folder of runs by digest.

    store/runs/<digest>/identity.json        everything that decides the result
                        checkpoint-00007/    while it trains (`workspace.py`)
                        model.safetensors, history.json, status.json     once it has ended
                        evaluation-<digest>.json                         what was measured of it
                        unmeasured-<digest>.json                         or why it could not be, till tried again
                        elsewhere-<digest>.json                          or what another machine measured of it

A run that has ended is never computed again, whichever study asks for it. What is damaged or was deleted counts as missing:
without its log or status a run is trained again, without a measurement it is measured again. Weights serve measurements
alone, and are trained again where one needs them.

Machines may share a store. What they write at the same time is written under different names and renamed. The ending is
written last and holds the digests of weights and log: files of two machines are never taken for one run.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.runs.endings import (
    digest_of,
    log_digest,
    noted_ending,
    read_ending,
    remove_ending,
    write_ending,
    write_partial_log,
)
from study.runs.identity import Identity
from study.runs.locking import hold, to_stderr
from study.runs.outcomes import FINISHED, MISSING, NOTHING_MEASURED, PARTIAL
from study.runs.run import Run
from study.runs.stored_json import holds, stored_list, stored_object
from study.runs.workspace import furthest_checkpoint
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.training.checkpoint import load_weights

_ATTEMPTS = 3  # at writing a run whole, while another host writes it too


@dataclass(frozen=True)
class Store:
    """A folder of runs by digest.

    With `takes_elsewhere` a run counts as measured, too, where only a machine that did not train it has measured it.
    """

    root: Path
    takes_elsewhere: bool = False

    def folder(self, digest: str) -> Path:
        """Return the folder of a run, whether or not it is there."""
        return self.root / "runs" / digest

    def weights_path(self, digest: str) -> Path:
        """Return where a finished run keeps its weights."""
        return self.folder(digest) / "model.safetensors"

    def log_path(self, digest: str) -> Path:
        """Return where a run that has ended keeps its log."""
        return self.folder(digest) / "history.json"

    def status(self, run: Run) -> tuple[str, str | None]:
        """Return how a run stands, and why in a sentence where it has not simply finished.

        `finished` means that what was asked to be measured is measured too. Endings that say nothing about the run
        itself (killed, out of memory, failed) are reported until the run is tried again.
        """
        status, reason = self.ending(run.digest)
        if status == FINISHED and not self.is_measured(run):
            failed = noted_ending(self._unmeasured_path(run))
            if failed:
                return failed["status"], failed["reason"]
            return PARTIAL, "trained, but not yet measured with these probes"
        if status is not None:
            return status, reason
        checkpoint = furthest_checkpoint(self.folder(run.digest))
        if checkpoint is not None:
            done = int(checkpoint.name.split("-")[1])
            if done >= run.config.pretrain.trained_epochs:
                return PARTIAL, "trained, but not yet measured"
            return PARTIAL, f"{done} of {run.config.pretrain.trained_epochs} epochs are trained"
        return MISSING, None

    def ending(self, digest: str) -> tuple[str | None, str | None]:
        """Return how the training of a run ended, and why; (None, None) where it has not, or its log is lost."""
        ended = read_ending(self._ending_path(digest), self.log_path(digest))
        return (ended["status"], ended["reason"]) if ended else (None, None)

    def is_measured(self, run: Run) -> bool:
        """Return whether the measurements that `run` asks for are there."""
        return self._measured(run) is not None

    def are_weights_whole(self, digest: str) -> bool:
        """Return whether the weights of a finished run are there, with the bytes that its training wrote."""
        path, recorded = self.weights_path(digest), stored_object(self._ending_path(digest)).get("weights")
        try:
            if recorded is None:  # by an earlier version
                load_weights(path)
            return recorded in (None, _sha256(path))
        except (OSError, InputError):
            return False

    def evaluation_path(self, run: Run) -> Path:
        """Return where the measurements that `run` asks for are kept."""
        return self.folder(run.digest) / f"evaluation-{run.evaluation}.json"

    def elsewhere_path(self, run: Run) -> Path:
        """Return where the measurements are kept that another machine has made of a run."""
        return self.folder(run.digest) / f"elsewhere-{run.evaluation}.json"

    def _measured(self, run: Run) -> Path | None:
        """Return the file of the measurements that count, those of the machine that trained it first; None without one."""
        paths = [self.evaluation_path(run), *([self.elsewhere_path(run)] if self.takes_elsewhere else [])]
        return next((path for path in paths if holds(path, dict, tuple(NOTHING_MEASURED), filled=True)), None)

    def result(self, run: Run) -> dict[str, Any]:
        """Return what a report shows of one run; empty measurements where there are none.

        Of a run whose training goes on it is the log up to its last checkpoint.
        """
        folder = self.folder(run.digest)
        status, reason = self.status(run)
        provenance = stored_object(folder / "provenance.json")
        history = read_log(folder)
        if status == PARTIAL and not history and (checkpoint := furthest_checkpoint(folder)) is not None:
            history = read_log(checkpoint)
        measurements = self._measured(run) if status == FINISHED else None
        measured = stored_object(measurements) if measurements is not None else {}
        return {
            "seed": run.config.pretrain.seed,
            "digest": run.digest,
            "status": status,
            "reason": reason,
            "commit": provenance.get("commit"),
            # Of this run and not of the one that was first: an untrained control is shared by runs of other coefficients.
            "effective_coefficients": run.config.pretrain.effective if provenance or status != MISSING else None,
            "images_per_second": [record["images_per_second"] for record in history],  # of each epoch, where it was run
            "joules": stored_object(folder / "energy.json").get("joules"),
            "history": [{key: record[key] for key in record if key != "images_per_second"} for record in history],
            **(measured or NOTHING_MEASURED),
        }

    def identities(self) -> Iterator[tuple[str, Identity]]:
        """Yield every run that was ever started: its digest and identity. What cannot be read is left out."""
        for path in sorted((self.root / "runs").glob("*/identity.json")):
            recorded = stored_object(path)
            if _is_identity(recorded):
                yield path.parent.name, Identity(**recorded)

    def record_ending(self, run: Run, status: str, reason: str | None) -> None:
        """Note how a run ended; what goes wrong after the training has finished is of a measurement: the training stays."""
        ended: dict[str, str | None] = {"status": status, "reason": reason}
        path, log = self._ending_path(run.digest), self.log_path(run.digest)
        if status == FINISHED:
            kept = self.weights_path(run.digest)
            ended |= {"weights": _sha256(kept)} if kept.exists() else {}
            write_atomically(path, to_json(ended | {"log": log_digest(log)}))
        elif not write_ending(path, log, to_json(ended)):
            write_atomically(self._unmeasured_path(run), to_json(ended))

    def record_partial_log(self, run: Run, history: list[dict[str, Any]]) -> None:
        """Keep the log of a training that did not finish, which is worth showing; that of a finished one stays."""
        write_partial_log(self._ending_path(run.digest), self.log_path(run.digest), to_json(history))

    def forget_ending(self, run: Run) -> bool:
        """Forget how a run ended that is tried again; return False where it has finished meanwhile, on another host.

        Raises:
            InputError: if the store cannot be written.
        """
        return remove_ending(self._ending_path(run.digest), self.log_path(run.digest))

    def publish(self, run: Run, *, weights: Path, history: list[dict[str, Any]]) -> None:
        """Keep a finished training. Where another host has kept the same run meanwhile, its files stay, and it is said.

        The ending is written last, and read back with the files that it names. Where another host wrote in between, they
        are of two, and are written again; what is still not whole counts as not finished.

        Args:
            run: that was trained.
            weights: the file of its weights, which is moved.
            history: its log.

        Raises:
            InputError: if the disk is full or cannot be written.
        """
        content, log = weights.read_bytes(), self.log_path(run.digest)
        weights.unlink()
        if self._is_whole(run.digest):
            same = digest_of(history) == log_digest(log)
            alike = "with the same log" if same else "with ANOTHER log, which equal machines never give"
            to_stderr(f"run {run.digest} was computed twice, here and by another command, {alike}; the first is kept.")
            return
        ended = {
            "status": FINISHED,
            "reason": None,
            "log": digest_of(history),
            "weights": hashlib.sha256(content).hexdigest(),
        }
        for _ in range(_ATTEMPTS):
            write_atomically(self.weights_path(run.digest), content)
            write_atomically(log, to_json(history))
            write_atomically(self._ending_path(run.digest), to_json(ended))
            if self._is_whole(run.digest):
                return

    def add_energy(self, run: Run, joules: float | None) -> None:
        """Add the joules a device used while it worked on a run; None is not known."""
        if joules is None:
            return
        path = self.folder(run.digest) / "energy.json"
        noted = stored_object(path).get("joules")
        before = noted if isinstance(noted, (int, float)) else 0.0
        with suppress(InputError):  # on a full disk, say: a study must not fail for want of a note
            write_atomically(path, to_json({"joules": round(before + joules, 1)}))

    def _is_whole(self, digest: str) -> bool:
        return self.ending(digest)[0] == FINISHED and self.are_weights_whole(digest)

    def _ending_path(self, digest: str) -> Path:
        return self.folder(digest) / "status.json"

    def _unmeasured_path(self, run: Run) -> Path:
        return self.folder(run.digest) / f"unmeasured-{run.evaluation}.json"

    @contextmanager
    def lock(self, digest: str, *, lease_s: float | None = None, timeout: float = -1) -> Iterator[bool]:
        """Keep two commands from training one run at the same time; the system releases it if the process dies.

        It yields whether the system's lock is held, and takes a lease beside it where `lease_s` is given (`locking.py`).
        `timeout` are the seconds to wait for another command; below 0 without an end.

        Raises:
            filelock.Timeout: where another command holds it for longer.
            InputError: if the store cannot be written.
        """
        folder = self.folder(digest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the store {self.root} cannot be written ({error.strerror}); choose another.") from None
        with hold(folder / "lock", lease_s=lease_s, timeout=timeout) as is_locked:
            yield is_locked


def _is_identity(recorded: dict[str, Any]) -> bool:
    """Return whether a file holds an identity; one with other fields is of another version, one of other kinds damaged."""
    if set(recorded) != {field.name for field in dataclasses.fields(Identity)}:
        return False
    settings, below, definitions = (recorded[name] for name in ("settings", "machinery", "definitions"))
    are_texts = all(isinstance(recorded[name], str) for name in ("data", "code"))
    are_objects = all(isinstance(one, dict) for one in (settings, below, definitions))
    return are_texts and are_objects and all(isinstance(one, str) for one in (*below.values(), *definitions.values()))


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the log of a run or of a checkpoint; an empty one where there is none that can be read."""
    return stored_list(folder / "history.json")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
