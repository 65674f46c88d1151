"""What a report shows first: its main figure, facts on trust, and what was found."""

from collections import Counter
from collections.abc import Mapping, Sequence

from study.reporting.format import Number, decision_of, figure_of, mean_and_sd
from study.reporting.palette import COLLAPSE_TYPES
from study.reporting.panels.panel import Panel
from study.reporting.selection import CHOOSING, trained_arms
from study.results.comparisons import BETTER, DECISIONS, EQUIVALENT, UNDECIDED, WORSE
from study.results.findings import Looks
from study.results.schema import ArmResults, StudyResults

HEALTHY = "healthy"
PLANE, HISTORY = "search-plane", "search-history"
MAIN = {"grid": ("phase-verdict",), "search": (PLANE, HISTORY)}  # mode -> names of figures that answer its question
FOREST = "forest"
_SAID = {
    BETTER: ("is better", "are better"), WORSE: ("is worse", "are worse"),
    EQUIVALENT: ("makes no difference that matters", "make no difference that matters"),
    UNDECIDED: ("is undecided", "are undecided"),
}  # fmt: skip


def with_main(groups: Mapping[str, Sequence[Panel]], mode: str) -> dict[str, list[Panel]]:
    """Return the groups of figures with the figure of the mode in a group of its own, `main`, and no longer in another.

    It is the phase diagram of a grid, the trials of a search, and else the forest plot; where there is none, the accuracies.
    """
    every = [figure for name in ("design", "forest", "accuracy") for figure in groups[name]]
    wanted = (*MAIN.get(mode, ()), FOREST, *(figure["name"] for figure in groups["accuracy"]))
    main = next((figure for name in wanted for figure in every if figure["name"] == name), None)
    rest = {name: [figure for figure in group if figure is not main] for name, group in groups.items()}
    return {"main": [main] if main else [], **rest}


def caption_of(main: Sequence[Panel], published: str) -> str:
    """Return how to read the main figure; `published` says where the points over a phase diagram are from."""
    name = main[0]["name"] if main else ""
    if name == FOREST:
        return ("Mean paired difference over seeds with its 95 % interval; small dots are seeds. "
                "The grey band holds differences too small to matter.")  # fmt: skip
    if name.startswith("phase-"):
        tile = "A tile is a setting: the collapse type that most seeds share, and the mean test accuracy."
        marks = (" Rings are published coefficients that trained, crosses published ones that collapsed "
                 f"({published}). A setting with a zero has no place on these axes.") if published else ""  # fmt: skip
        return tile + marks
    if name == PLANE:
        return ("A mark is a trial, on validation. What was chosen was run anew at the study's seeds; its test accuracy is in "
                "the table.")  # fmt: skip
    if name == HISTORY:
        return ("A mark is a trial on validation, the line the best so far. What was chosen was run anew at the "
                "study's seeds; its test accuracy is in the table.")  # fmt: skip
    return "Each dot is one seed, the upright tick the mean." if main else ""


def facts_of(study: StudyResults, arms: Sequence[ArmResults]) -> list[tuple[str, str]]:
    """Return (what, how much) that says how far to trust a study: seeds, detectable difference, untrained level."""
    facts = [("Seeds", _seeds(trained_arms(arms), study.looks))]
    power = study.power
    if power is not None and power.detectable is not None:
        size = f"{100 * power.detectable:.1f} points" if power.detectable < 1 else "none"
        facts.append(("Detectable difference", size))
    levels = [mean_and_sd(arm.summary.get(study.primary), study.primary) for arm in arms if arm.is_control]
    known = [level for level in levels if level.value is not None]
    if known:
        facts.append(("Untrained network", f"{_range(known)} %"))
    return facts


def _seeds(trained: Sequence[ArmResults], looks: Looks | None) -> str:
    """Return how many seeds finished, of how many, and which look at the results this is."""
    finished = [sum(run.status == "finished" for run in arm.runs) for arm in trained]
    least, most = min(finished, default=0), max(finished, default=0)
    count = f"{most}" if least == most else f"{least} to {most}"
    if looks is None or len(looks.planned) < 2 and looks.declared:
        return count
    return f"{count}, look {looks.look} {f'of {len(looks.planned)}' if looks.declared else 'and not planned'}"


def _range(levels: Sequence[Number]) -> str:
    """Return one level as it is, and of several the lowest and the highest."""
    if len(levels) == 1:
        return levels[0]
    values = [level.value for level in levels if level.value is not None]
    return f"{figure_of(min(values), '.1f')} to {figure_of(max(values), '.1f')}"


def found_text(study: StudyResults, arms: Sequence[ArmResults]) -> str:
    """Return what was found, in a line: decisions against the baseline, collapse, and what the design adds."""
    said = [*_decisions(study, arms), *_collapsed(study, arms), *_of_the_design(study)]
    return " ".join(said) or "No run has a result yet."


def _decisions(study: StudyResults, arms: Sequence[ArmResults]) -> list[str]:
    tested = {}
    for arm in trained_arms(arms):
        column = arm.summary.get(study.primary)
        decision = decision_of(column.difference) if column and not arm.is_baseline else ""
        if decision:
            tested[arm.label] = decision
    if len(tested) == 1:
        ((label, decision),) = tested.items()
        return [f"{label} {_SAID[decision][0]} against the baseline."]
    counts = Counter(tested.values())
    said = [f"{counts[name]} {_SAID[name][counts[name] > 1]}" for name in DECISIONS if counts[name]]
    return [f"Of {len(tested)} settings against the baseline: {', '.join(said)}."] if said else []


def _collapsed(study: StudyResults, arms: Sequence[ArmResults]) -> list[str]:
    """Return how many settings collapsed, trials of a search among them, and by what type."""
    tried = [arm for arm in study.arms if arm.role in CHOOSING and arm.role != "tuning"]
    names = [arm.collapse_type.name for arm in [*tried, *trained_arms(arms)]]
    counts = Counter(name for name in names if name in COLLAPSE_TYPES and name != HEALTHY)
    if not any(name in COLLAPSE_TYPES for name in names):
        return []
    total = f"{len(names)} {'setting' if len(names) == 1 else 'settings'}"
    if not counts:
        return [f"None of {total} collapsed."]
    types = ", ".join(f"{counts[name]} {name}" for name in COLLAPSE_TYPES if counts[name])
    return [f"{sum(counts.values())} of {total} collapsed: {types}."]


def _of_the_design(study: StudyResults) -> list[str]:
    """Return the term of a grid that explains most of the variance of accuracy."""
    anova = study.grid.anova if study.grid else None
    if anova is None or not anova.effects:
        return []
    top = max(anova.effects, key=lambda effect: effect.share)
    return [f"{top.term} explains {100 * top.share:.0f} % of the variance of accuracy."]
