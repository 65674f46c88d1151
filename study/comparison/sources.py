"""Finds results to compare, by path, study, git revision or profile."""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from study.analysis.summary import summarise
from study.config.places import STORE, STUDY_RESULTS
from study.config.read_yaml import parse_yaml
from study.design.unfold import unfold
from study.execution.request import Request
from study.execution.scheduler import Lookup
from study.execution.session import open_session
from study.results.collapse_names import with_todays_names
from study.results.files import FILE, parse_results, read_results, results_path
from study.results.schema import StudyResults
from study.results.timing import TIMING, read_timing, with_commits
from study.runs.outcomes import FINISHED
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Source:
    """Results, and what to call them."""

    name: str
    results: StudyResults


def resolve_results(text: str, *, store: Path, folder: Path = STUDY_RESULTS) -> Source:
    """Return the results that `text` names.

    Args:
        text: a path to a `study.json` or its folder; `NAME`, a study's results under `folder`; `REV:NAME`, these at a git
            revision; or `NAME@PROFILE`, the study under another profile, from the runs that the store holds of it.

    Raises:
        InputError: where there are no such results; the sentence says what would make them.
    """
    path = Path(text)
    if path.is_file() or (path / FILE).is_file():
        return Source(name="…/" + "/".join(path.parts[-2:]) if path.is_absolute() else text, results=with_timing(path))
    revision, colon, name = text.rpartition(":")
    if colon:
        return Source(name=text, results=at_revision(revision, name, folder=folder))
    name, at, profile = text.partition("@")
    if at:
        return Source(name=text, results=under_profile(name, profile, store=store))
    return Source(name=text, results=with_timing(results_path(text, folder=folder)))


def with_timing(path: Path) -> StudyResults:
    """Return the results in a file or its folder, with the commits that the file of times beside it has.

    Raises:
        InputError: if there is no such file, or either cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    return with_commits(read_results(path), read_timing(folder / TIMING))


def at_revision(revision: str, study: str, *, folder: Path = STUDY_RESULTS) -> StudyResults:
    """Return a study's results as `dvc.lock` knew them at a git revision, from DVC's cache.

    Raises:
        InputError: if there is no such revision, it had no such results, or the cache no longer holds them.
    """
    out = results_path(study, folder=folder).as_posix()
    lock = parse_yaml(_git("show", f"{revision}:./dvc.lock", revision=revision), where=f"dvc.lock at {revision}")
    stages = (lock.get("stages") if isinstance(lock, dict) else None) or {}
    outs = [one for stage in stages.values() for one in stage.get("outs") or []]
    md5 = next((one["md5"] for one in outs if one["path"] == out), None)
    if md5 is None:
        raise InputError(f"revision {revision} has no results of a study {study!r}: its dvc.lock does not name {out}.")
    cached = _cache() / "files" / "md5" / md5[:2] / md5[2:]
    if not cached.is_file():
        raise InputError(
            f"{out} at {revision} is no longer in DVC's cache (md5 {md5}); get it with `dvc fetch --all-commits`, or run "
            "the study at that revision again."
        )
    return with_todays_names(parse_results(cached.read_bytes(), where=f"{out} at {revision}"))


def under_profile(study: str, profile: str, *, store: Path) -> StudyResults:
    """Return a study's results under a profile, from finished runs; what has not been run is missing in them.

    Raises:
        InputError: if there is no such study or profile, or none of its runs has finished.
    """
    session = open_session(Request(study=study, store=store, profile=profile))
    plan = unfold(session, Lookup(session))
    if not any(session.store.status(cell.run)[0] == FINISHED for cell in plan.cells):
        where = "" if store == STORE else f" --store {shlex.quote(str(store))}"
        raise InputError(
            f"the store {store} holds no finished run of study {study!r} on profile {profile!r}; run "
            f"python -m study.ablate --study {shlex.quote(study)} --profile {shlex.quote(profile)}{where} first."
        )
    return summarise(plan, session.store, session.dataset, command=session.command, overrides=session.overrides)


def _git(*arguments: str, revision: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, encoding="utf-8", check=True)
    except OSError as error:
        raise InputError(f"git is needed to look at revision {revision!r}, but: {error.strerror}.") from None
    except subprocess.CalledProcessError as error:
        detail = (
            error.stderr.strip().splitlines()[0].removeprefix("fatal: ").rstrip(".")
            if error.stderr.strip()
            else "git failed"
        )
        raise InputError(f"revision {revision!r} must have a dvc.lock that git can show, but: {detail}.") from None
    return done.stdout


def _cache() -> Path:
    """Return DVC's cache, wherever its config has put it."""
    done = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, encoding="utf-8", check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 and done.stdout.strip() else Path(".dvc/cache")
