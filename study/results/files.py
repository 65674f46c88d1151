"""The one reader of `study.json`, and the bytes that are written."""

import gzip
import lzma
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.config.places import KEPT_RESULTS, STUDY_RESULTS
from study.results.collapse_names import with_todays_names
from study.results.json_values import from_values, parse_json, to_values
from study.results.schema import StudyResults
from vicreg.errors import InputError
from vicreg.files import to_json

FILE = "study.json"
PACKED = ".json.xz"  # suffix of what git keeps in reports/measured,
PACKED_BEFORE = ".json.gz"  # and kept at earlier revisions
_GZIP = b"\x1f\x8b"


def results_path(study: str, *, folder: Path = STUDY_RESULTS) -> Path:
    """Return where a study's results lie."""
    return folder / study / FILE


def kept_path(profile: str, study: str) -> Path:
    """Return where git keeps a study's results under a profile."""
    return KEPT_RESULTS / profile / f"{study}{PACKED}"


def read_results(path: Path) -> StudyResults:
    """Read the results in a file, be it packed, or in the `study.json` of a folder, with today's names of collapse types.

    Raises:
        InputError: if there is no such file, or it does not hold the results of a study.
    """
    path = path / FILE if path.is_dir() else path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} must be the results of a study, but: {error.strerror}; run python -m study.ablate --study NAME first."
        ) from None
    content = unpack(content, where=str(path)) if is_packed(path) else content
    return with_todays_names(parse_results(content, where=str(path)))


def is_packed(path: Path) -> bool:
    """Return whether a file is packed, as git keeps results."""
    return path.name.endswith(PACKED)


def unpack(content: bytes, *, where: str) -> bytes:
    """Return what a packed file holds, be it of earlier revisions, which packed by gzip; `where` names it in errors.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return gzip.decompress(content) if content.startswith(_GZIP) else lzma.decompress(content)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{where} must be an xz file, but is damaged ({error}); restore it from git.") from None


def parse_results(content: bytes, *, where: str) -> StudyResults:
    """Return the results that the JSON text `content` holds, as they are written; `where` names it in errors.

    Raises:
        InputError: if it is no JSON, lacks a key, or has a value of another kind.
    """
    return results_from_values(parse_json(content, where=where), where=where)


def results_from_values(values: Any, *, where: str) -> StudyResults:
    """Return the results that JSON values hold; `where` names them in errors.

    Raises:
        InputError: if they lack a key, or have a value of another kind.
    """
    if isinstance(values, Mapping) and isinstance(values.get("arms"), list):
        values = {**values, "arms": [_with_role(arm) for arm in values["arms"]]}
    return from_values(StudyResults, values, where=where)


def results_bytes(results: StudyResults) -> bytes:
    """Return the content of a `study.json`; equal results give equal bytes."""
    return to_json(to_values(results))


def _with_role(arm: Any) -> Any:
    """Return an arm with its role, which earlier versions did not write."""
    if not isinstance(arm, Mapping) or arm.get("role"):
        return arm
    return {**arm, "role": "control" if arm.get("is_control") else "arm"}
