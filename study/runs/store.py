"""The store: a folder of runs by digest.

    store/runs/<digest>/identity.json        everything that decides the result
                        checkpoint-00007/    while it trains
                        model.safetensors, history.json, status.json     once it has ended
                        evaluation-<digest>.json                         what was measured of it
                        unmeasured-<digest>.json                         or why it could not be, till tried again

A run that has ended is never computed again, whichever study asks for it.
"""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from study.runs.identity import Identity
from study.runs.outcomes import FINISHED, MISSING, NOTHING_MEASURED, PARTIAL
from study.runs.run import Run
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.training.checkpoint import latest_checkpoint


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
        if status == FINISHED and not self.evaluation_path(run).exists():
            failed = read_json(self._unmeasured_path(run))
            if failed is not None:
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
        """Return how the training of a run ended, and why; (None, None) where it has not."""
        ended = read_json(self.folder(digest) / "status.json")
        return (ended["status"], ended["reason"]) if ended is not None else (None, None)

    def evaluation_path(self, run: Run) -> Path:
        """Return where the measurements that `run` asks for are kept."""
        return self.folder(run.digest) / f"evaluation-{run.evaluation}.json"

    def result(self, run: Run) -> dict[str, Any]:
        """Return what a report shows of one run; empty measurements where there are none."""
        folder = self.folder(run.digest)
        status, reason = self.status(run)
        provenance = read_json(folder / "provenance.json") or {}
        history = read_json(folder / "history.json") or []
        measured = read_json(self.evaluation_path(run)) if status == FINISHED else None
        return {
            "seed": run.config.pretrain.seed,
            "digest": run.digest,
            "status": status,
            "reason": reason,
            "commit": provenance.get("commit"),
            "effective_coefficients": provenance.get("effective_coefficients"),
            "images_per_second": [record["images_per_second"] for record in history],  # of each epoch, where it was run
            "joules": (read_json(folder / "energy.json") or {}).get("joules"),
            "history": [{key: record[key] for key in record if key != "images_per_second"} for record in history],
            **(measured or NOTHING_MEASURED),
        }

    def identities(self) -> Iterator[tuple[str, Identity]]:
        """Yield every run that was ever started: its digest and identity."""
        for path in sorted((self.root / "runs").glob("*/identity.json")):
            recorded = read_json(path)
            fields = {field.name for field in dataclasses.fields(Identity)}
            if recorded is not None and set(recorded) == fields:  # other fields: written by another version of this module
                yield path.parent.name, Identity(**recorded)

    def record_ending(self, run: Run, status: str, reason: str | None) -> None:
        """Note how a run ended; what ends after the training has finished is a measurement, and the training stays."""
        trained = self.ending(run.digest)[0] == FINISHED
        path = self._unmeasured_path(run) if trained else self.folder(run.digest) / "status.json"
        write_atomically(path, to_json({"status": status, "reason": reason}))

    def add_energy(self, run: Run, joules: float | None) -> None:
        """Add the joules a device used while it worked on a run; None is not known."""
        if joules is None:
            return
        path = self.folder(run.digest) / "energy.json"
        before = (read_json(path) or {}).get("joules", 0.0)
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


def read_json(path: Path) -> Any:
    """Return what a JSON file of the store holds, or None where there is none.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); delete its folder and run again.") from None
