"""What the paper does not say, with what its study measured."""

from typing import TypedDict

from study.paper.evidence import (
    ResultsByStudy,
    arms_of,
    baseline_of,
    deviations_of_study,
    nearest,
    paired,
    probe_of,
    recipe_arm,
)
from study.paper.judged import tried_as
from study.paper.page.commands import ablate
from study.paper.page.values import basis_text, bounds_text, value_text
from study.paper.protocol import barring, settings_of
from study.paper.published import RECIPE, Silence, SourcePaper
from study.paper.wording import arm_in_full, arm_name
from study.reporting.format import figure_of
from study.reporting.names import measure_name
from study.results.comparisons import Interval
from study.results.schema import ArmResults, StudyResults


class Effect(TypedDict):
    """What an arm comes to against the baseline by one probe, as text."""

    arm: str
    text: str
    interval: str
    probe: str


class SilentRow(TypedDict):
    """What the paper does not say, and what was measured of it."""

    about: str
    study: str
    measured: list[Effect]
    note: str
    basis: str
    command: str


def silent_rows(paper: SourcePaper, found: ResultsByStudy) -> list[SilentRow]:
    """Return each silence, with the arms of its study against their baseline; and the spread over seeds."""
    return [*(_silent(silence, paper, found) for silence in paper.silent), _seeds(found, paper)]


def _silent(silence: Silence, paper: SourcePaper, found: ResultsByStudy) -> SilentRow:
    trained = silence.study != "generalisation"
    results = nearest(found.get(silence.study, ()), paper, dataset="cifar10", trained=trained)
    tried = _tried(results, paper, trained=trained)
    arms = [] if results is None else [(results, arm) for arm in arms_of(results) if not arm.is_baseline]
    return {
        "about": silence.about, "study": silence.study, "measured": [row for of, arm in arms for row in _effects(of, arm)],
        "note": _note(results), "basis": basis_text(results) + tried, "command": ablate(silence.study, "cifar10"),
    }  # fmt: skip


def _effects(results: StudyResults, arm: ArmResults) -> list[Effect]:
    """Return an arm's effect by the paper's probe, and by that of the study's own report where it is another."""
    probes = list(dict.fromkeys([probe_of(results), results.primary]))
    return [_effect(results, arm, probe) for probe in probes if probe in arm.summary]


def _effect(results: StudyResults, arm: ArmResults, probe: str) -> Effect:
    baseline = baseline_of(results)
    column = arm.summary[probe]
    reported = column.difference if probe == results.primary else None  # the very interval of the study's report
    difference: Interval | None = reported or paired(arm, baseline, probe)
    return {
        "arm": f"{arm_name(arm)} over {arm_name(baseline)}", "text": value_text(difference, "points"),
        "interval": bounds_text(difference, "points"), "probe": measure_name(probe),
    }  # fmt: skip


def _note(results: StudyResults | None) -> str:
    """Return which probe the study's own report goes by, where it is not the paper's."""
    if results is None or probe_of(results) == results.primary:
        return ""
    paper, own = measure_name(probe_of(results)), measure_name(results.primary)
    return f"Two probes: the paper's is “{paper}”; the study's own report goes by “{own}”."


def _seeds(found: ResultsByStudy, paper: SourcePaper) -> SilentRow:
    """Return how far the recipe's accuracy spreads over seeds, of which the paper has one."""
    candidates = [results for study in (RECIPE, "stem", "lambda-mu-nu") for results in found.get(study, ())]
    results = nearest([one for one in candidates if _spread(one)], paper, dataset="cifar10")
    return {
        "about": "how many seeds there were", "study": results.study if results else RECIPE,
        "measured": _spread(results) if results else [], "note": "", "basis": basis_text(results) + _tried(results, paper),
        "command": ablate(RECIPE, "cifar10"),
    }  # fmt: skip


def _tried(results: StudyResults | None, paper: SourcePaper, *, trained: bool = True) -> str:
    """Return how results were measured where it was not by the paper's protocol; empty where it was."""
    barred = () if results is None else barring(deviations_of_study(results, paper, trained=trained))
    return f", {tried_as(barred)}" if barred else ""


def _spread(results: StudyResults) -> list[Effect]:
    """Return the standard deviation over seeds of the recipe's accuracy; nothing where there is one seed."""
    baseline, probe = recipe_arm(results), probe_of(results)
    column = baseline.summary.get(probe)
    if column is None or column.sd is None:
        return []
    name = arm_in_full(baseline, settings_of(results, baseline))
    return [{
        "arm": f"standard deviation over seeds of the {name}", "probe": measure_name(probe),
        "text": f"{figure_of(column.sd, '.2f', 100)} points", "interval": f"n = {column.n}",
    }]  # fmt: skip
