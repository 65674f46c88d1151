"""The commands that made a measurement or would decide a claim."""

import json
import shlex
from collections.abc import Sequence

from study.analysis.commands import next_look, without_seeds
from study.paper.evidence import baseline_of, recipe_arm, unfinished
from study.paper.judged import NOT_RUN, TRIED, Judged, is_settled
from study.paper.protocol import DATASETS, STOP
from study.projection.results import Projection
from study.reporting.format import without_paths
from study.results.findings import Looks
from study.results.schema import StudyResults


def command_of(results: StudyResults) -> str:
    """Return the command of a study, with no folder of one machine in it."""
    return without_paths(results.command or "")


def made_by(row: Judged) -> list[str]:
    """Return the commands that made a row's runs; nothing where there are none."""
    made = [one for one in (row.results, row.reference) if one is not None and row.runs]
    return [_project(one.profile or "") if isinstance(one, Projection) else command_of(one) for one in made]


def _project(profile: str) -> str:
    return shlex.join(["dvc", "exp", "run", "-S", f"profile={profile}", "project"])


def ablate(study: str, profile: str) -> str:
    """Return the command of a study under a profile."""
    return shlex.join(["python", "-m", "study.ablate", "--study", study, "--profile", profile])


def ablate_alike(study: str, results: StudyResults) -> str:
    """Return the command of a study on the images and with the settings of other results, with no folder of one machine."""
    given = [f"--set={key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(results.overrides.items())]
    parts = [part for one in given for part in one.split("=", 1)]
    return without_paths(shlex.join([*shlex.split(ablate(study, results.profile)), *parts]))


def missing_text(row: Judged) -> str:
    """Return what it would take for a verdict; nothing where there is one."""
    if is_settled(row.verdict):
        return ""
    if row.verdict in TRIED:
        return "the rest of its training" if _goes_on(row) else "the paper's protocol"
    if row.verdict == NOT_RUN and row.arm and not row.runs and not row.missing.startswith("the study "):
        return f"runs of “{row.arm}”"
    return row.missing or "more seeds"


def next_command(row: Judged) -> str:
    """Return the command that measures the paper's protocol; nothing where there is a verdict."""
    if is_settled(row.verdict):
        return ""
    profile = row.dataset if row.dataset in DATASETS else "cifar10"
    if row.study == "project":
        return _project(profile)
    if isinstance(row.results, StudyResults) and row.ours is not None and not row.barring:
        own = [arm for arm in row.results.arms if set(row.runs) & {run.digest for run in arm.runs}]
        command = command_of(row.results)
        return command if unfinished(*own) else more_seeds(command, row.results.looks)
    if isinstance(row.results, StudyResults) and _goes_on(row):
        return command_of(row.results)
    return ablate(row.study, profile)


def _goes_on(row: Judged) -> bool:
    """Return whether a row is a look at a training that would be the paper's if it went on to its end."""
    results = row.results
    if not isinstance(results, StudyResults) or row.ours is None or len(row.barring) != 1:
        return False
    return recipe_arm(results).settings.get(STOP) is not None and unfinished(baseline_of(results))


def more_seeds(command: str, looks: Looks | None = None) -> str:
    """Return a study's command with the seeds of its next declared look, or else with two seeds more than it has."""
    if looks is not None and looks.declared:
        return next_look(without_seeds(command), looks) or command
    parts = shlex.split(command)
    option = next((one for one in ("--add-seeds", "--seeds") if one in parts[:-1]), None)
    if option is None:
        return f"{command} --add-seeds 2"
    place = parts.index(option) + 1
    return shlex.join([*parts[:place], str(int(parts[place]) + 2), *parts[place + 1 :]])


def missing_commands(rows: Sequence[Judged]) -> list[str]:
    """Return every command that would turn open rows into verdicts, once."""
    return list(dict.fromkeys(command for row in rows if (command := next_command(row))))
