"""Analyses recorded results again, by today's statistics and thresholds."""

import dataclasses
import re

from study.analysis.analyse import analyse
from study.analysis.diagnose_again import diagnose_again, undiagnosed_note
from study.analysis.findings import Change
from study.analysis.network_notes import recorded_notes
from study.results.schema import StudyResults
from study.spec.names import VALUE_NAMES
from study.spec.study_file import Arm

MARGIN = 0.01  # of results that record none; params.yaml's own
_SIGN = "Analysed again by today's statistics"


def reanalyse(results: StudyResults) -> StudyResults:
    """Return results as today's analysis of the same runs has them, with a note that says so where anything differs.

    Collapse types, comparisons, findings and sentences are computed anew. What does not follow from the runs that are
    recorded stays as it is: the description of the study, the cost, a search's front and the importances of its parameters,
    and notes on the network.
    """
    path = results.path
    again = analyse(
        diagnose_again(_with_todays_labels(results)),
        margin=results.power.margin if results.power else MARGIN,
        configured_seeds=_configured_seeds(results),
        changes=[
            Change(arm=step.arm, change=step.change, alternatives=step.alternatives) for step in path.steps
        ] if path else None,
        path_note=path.note if path else "",
        network=recorded_notes(results.notes),
    )  # fmt: skip
    again = dataclasses.replace(again, notes=(*again.notes, *undiagnosed_note(results)))
    said = [note for note in results.notes if note.startswith(_SIGN)]
    if not said and again == results:
        return results
    return dataclasses.replace(again, notes=(*again.notes, *(said or [_said(results)])))


def _with_todays_labels(results: StudyResults) -> StudyResults:
    """Return results whose arms are called what today's labels call the values that have a name of their own."""
    arms = [
        dataclasses.replace(arm, label=Arm(name=arm.name, settings=arm.settings).label)
        if not arm.is_control and VALUE_NAMES.keys() & arm.settings.keys() else arm
        for arm in results.arms
    ]  # fmt: skip
    return dataclasses.replace(results, arms=tuple(arms))


def _said(results: StudyResults) -> str:
    if not results.commits:
        return f"{_SIGN}; the runs are of an earlier version of the code."
    return f"{_SIGN}; the runs are of commit{'s' if len(results.commits) > 1 else ''} {', '.join(results.commits)}."


def _configured_seeds(results: StudyResults) -> int:
    """Return how many seeds the study was configured with, which `--add-seeds` adds to.

    They are those of the first look, or those that were asked for, without the added ones. Where the command replaced the
    configured seeds, the command that was recorded for more seeds says from how many it counts.
    """
    if results.looks is not None:
        return results.looks.planned[0]
    power, command = results.power, results.command or ""
    offered = _option(power.command, "--add-seeds") if power and power.command else None
    if offered is not None and power:
        return (power.needed or 2 * power.n) - offered
    asked = max((len(arm.runs) for arm in results.arms if arm.role in ("arm", "step")), default=0)
    return asked - (_option(command, "--add-seeds") or 0)


def _option(command: str, name: str) -> int | None:
    found = re.search(rf"{name} (\d+)", command)
    return int(found[1]) if found else None
