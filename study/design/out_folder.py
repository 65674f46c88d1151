"""The folder that `--out` names for results: checked before anything runs, and as it stands in commands."""

import os
from pathlib import Path

from study.config.places import PAPER_RESULTS, STUDY_RESULTS
from study.execution.session import Session
from study.results.files import FILE
from study.runs.stored_json import stored_object
from vicreg.errors import InputError


def require_own_folder(out: Path, session: Session, *, so_far: bool = False) -> None:
    """Refuse a folder whose files the results of a session would replace, though they are of something else.

    Args:
        out: as `--out` names it.
        session: the request, opened.
        so_far: whether the results are of the runs that are measured so far, which are no whole study.

    Raises:
        InputError: for the project's folder, for a file, and for a folder of other results; for results so far, or with
            other settings, also below `results/ablate` and `results/source_paper`.
    """
    place = Path(os.path.abspath(out))
    existing = next((one for one in (place, *place.parents) if one.exists()), place)
    if not existing.is_dir():
        raise InputError(f"--out must be a folder, but {existing} is a file; name another.")
    if (place / "params.yaml").exists():
        raise InputError(f"--out must not be the project's folder, but is {out}; name one below it, such as results/mine.")
    for whole in (STUDY_RESULTS, PAPER_RESULTS) if so_far else ():
        if place.is_relative_to(os.path.abspath(whole)):
            raise InputError(f"--out of --so-far must not be below {whole}, which holds whole studies; leave --out out.")
    for tracked in (STUDY_RESULTS, PAPER_RESULTS) if session.overrides else ():
        if place.is_relative_to(os.path.abspath(tracked)):
            raise InputError(
                f"--out must not be below {tracked}, whose results are tracked, where --set changes settings; leave it out."
            )
    found = stored_object(place / FILE, ("study", "profile"))
    if found and (found["study"], found["profile"]) != (session.study.name, session.config.profile):
        raise InputError(
            f"--out must not replace other results, but {out} holds those of study {found['study']!r} on profile "
            f"{found['profile']!r}; name another folder."
        )


def name_of(folder: Path) -> str:
    """Return the name of a folder, whatever its path: `..` has none of its own."""
    return Path(os.path.abspath(folder)).name


def option(name: str, value: object) -> list[str]:
    """Return an option of a command and its value; a value that begins with `-` would be taken for an option itself."""
    return [f"{name}={value}"] if str(value).startswith("-") else [name, str(value)]
