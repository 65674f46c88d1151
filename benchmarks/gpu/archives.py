"""Unpacks archives of images and of records of runs."""

import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

from vicreg.errors import InputError

# Python before 3.11.4 has no filters of archives.
_SAFELY: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def images_in(given: Path, folder: Path) -> Path:
    """Return a folder with train/ and test/: the given one, or what the given archive holds, unpacked into `folder`.

    Raises:
        InputError: where there is neither.
    """
    if given.is_dir():
        return given.absolute()
    if not given.is_file():
        raise InputError(f"--images must be a folder or a tar archive with train/ and test/, but {given} is neither.")
    if not folder.is_dir():
        temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        with tarfile.open(given) as packed:
            packed.extractall(temporary, **_SAFELY)
        temporary.replace(folder)  # so that a folder that is there is whole
    inside = sorted(path.parent for path in folder.rglob("train") if path.is_dir())
    if not inside:
        raise InputError(f"--images must hold train/ and test/, but {given} has no train/ in it.")
    return inside[0].absolute()


def unpack_records(archive: Path, store: Path) -> list[str]:
    """Bring the records of runs into a store, for those runs of which it has nothing, and return which these are.

    Raises:
        InputError: for a file that is none.
    """
    if not archive.is_file():
        raise InputError(f"--records must be a tar archive of runs, but {archive} is no file.")
    temporary, runs = store / f"records.{os.getpid()}.tmp", store / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as packed:
        packed.extractall(temporary, **_SAFELY)
    new = sorted(path for path in (temporary / "runs").glob("*/") if not (runs / path.name).exists())
    for path in new:
        path.replace(runs / path.name)  # so that a run that is there is whole
    shutil.rmtree(temporary)
    return [path.name for path in new]
