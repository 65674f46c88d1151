"""The store: a folder of runs by digest.

    store/runs/<digest>/identity.json        everything that decides the result
                        checkpoint-00007/    while it trains
                        model.safetensors, history.json, status.json     once it has ended
                        evaluation-<digest>.json                         what was measured of it
                        unmeasured-<digest>.json                         or why it could not be, till tried again

A run that has ended is never computed again, whichever study asks for it. What is damaged or was deleted counts as missing:
without its log or status a run is trained again, without a measurement it is measured again. Weights serve measurements
alone, and are trained again where one needs them.
"""

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from study.runs.identity import Identity
from study.runs.outcomes import FINISHED, MISSING, NOTHING_MEASURED, PARTIAL
from study.runs.run import Run
from study.runs.stored_json import holds, stored_list, stored_object
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.training.checkpoint import latest_checkpoint, load_weights

_ENDING = ("status", "reason")  # keys of what is noted of an ending


@dataclass(frozen=True)
class Store:
    """A folder of runs by digest."""

    root: Path

    def folder(self, digest: str) -> Path:
        """Return the folder of a run, whether or not it is there."""
        return self.root / "runs" / digest

    def weights_path(self, digest: str) -> Path:
        """Return where a finished run keeps its weights."""
        return self.folder(digest) / "model.safetensors"

    def status(self, run: Run) -> tuple[str, str | None]:
        """Return how a run stands, and why in a sentence where it has not simply finished.

        `finished` means that what was asked to be measured is measured too. Endings that say nothing about the run
        itself (killed, out of memory, failed) are reported until the run is tried again.
        """
        status, reason = self.ending(run.digest)
        if status == FINISHED and not self.is_measured(run):
            failed = stored_object(self._unmeasured_path(run), _ENDING)
            if failed:
                return failed["status"], failed["reason"]
            return PARTIAL, "trained, but not yet measured with these probes"
        if status is not None:
            return status, reason
        checkpoint = latest_checkpoint(self.folder(run.digest))
        if checkpoint is not None:
            done = int(checkpoint.name.split("-")[1])
            return PARTIAL, f"stopped after {done} of {run.config.pretrain.trained_epochs} epochs"
        return MISSING, None

    def ending(self, digest: str) -> tuple[str | None, str | None]:
        """Return how the training of a run ended, and why; (None, None) where it has not, or its log is lost."""
        ended = stored_object(self.folder(digest) / "status.json", _ENDING)
        lost = not ended or (ended["status"] == FINISHED and not holds(self.folder(digest) / "history.json", list, ()))
        return (None, None) if lost else (ended["status"], ended["reason"])

    def is_measured(self, run: Run) -> bool:
        """Return whether the measurements that `run` asks for are there."""
        return holds(self.evaluation_path(run), dict, tuple(NOTHING_MEASURED))

    def are_weights_whole(self, digest: str) -> bool:
        """Return whether the weights of a finished run are there, with the bytes that its training wrote."""
        path, recorded = self.weights_path(digest), stored_object(self.folder(digest) / "status.json").get("weights")
        try:
            if recorded is None:  # by an earlier version
                load_weights(path)
            return recorded in (None, _sha256(path))
        except (OSError, InputError):
            return False

    def evaluation_path(self, run: Run) -> Path:
        """Return where the measurements that `run` asks for are kept."""
        return self.folder(run.digest) / f"evaluation-{run.evaluation}.json"

    def result(self, run: Run) -> dict[str, Any]:
        """Return what a report shows of one run; empty measurements where there are none."""
        folder = self.folder(run.digest)
        status, reason = self.status(run)
        provenance = stored_object(folder / "provenance.json")
        history = read_log(folder)
        measured = stored_object(self.evaluation_path(run)) if status == FINISHED else {}
        return {
            "seed": run.config.pretrain.seed,
            "digest": run.digest,
            "status": status,
            "reason": reason,
            "commit": provenance.get("commit"),
            # Of this run and not of the one that was first: an untrained control is shared by runs of other coefficients.
            "effective_coefficients": run.config.pretrain.effective if provenance else None,
            "images_per_second": [record["images_per_second"] for record in history],  # of each epoch, where it was run
            "joules": stored_object(folder / "energy.json").get("joules"),
            "history": [{key: record[key] for key in record if key != "images_per_second"} for record in history],
            **(measured or NOTHING_MEASURED),
        }

    def identities(self) -> Iterator[tuple[str, Identity]]:
        """Yield every run that was ever started: its digest and identity. What cannot be read is left out."""
        for path in sorted((self.root / "runs").glob("*/identity.json")):
            recorded = stored_object(path)
            fields = {field.name for field in dataclasses.fields(Identity)}
            if set(recorded) == fields:  # other fields: written by another version of this module
                yield path.parent.name, Identity(**recorded)

    def record_ending(self, run: Run, status: str, reason: str | None) -> None:
        """Note how a run ended; what goes wrong after the training has finished is of a measurement: the training stays."""
        trained = status != FINISHED and self.ending(run.digest)[0] == FINISHED
        path = self._unmeasured_path(run) if trained else self.folder(run.digest) / "status.json"
        kept = self.weights_path(run.digest)
        weights = {"weights": _sha256(kept)} if status == FINISHED and kept.exists() else {}
        write_atomically(path, to_json({"status": status, "reason": reason, **weights}))

    def add_energy(self, run: Run, joules: float | None) -> None:
        """Add the joules a device used while it worked on a run; None is not known."""
        if joules is None:
            return
        path = self.folder(run.digest) / "energy.json"
        before = stored_object(path).get("joules", 0.0)
        with suppress(InputError):  # on a full disk, say: a study must not fail for want of a note
            write_atomically(path, to_json({"joules": round(before + joules, 1)}))

    def _unmeasured_path(self, run: Run) -> Path:
        return self.folder(run.digest) / f"unmeasured-{run.evaluation}.json"

    @contextmanager
    def lock(self, digest: str) -> Iterator[None]:
        """Keep two commands from training one run at the same time; the system releases it if the process dies.

        Raises:
            InputError: if the store cannot be written.
        """
        folder = self.folder(digest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the store {self.root} cannot be written ({error.strerror}); choose another.") from None
        with FileLock(folder / "lock"):
            yield


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the log of a run or of a checkpoint; an empty one where there is none that can be read."""
    return stored_list(folder / "history.json")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
