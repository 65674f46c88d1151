"""Copies runs that have ended from a store to an address and back, without locks.

What is verified: of each file that is sent, the bytes that are read back; of each file that arrives, its bytes against the
SHA-256 of its manifest. A run is taken into a store with its ending last, after all else of it was verified.
"""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.runs.endings import read_ending
from study.runs.ledger import merged, read_ledger, runs_of, study_of, write_ledger
from study.runs.outcomes import REPEATABLE
from study.transfer.manifest import ENDING, LOG, MEASURED, RUN, WEIGHTS, Manifest, NotCopied, local_manifest
from study.transfer.remote import Remote
from vicreg.errors import InputError
from vicreg.files import disk_error, flush_folder, writer_name


@dataclass
class Counts:
    """What became of the runs, and what was copied."""

    copied: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)  # with measurements or weights that were not there
    present: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    files: int = 0
    size: int = 0

    def sentence(self) -> str:
        """Return the counts in a sentence."""
        parts = [f"{len(self.copied)} {'run' if len(self.copied) == 1 else 'runs'} copied"]
        parts += [f"{len(self.extended)} completed"] if self.extended else []
        parts += [f"{len(self.present)} there already"]
        parts += [f"{len(self.unfinished)} unfinished and left out"] if self.unfinished else []
        parts += [f"{len(self.damaged)} damaged and left out"] if self.damaged else []
        return f"{', '.join(parts)}; {self.files} files, {self.size / 1e6:.1f} MB"


def copy_to(store: Path, remote: Remote, *, study: str | None = None) -> Counts:
    """Copy the runs of a store that have ended, or those of a study, to an address.

    Raises:
        InputError: for a study of which the store knows no run, and for what does not arrive.
    """
    counts = Counts()
    names = _of_study(sorted(path.name for path in (store / "ledger").glob("*.json")), study, str(store))
    ledgers = {name: read_ledger(store / "ledger" / name) for name in names}
    wanted = runs_of(ledgers.values()) if study else None
    for folder in sorted((store / "runs").glob("*")):
        if RUN.fullmatch(folder.name) and (wanted is None or folder.name in wanted):
            _send(folder, remote, counts)
    for name, mine in ledgers.items():
        if runs_of([mine]) - runs_of([remote.ledger(name)]):
            remote.put_ledger(name, mine)
    return counts


def copy_from(store: Path, remote: Remote, *, study: str | None = None) -> Counts:
    """Copy the runs at an address, or those of a study, into a store; what the store holds stays as it is.

    Raises:
        InputError: for a study of which nothing is known there, and where the store cannot be written.
    """
    counts = Counts()
    ledgers = _of_study(remote.ledgers(), study, "the address")
    wanted = runs_of([remote.ledger(name) for name in ledgers]) if study else None
    for run in remote.runs():
        if wanted is None or run in wanted:
            _fetch(run, store, remote, counts)
    for name in ledgers:
        mine = read_ledger(store / "ledger" / name)
        if (both := merged(remote.ledger(name), mine)) != mine:
            write_ledger(store / "ledger" / name, both)
    return counts


def _of_study(ledgers: Collection[str], study: str | None, where: str) -> list[str]:
    """Return the ledgers of a study, of each profile; all for None."""
    found = [name for name in ledgers if study is None or study_of(name) == study]
    if study is not None and not found:
        known = sorted({study_of(name) for name in ledgers})
        hint = f"known are {', '.join(known)}" if known else "it knows of no study"
        raise InputError(f"--study must be a study that was run on {where}, but got {study!r}; {hint}.")
    return found


def _send(folder: Path, remote: Remote, counts: Counts) -> None:
    run = folder.name
    try:
        manifest = local_manifest(folder)
    except NotCopied as reason:
        (counts.damaged if str(reason) == "damaged" else counts.unfinished).append(run)
        return
    there = remote.manifests(run)
    if manifest.keys() <= {name for one in there for name in one}:
        counts.present.append(run)
        return
    arrived = {(name, entry) for one in there for name, entry in one.items()}
    for name, entry in manifest.items():
        if (name, entry) not in arrived:
            remote.put(run, name, entry, folder / name)
            counts.files, counts.size = counts.files + 1, counts.size + entry.size
    remote.put_manifest(run, manifest)
    (counts.extended if there else counts.copied).append(run)


def _fetch(run: str, store: Path, remote: Remote, counts: Counts) -> None:
    folder, incoming = store / "runs" / run, store / "incoming" / f"{run}-{writer_name()}"
    there = sorted(remote.manifests(run), key=len, reverse=True)  # the one of most measurements first
    if not there:
        counts.unfinished.append(run)  # its copy was cut short
        return
    ended = read_ending(folder / ENDING, folder / LOG)
    was_here = ended.get("status") in REPEATABLE
    try:
        incoming.mkdir(parents=True, exist_ok=True)
        is_whole = True
        if not was_here:
            is_whole = any(_arrive(run, one, remote, incoming) for one in there)
        if is_whole:
            is_whole = _add(run, there, ended if was_here else {}, folder, remote, incoming)
            new = _install(incoming, folder)
            counts.files, counts.size = counts.files + len(new), counts.size + sum(new)
            if is_whole:
                (counts.present if not new else counts.extended if was_here else counts.copied).append(run)
        if not is_whole:
            counts.damaged.append(run)
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(store)):
            raise
        raise disk_error(folder, error) from error
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _arrive(run: str, manifest: Manifest, remote: Remote, incoming: Path) -> bool:
    """Copy all files of a manifest, and return whether each arrived with its bytes."""
    return all(remote.get(run, name, entry, incoming / name) for name, entry in manifest.items())


def _add(run: str, there: list[Manifest], ended: dict[str, Any], folder: Path, remote: Remote, incoming: Path) -> bool:
    """Copy what the run lacks of measurements, and weights that its ending names; return whether what there is arrived."""
    is_whole = True
    for name, entry in ((name, entry) for one in there for name, entry in one.items()):
        wanted = MEASURED.fullmatch(name) or (name == WEIGHTS and ended.get("weights") == entry.sha256)
        if not wanted or (folder / name).exists() or (incoming / name).exists():
            continue
        arriving = incoming / f".{name}"
        if remote.get(run, name, entry, arriving):
            os.replace(arriving, incoming / name)
        else:
            arriving.unlink(missing_ok=True)
            is_whole = False
    return is_whole


def _install(incoming: Path, folder: Path) -> list[int]:
    """Move files into a run's folder, its ending last; return their sizes."""
    sizes = []
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(incoming.iterdir(), key=lambda one: one.name == ENDING):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            sizes.append(os.fstat(file.fileno()).st_size)
        os.replace(path, folder / path.name)
    flush_folder(folder)
    return sizes
