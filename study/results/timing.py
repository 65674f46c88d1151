"""When and how fast runs were made: apart from results, which are the same wherever they are made."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from study.results.json_values import from_values, json_field, parse_json, readable_if_there
from study.results.schema import StudyResults

TIMING = "timing.json"
_REMEDY = "run the study again"


@dataclass(frozen=True, kw_only=True)
class RunTiming:
    """How many seconds a run trained, the joules it used where the device counts them, and the commit it was made at.

    An untrained control has no seconds. `step_seconds` are those of a step, in studies of methods.
    """

    seconds: float | None = None
    joules: float | None = None
    commit: str | None = None
    step_seconds: float | None = json_field(omitted=True)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a study's runs took, by digest."""

    runs: Mapping[str, RunTiming]


NO_TIMING = Timing(runs={})


def read_timing(path: Path) -> Timing:
    """Read what a study's runs took; nothing where there is no such file.

    Raises:
        InputError: if the file is damaged.
    """
    content = readable_if_there(path, remedy=_REMEDY)
    if content is None:
        return NO_TIMING
    return from_values(Timing, parse_json(content, where=str(path), remedy=_REMEDY), where=str(path), remedy=_REMEDY)


def without_commits(results: StudyResults) -> StudyResults:
    """Return results that do not say at which commits their runs were made."""
    arms = [
        dataclasses.replace(arm, runs=tuple(dataclasses.replace(run, commit=None) for run in arm.runs))
        for arm in results.arms
    ]
    return dataclasses.replace(results, commits=(), arms=tuple(arms))


def with_commits(results: StudyResults, timing: Timing) -> StudyResults:
    """Return results with the commits that `timing` knows of their runs; others stay as they are."""
    known = {digest: run.commit for digest, run in timing.runs.items() if run.commit}
    arms = [
        dataclasses.replace(
            arm, runs=tuple(dataclasses.replace(run, commit=known.get(run.digest, run.commit)) for run in arm.runs)
        )
        for arm in results.arms
    ]
    commits = {run.commit for arm in arms for run in arm.runs if run.commit and run.status == "finished"}
    return dataclasses.replace(results, commits=tuple(sorted({*results.commits, *commits})), arms=tuple(arms))
