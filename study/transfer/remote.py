"""Runs at an address of fsspec: a folder, a bucket, a server."""

import functools
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from study.config.storage import hide_password, without_password
from study.runs.ledger import Ledger, ledger_of, merged
from study.transfer.manifest import RUN, Entry, Manifest, is_manifest, manifest_file, object_name, read_manifest
from vicreg.errors import InputError
from vicreg.files import to_json

_CHUNK = 2**20  # bytes read at a time
_NAMED = re.compile(r"[0-9a-f]{16}-(.+)")  # a ledger's file; older ones have the ledger's name alone


@dataclass(frozen=True)
class Remote:
    """A folder of runs somewhere."""

    files: fsspec.AbstractFileSystem
    root: str

    def exists(self) -> bool:
        """Return whether there is such a folder; a bucket has one as soon as there is anything in it.

        Raises:
            Exception: of the file system, where it cannot be asked.
        """
        try:  # not `exists`, which of many file systems calls a refusal a place that is not there
            self.files.info(self.root)
        except FileNotFoundError as error:
            if (cause := error.__cause__) is not None and _is_refusal(cause):
                raise cause from None
            return False
        return True

    def runs(self) -> list[str]:
        """Return the digests of the runs that there is anything of."""
        return [name for name in self._names(f"{self.root}/runs") if RUN.fullmatch(name)]

    def manifests(self, run: str) -> list[Manifest]:
        """Return what is there whole of a run, by the names of its manifests; one that cannot be read counts as none."""
        folder = f"{self.root}/runs/{run}"
        names = [name for name in self._names(folder) if is_manifest(name)]
        found = [read_manifest(name, self.files.cat_file(f"{folder}/{name}")) for name in sorted(names)]
        return [one for one in found if one is not None]

    def put(self, run: str, name: str, entry: Entry, source: Path) -> None:
        """Copy a file of a run there, and read it back. What lies there already with the right bytes stays.

        Raises:
            InputError: where other bytes come back.
        """
        target = f"{self.root}/runs/{run}/{object_name(name, entry)}"
        if self._sha256(target) == entry.sha256:
            return
        self.files.makedirs(f"{self.root}/runs/{run}", exist_ok=True)
        self.files.put_file(str(source), target)
        if self._sha256(target) != entry.sha256:
            raise InputError(f"{name} of run {run} did not arrive as it was sent; start again to copy it once more.")

    def put_manifest(self, run: str, manifest: Manifest) -> None:
        """Say that all files of a manifest have arrived."""
        name, content = manifest_file(manifest)
        self.files.pipe_file(f"{self.root}/runs/{run}/{name}", content)

    def get(self, run: str, name: str, entry: Entry, target: Path) -> bool:
        """Copy a file of a run here, and return whether it arrived with the bytes of its entry."""
        with suppress(FileNotFoundError):
            self.files.get_file(f"{self.root}/runs/{run}/{object_name(name, entry)}", str(target))
            with open(target, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
        return False

    def ledgers(self) -> list[str]:
        """Return the names of the ledgers there is anything of: which runs each arm of a study is at a seed."""
        return sorted({_ledger_name(name) for name in self._names(f"{self.root}/ledger") if name.endswith(".json")})

    def ledger(self, name: str) -> Ledger:
        """Return the runs of each arm and seed, of all files of a ledger; what is missing or damaged says nothing."""
        files = [file for file in self._names(f"{self.root}/ledger") if _ledger_name(file) == name]
        return functools.reduce(merged, [self._ledger_in(file) for file in files], {})

    def put_ledger(self, name: str, ledger: Ledger) -> None:
        """Write a ledger under the name of its content, beside those that other stores have written."""
        content = to_json(ledger)
        digest = hashlib.sha256(content).hexdigest()[:16]
        self.files.makedirs(f"{self.root}/ledger", exist_ok=True)
        self.files.pipe_file(f"{self.root}/ledger/{digest}-{name}", content)

    def _ledger_in(self, file: str) -> Ledger:
        try:
            found: Any = json.loads(self.files.cat_file(f"{self.root}/ledger/{file}"))
        except (FileNotFoundError, ValueError):
            return {}
        return ledger_of(found) if isinstance(found, dict) else {}

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(path.rstrip("/").rpartition("/")[2] for path in self.files.ls(folder, detail=False))
        except FileNotFoundError:
            return []

    def _sha256(self, path: str) -> str | None:
        """Return the SHA-256 of a file there, which is read in full; None where there is none."""
        digest = hashlib.sha256()
        try:
            with self.files.open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
        except FileNotFoundError:
            return None
        return digest.hexdigest()


def _is_refusal(cause: BaseException) -> bool:
    """Return whether the cause of a FileNotFoundError is that nobody answers, or that the answer is another than 404.

    The file system of HTTP makes a FileNotFoundError of every error; those of connections are no OSError all.
    """
    is_of_connection = any("Connection" in kind.__name__ for kind in type(cause).__mro__)
    is_other = isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
    return is_of_connection or is_other or getattr(cause, "status", 404) not in (404, 410)


def _ledger_name(file: str) -> str:
    """Return the name of the ledger that a file is of."""
    named = _NAMED.fullmatch(file)
    return named[1] if named else file


def open_remote(address: str) -> Remote:
    """Return the runs at an address, of which nothing is read yet.

    Raises:
        InputError: for an address of no kind that fsspec knows, or of one that another package serves.
    """
    shown = without_password(address)
    if not address.strip():
        raise InputError("an address must name a folder, such as s3://bucket/runs or /mnt/runs, but is empty.")
    try:
        files, root = url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        said = hide_password(str(error).splitlines()[0].rstrip("."), address)
        raise InputError(f"{shown} cannot be opened ({said}); give an address that fsspec knows.") from None
    files.invalidate_cache()
    return Remote(files, root.rstrip("/"))
