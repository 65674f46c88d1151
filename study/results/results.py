"""What a `study.json` says, read and checked; and its cells planned anew under today's code and parameters."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.config.places import STUDY_RESULTS
from study.execution.session import Session
from study.spec.plan import Cell
from study.spec.study_file import Arm
from vicreg.errors import InputError

FILE = "study.json"
_STUDY = ("study", "profile", "primary", "data", "environment", "recipe", "arms")
_ARM = ("name", "label", "is_baseline", "is_control", "settings", "command", "verdict", "runs")
_RUN = ("seed", "digest", "status", "verdict", "validation", "test", "collapse", "history")


def read_results(path: Path) -> dict[str, Any]:
    """The results in a file, or in the `study.json` of a folder, checked as deep as comparisons rely on them.

    Raises:
        InputError: if there is no such file, or it does not hold the results of a study.
    """
    path = path / FILE if path.is_dir() else path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} must be the results of a study, but: {error.strerror}; run python -m study.ablate first."
        ) from None
    return parse_results(content, where=str(path))


def parse_results(content: bytes, *, where: str) -> dict[str, Any]:
    """The results that `content` holds; `where` names it in errors.

    Raises:
        InputError: if it is no JSON, or lacks a key.
    """
    try:
        results = json.loads(content)
    except ValueError as error:
        raise InputError(f"{where} must be JSON, but it is malformed ({error}); run the study again.") from None
    _require(results, _STUDY, where)
    for arm in results["arms"]:
        _require(arm, _ARM, f"{where}: an arm")
        for run in arm["runs"]:
            _require(run, _RUN, f"{where}: a run of arm {arm['name']!r}")
    return results


def results_path(study: str, *, folder: Path = STUDY_RESULTS) -> Path:
    """Where a study's results lie."""
    return folder / study / FILE


def replan(results: Mapping[str, Any], session: Session) -> dict[tuple[str, int], Cell]:
    """(arm, seed) -> its cell under the session's code and data, for every run the results report, from the settings
    that they record of its arm. A control is left out where no arm is of its architecture."""
    at_seed = defaultdict(list)
    for arm in results["arms"]:
        if not arm["is_control"]:
            for run in arm["runs"]:
                at_seed[run["seed"]].append(Arm(name=arm["name"], settings=arm["settings"]))
    planned = {
        (cell.arm, cell.seed): cell
        for seed, arms in sorted(at_seed.items())
        for cell in session.plan(arms=arms, seeds=(seed,)).cells
    }
    return {key: planned[key] for key in reported(results) if key in planned}


def reported(results: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """(arm, seed) -> what the results say of that run."""
    return {(arm["name"], run["seed"]): run for arm in results["arms"] for run in arm["runs"]}


def is_same_run(cell: Cell, digest: str, results: Mapping[str, Any]) -> bool:
    """Whether a cell is the run of this digest, leaving aside the machine that results say they were made on."""
    identity = cell.run.identity
    recorded = (results.get("identity") or {}).get("machinery")
    if recorded is not None and identity.digest != digest:
        identity = dataclasses.replace(identity, machinery=recorded)
    return identity.digest == digest


def changes_since(results: Mapping[str, Any], cell: Cell) -> list[str]:
    """What has changed since the results, in words, of what they record: code, data, machinery."""
    recorded = results.get("identity")
    if recorded is None:
        return []
    kept = {key: recorded[key] for key in ("code", "data", "machinery")} | {"definitions": definitions_of(results) or {}}
    return cell.run.identity.differences(dataclasses.replace(cell.run.identity, **kept))


def definitions_of(results: Mapping[str, Any]) -> dict[str, str] | None:
    """The digest of each definition that trained, as results record it; None where they record none."""
    recorded = (results.get("identity") or {}).get("definitions")
    return dict(recorded) if recorded is not None else None


def _require(value: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be an object, but is {type(value).__name__}; run the study again.")
    for key in keys:
        if key not in value:
            raise InputError(f"{where} must have the key {key!r}, but has none; run the study again.")
