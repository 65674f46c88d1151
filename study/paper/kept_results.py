"""Keep results in git, and read all that the page shows."""

import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.analysis.read import read_analysed
from study.analysis.reanalyse import reanalyse
from study.analysis.wording import count_of
from study.config.places import (
    KEPT_RESULTS,
    PAPER_FAILURES,
    PAPER_PAGE,
    PAPER_RESULTS,
    PROJECT_RESULTS,
    STUDY_RESULTS,
)
from study.paper.kept_look import with_kept_look
from study.projection.results import FILE as MAP
from study.projection.results import Projection, parse_projection, read_projection
from study.reporting.inputs import Sources
from study.reporting.report import write_report
from study.results.files import FILE, PACKED, kept_path, read_results, results_bytes, unpack
from study.results.json_values import parse_json, readable
from study.results.schema import StudyResults
from study.results.timing import TIMING, read_timing, with_commits, without_commits
from study.spec.study_file import TAKEN
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically

SAYS_OF_WHAT = ("data", "profile", "recipe")  # keys of a map that says of what it is; earlier versions lack them


def keep(folder: Path) -> Path:
    """Take the results in a folder into `reports/measured`, for git to keep, with their report; return where they lie.

    Where they add seeds to runs that are kept already, they are a second look, and get its price.

    Raises:
        InputError: for a folder without a `study.json` or a `tsne.json`, or where results of the same study and profile
            with other settings over it are kept already.
    """
    target = require_keepable(folder)
    if (folder / MAP).is_file():
        return _pack(json.loads((folder / MAP).read_bytes()), target)
    results = read_results(folder / FILE)
    if target.is_file():
        results = with_kept_look(results, read_results(target))
    if (folder / TIMING).is_file():  # for the report to be written again
        write_atomically(KEPT_RESULTS / results.profile / results.study / TIMING, (folder / TIMING).read_bytes())
    kept = with_commits(results, read_timing(folder / TIMING))
    _pack(json.loads(results_bytes(kept)), target)
    write_kept_report(target)
    return target


def require_keepable(folder: Path) -> Path:
    """Return where `keep` would take the results in a folder; nothing is written.

    Raises:
        InputError: where it would refuse them.
    """
    if (folder / MAP).is_file():
        return _map_target(folder / MAP)
    if not (folder / FILE).is_file():
        raise InputError(f"--keep takes folders that hold a {FILE} or a {MAP}, but {folder} holds neither.")
    results = read_results(folder / FILE)
    for name in (results.profile, results.study):
        _require_plain(name, folder / FILE)
    if results.study in TAKEN:  # a map's name for one, as which its file would be read
        raise InputError(f"{folder / FILE} must be of a study of another name than {results.study}; rename the study.")
    target = kept_path(results.profile, results.study)
    if target.is_file():
        _require_replaces(results, read_results(target), target)
    read_timing(folder / TIMING)
    return target


def _require_replaces(results: StudyResults, before: StudyResults, target: Path) -> None:
    """Raise `InputError` where results would take the place of others that say more, or something else."""
    if _overrides(before) != _overrides(results):
        raise InputError(
            f"{target} holds what came of {before.command!r}, which has other settings than {results.command!r}; "
            "remove it, or keep the new results under a profile of their own."
        )
    old, new = _device(before), _device(results)
    if old is not None and old != new:
        raise InputError(f"{target} holds runs on {old}, and these are on {new}; remove it first to keep these instead.")
    if lost := _finished(before) - _finished(results):
        raise InputError(
            f"{target} holds {count_of(len(lost), 'run')} that these results lack ({min(lost)[0]}, seed {min(lost)[1]}, for "
            "one); remove it first if they are to go."
        )


def _device(results: StudyResults) -> str | None:
    """Return what the runs were made on; None where an earlier version did not record it."""
    return (results.identity.machinery or {}).get("device") if results.identity else None


def _finished(results: StudyResults) -> set[tuple[str, int]]:
    """Return the arm and the seed of each run that has a result."""
    return {(arm.name, run.seed) for arm in results.arms for run in arm.runs if run.test}


def _map_target(path: Path) -> Path:
    shown = read_projection(path)
    lacking = [key for key in SAYS_OF_WHAT if getattr(shown, key) is None]
    if lacking:
        raise InputError(f"{path} must have the key {lacking[0]!r}, but has none; run python -m study.project again.")
    _require_plain(str(shown.profile), path)
    return KEPT_RESULTS / str(shown.profile) / f"{MAP}.xz"


def _require_plain(name: str, path: Path) -> None:
    """Raise `InputError` for a name in a file that is not the name of a folder: it would lead elsewhere."""
    if name in ("", ".", "..") or Path(name).name != name or "\\" in name or "\0" in name:
        raise InputError(f"{path} must name a study and a profile without / and .., but has {name!r}; run the study again.")


def _pack(values: object, target: Path) -> Path:
    """Write JSON values to a compressed file; the same values give the same bytes."""
    write_atomically(target, lzma.compress(to_json(values), preset=9 | lzma.PRESET_EXTREME))
    return target


def _overrides(results: StudyResults) -> dict[str, Any]:
    """Return what was set over the profile, but for where the data lie."""
    return {key: value for key, value in results.overrides.items() if not key.startswith("data.")}


def own_answers() -> list[Path]:
    """Return the results of the studies that answer the paper under this profile."""
    return sorted(PAPER_RESULTS.glob(f"*/{FILE}"))


def report_folder(path: Path) -> Path:
    """Return where the report of this profile's results lies: beside the page, or where the stage of the study puts it."""
    name = path.parent.name
    return PAPER_PAGE.with_suffix("") / name if path.is_relative_to(PAPER_RESULTS) else PAPER_PAGE.parent / name


def write_kept_report(path: Path) -> None:
    """Write the report of kept results, by today's analysis, into the folder beside them.

    Raises:
        InputError: where the results cannot be read or the report cannot be written.
    """
    folder = path.parent / path.name.removesuffix(PACKED)
    timing = folder / TIMING
    write_report(Sources(results=path, timing=timing if timing.is_file() else None), folder)


def kept_files() -> list[Path]:
    """Return the files of the results that git keeps, by profile and study."""
    return [path for path in sorted(KEPT_RESULTS.glob(f"*/*{PACKED}")) if path.name != f"{MAP}.xz"]


def write_own_report(folder: Path, out: Path) -> None:
    """Write the report of the results in a folder.

    Raises:
        InputError: where the results cannot be read or the report cannot be written.
    """
    timing = folder / TIMING
    write_report(Sources(results=folder / FILE, timing=timing if timing.is_file() else None), out)


def every_result(*, kept_only: bool = False) -> list[tuple[Path, StudyResults]]:
    """Return (folder of the report, results), each once: this profile's own first, then the kept ones by profile and study.

    All are analysed again, since earlier code may have written them. `kept_only` leaves out this profile's own.

    Raises:
        InputError: for results that are damaged.
    """
    paths = [] if kept_only else [*own_answers(), *sorted(STUDY_RESULTS.glob(f"*/{FILE}"))]
    own = [
        (report_folder(path), reanalyse(with_commits(read_results(path), read_timing(path.parent / TIMING))))
        for path in paths
    ]
    kept = [(path.parent / path.name.removesuffix(PACKED), read_analysed(path)) for path in kept_files()]
    different: list[tuple[Path, StudyResults]] = []
    for place, results in (*own, *kept):  # what was kept of this profile is there twice
        if without_commits(results) not in [without_commits(one) for _, one in different]:
            different.append((place, results))
    return different


def every_map(*, kept_only: bool = False) -> list[Projection]:
    """Return the projections that say of what they are: this profile's own first, unless `kept_only` leaves it out.

    Raises:
        InputError: for one that is damaged.
    """
    path = PROJECT_RESULTS / MAP
    own = [read_projection(path)] if path.is_file() and not kept_only else []
    kept = [parse_projection(_unpacked(path), where=str(path)) for path in sorted(KEPT_RESULTS.glob(f"*/{MAP}.xz"))]
    return [one for one in (*own, *kept) if all(getattr(one, key) is not None for key in SAYS_OF_WHAT)]


def _unpacked(path: Path) -> bytes:
    """Return what a file in `reports/measured` holds.

    Raises:
        InputError: if it is damaged.
    """
    return unpack(readable(path, remedy="restore it from git"), where=str(path))


def read_failures(path: Path = PAPER_FAILURES) -> Mapping[str, str]:
    """Return why studies could not be run this time, a sentence each; nothing where all could.

    Raises:
        InputError: if the file is damaged.
    """
    if not path.is_file():
        return {}
    remedy = "run python -m study.source_paper again"
    failures = parse_json(path.read_bytes(), where=str(path), remedy=remedy)
    if not isinstance(failures, dict) or not all(isinstance(why, str) for why in failures.values()):
        raise InputError(f"{path} must map studies to sentences, but does not; {remedy}.")
    return failures
