"""What belongs to a run that has ended: its files, their sizes and their SHA-256.

    ADDRESS/runs/<run>/<16 digits of SHA-256>-model.safetensors     a file under the name of its content
                       manifest-<16 digits of SHA-256>.json         written last: name -> SHA-256 and size of each file

Nothing there is ever replaced by anything else. So copies need no lock, and one that was cut short has no manifest. A run
that was measured further, or computed by two machines, has several.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from study.runs.endings import read_ending
from study.runs.outcomes import FINISHED, REPEATABLE
from study.runs.stored_json import holds, stored_object
from vicreg.files import to_json

ENDING, LOG, WEIGHTS = "status.json", "history.json", "model.safetensors"
_KEPT = ("identity.json", "provenance.json", "energy.json", LOG, WEIGHTS, ENDING)
MEASURED = re.compile(r"evaluation-[0-9a-f]+\.json")
RUN = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"manifest-([0-9a-f]{16})\.json")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of a run: the SHA-256 of its content in hexadecimal digits, and its bytes."""

    sha256: str
    size: int


Manifest = Mapping[str, Entry]


class NotCopied(Exception):
    """Why a run is left out: `unfinished` or `damaged`."""


def local_manifest(folder: Path) -> Manifest:
    """Return the files of a run in a store.

    Raises:
        NotCopied: for a run that has not ended, and for one of which a file is not what its ending says.
    """
    ended = read_ending(folder / ENDING, folder / LOG)
    if ended.get("status") not in REPEATABLE:
        lost = stored_object(folder / ENDING).get("status") == FINISHED  # without its log
        raise NotCopied("damaged" if lost else "unfinished")
    paths = [folder / name for name in _KEPT] + [one for one in folder.iterdir() if MEASURED.fullmatch(one.name)]
    if any(path.suffix == ".json" and path.is_file() and not holds(path, _kind(path), ()) for path in paths):
        raise NotCopied("damaged")
    found = {path.name: Entry(sha256=sha256_of(path), size=path.stat().st_size) for path in paths if path.is_file()}
    if WEIGHTS in found and ended.get("weights") not in (None, found[WEIGHTS].sha256):
        raise NotCopied("damaged")
    return found


def manifest_file(manifest: Manifest) -> tuple[str, bytes]:
    """Return name and content of the file of a manifest; the name has the digest of the content."""
    content = to_json({name: asdict(entry) for name, entry in manifest.items()})
    return f"manifest-{hashlib.sha256(content).hexdigest()[:16]}.json", content


def is_manifest(name: str) -> bool:
    """Return whether a file of this name is a manifest."""
    return _NAME.fullmatch(name) is not None


def read_manifest(name: str, content: bytes) -> Manifest | None:
    """Return the manifest in a file; None where it is cut short or damaged, or names what is no file of a run."""
    named = _NAME.fullmatch(name)
    if named is None or hashlib.sha256(content).hexdigest()[:16] != named[1]:
        return None
    try:
        found = {str(file): Entry(**entry) for file, entry in json.loads(content).items()}
    except (ValueError, TypeError, AttributeError):
        return None
    known = all(file in _KEPT or MEASURED.fullmatch(file) for file in found)
    return found if known and ENDING in found else None


def object_name(name: str, entry: Entry) -> str:
    """Return the name under which a file of a run lies at an address."""
    return f"{entry.sha256[:16]}-{name}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _kind(path: Path) -> type:
    return list if path.name == LOG else dict
