"""Finds results to compare, by path, study, git revision or profile."""

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from study.analysis.read import read_analysed
from study.analysis.reanalyse import reanalyse
from study.analysis.summary import summarise
from study.config.load import load_config
from study.config.places import STORE, STUDY_RESULTS
from study.config.read_yaml import parse_yaml
from study.design.unfold import unfold
from study.execution.request import Request
from study.execution.scheduler import Lookup
from study.execution.session import open_session
from study.results.collapse_names import with_todays_names
from study.results.files import FILE, PACKED, PACKED_BEFORE, kept_path, parse_results, results_path, unpack
from study.results.schema import StudyResults
from study.results.timing import TIMING, read_timing, with_commits
from study.runs.outcomes import FINISHED
from vicreg.data.fingerprint import source_fingerprint
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Source:
    """Results, and what to call them."""

    name: str
    results: StudyResults


def resolve_results(text: str, *, store: Path, folder: Path = STUDY_RESULTS) -> Source:
    """Return the results that `text` names.

    Args:
        text: a path to a `study.json`, its folder, or kept results (`.json.xz`). `NAME`, a study's results under
            `folder`. `REV:NAME`, these at a git revision, or what it keeps of them. `NAME@PROFILE`, the study under another
            profile, from the runs that the store holds of it, or what is kept of it. `REV:NAME@PROFILE`, what was kept.

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
    return with_commits(read_analysed(path), read_timing(folder / TIMING))


def at_revision(revision: str, study: str, *, folder: Path = STUDY_RESULTS) -> StudyResults:
    """Return a study's results at a git revision, analysed again: from DVC's cache, or else as the revision keeps them.

    Args:
        revision: of git.
        study: its name, or `NAME@PROFILE` for what was kept of another profile.
        folder: of the results that `dvc.lock` names.

    Raises:
        InputError: if there is no such revision, or it had no such results.
    """
    study, _, profile = study.partition("@")
    out = results_path(study, folder=folder).as_posix()
    md5 = None if profile else _locked(revision, out)
    cached = _cache() / "files" / "md5" / md5[:2] / md5[2:] if md5 else None
    if cached is not None and cached.is_file():
        return reanalyse(with_todays_names(parse_results(cached.read_bytes(), where=f"{out} at {revision}")))
    kept = kept_path(profile or _profile(revision), study).as_posix()
    for path in (kept, kept.removesuffix(PACKED) + PACKED_BEFORE):
        if (content := _file(revision, path)) is not None:
            where = f"{path} at {revision}"
            return reanalyse(with_todays_names(parse_results(unpack(content, where=where), where=where)))
    if md5 is not None:
        raise InputError(
            f"{out} at {revision} is no longer in DVC's cache (md5 {md5}), and that revision keeps no {kept}; get it with "
            "`dvc fetch --all-commits`, or run the study at that revision again."
        )
    locked = "" if profile else f"its dvc.lock does not name {out}, and "
    raise InputError(f"revision {revision} has no results of a study {study!r}: {locked}it keeps no {kept}.")


def under_profile(study: str, profile: str, *, store: Path) -> StudyResults:
    """Return a study's results under a profile: from finished runs, or else as `reports/measured` keeps them.

    Of runs, what has not been run is missing. What is kept serves where no run has finished, or the data are not here.

    Raises:
        InputError: if there is no such study or profile, or nothing of it.
    """
    kept, config = kept_path(profile, study), load_config(profile=profile)
    if kept.is_file() and source_fingerprint(dataset=config.prepare.dataset, root=config.data_root) is None:
        return read_analysed(kept)
    session = open_session(Request(study=study, store=store, profile=profile))
    plan = unfold(session, Lookup(session))
    if not any(session.store.status(cell.run)[0] == FINISHED for cell in plan.cells):
        if kept.is_file():
            return read_analysed(kept)
        where = "" if store == STORE else f" --store {shlex.quote(str(store))}"
        raise InputError(
            f"the store {store} holds no finished run of study {study!r} on profile {profile!r}; run "
            f"python -m study.ablate --study {shlex.quote(study)} --profile {shlex.quote(profile)}{where} first."
        )
    return summarise(
        plan, session.store, session.dataset, command=session.command, overrides=session.overrides, device=session.device
    )


def _locked(revision: str, out: str) -> str | None:
    """Return the digest of an output in `dvc.lock` at a revision; None where it is not named there."""
    content = _file(revision, "dvc.lock")
    if content is None:
        raise InputError(f"revision {revision!r} must have a dvc.lock that git can show, but has none.")
    lock = parse_yaml(content.decode(errors="replace"), where=f"dvc.lock at {revision}")
    stages = (lock.get("stages") if isinstance(lock, dict) else None) or {}
    outs = [one for stage in stages.values() for one in stage.get("outs") or []]
    return next((one["md5"] for one in outs if one["path"] == out), None)


def _profile(revision: str) -> str:
    """Return the profile that `params.yaml` names at a revision, or else today's."""
    content = _file(revision, "params.yaml")
    named = parse_yaml(content.decode(errors="replace"), where=f"params.yaml at {revision}") if content else None
    profile = named.get("profile") if isinstance(named, dict) else None
    return profile if isinstance(profile, str) else load_config().profile


def _file(revision: str, path: str) -> bytes | None:
    """Return what a file of this folder held at a revision; None where there was none.

    Raises:
        InputError: where git is not here, or knows no such revision.
    """
    if _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", revision=revision) is None:
        raise InputError(f"revision {revision!r} must be one that git knows, but it is none here; `git log` lists them.")
    return _git("show", f"{revision}:./{path}", revision=revision)


def _git(*arguments: str, revision: str) -> bytes | None:
    """Return what git prints; None where it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError as error:
        raise InputError(f"git is needed to look at revision {revision!r}, but: {error.strerror}.") from None
    return done.stdout if done.returncode == 0 else None


def _cache() -> Path:
    """Return DVC's cache, wherever its config has put it."""
    done = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, encoding="utf-8", check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 and done.stdout.strip() else Path(".dvc/cache")
