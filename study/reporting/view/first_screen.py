"""What a report shows first: its main figure, facts on trust, and what was found."""

from collections import Counter
from collections.abc import Mapping, Sequence

from study.analysis.alerts import paired_seeds
from study.analysis.by_decision import decisions_of, is_collapsed
from study.analysis.collapse_answer import ablations, found_collapses
from study.analysis.decisions import compared_arms
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import (
    CLASS_NAMES,
    LEAST_SHOWN,
    agree,
    capitalised,
    count_of,
    explained,
    in_terms_of_methods,
    in_words,
    listed,
    name_of,
    points,
    probe_name,
    signed,
    spelled,
    word_count,
)
from study.reporting.format import Number, figure_of, mean_and_sd
from study.reporting.names import measure_name
from study.reporting.palette import COLLAPSE_TYPES
from study.reporting.panels.panel import Panel
from study.reporting.panels.what_collapses import NAME as WHAT_COLLAPSES
from study.reporting.selection import trained_arms
from study.reporting.terms import TERM_OF, WEIGHTS
from study.results.comparisons import BETTER, EQUIVALENT, UNDECIDED, WORSE
from study.results.findings import Looks, Power
from study.results.methods import VICREG
from study.results.schema import ArmResults, StudyResults
from study.spec.about import COLLAPSES
from vicreg.evaluation.collapse_diagnosis import HEALTHY

PLANE, HISTORY = "search-plane", "search-history"
MAIN = {"grid": ("phase-verdict",), "search": (PLANE, HISTORY)}  # mode -> names of figures that answer its question
FOREST = "forest"
LONGEST = 25  # words of a sentence
_SAID = {
    BETTER: ("is better", "are better"), WORSE: ("is worse", "are worse"),
    EQUIVALENT: ("makes no difference that matters", "make no difference that matters"),
    UNDECIDED: ("is undecided", "are undecided"),
}  # fmt: skip


def with_main(groups: Mapping[str, Sequence[Panel]], mode: str) -> dict[str, list[Panel]]:
    """Return the groups of figures with the figure of the mode in a group of its own, `main`, and no longer in another.

    It is the types of a study about collapse, the phase diagram of a grid, the trials of a search, and else the forest plot.
    Where there is none, it is the accuracies.
    """
    every = [figure for name in ("design", "forest", "accuracy") for figure in groups[name]]
    wanted = (WHAT_COLLAPSES, *MAIN.get(mode, ()), FOREST, *(figure["name"] for figure in groups["accuracy"]))
    main = next((figure for name in wanted for figure in every if figure["name"] == name), None)
    rest = {name: [figure for figure in group if figure is not main] for name, group in groups.items()}
    return {"main": [main] if main else [], **rest}


def caption_of(main: Sequence[Panel], published: str, confidence: str | None = "95 %") -> str:
    """Return how to read the main figure.

    `published` says where the points over a phase diagram are from, and `confidence` at what the intervals are.
    """
    name = main[0]["name"] if main else ""
    if name == FOREST:
        band = "Small dots are seeds. The grey band holds differences too small to matter."
        if confidence is None:
            return f"Mean paired difference over seeds. {band} Fewer than three seeds give no interval."
        return (f"Mean paired difference over seeds with its {confidence} interval. {band} What is decided is corrected for "
                "all settings, so an interval without zero may be undecided.")  # fmt: skip
    if name == WHAT_COLLAPSES:
        return ("A mark is a seed. The first row of each method is the method as it is; below it stands what is changed. "
                "Faint marks: the method is not healthy as it is, so nothing follows from its changes.")  # fmt: skip
    if name.startswith("phase-"):
        tile = "A tile is a setting: its collapse type and its mean test accuracy."
        marks = (" Rings are published coefficients that trained, crosses published ones that collapsed "
                 f"({published}). A setting with a zero has no place on these axes.") if published else ""  # fmt: skip
        return tile + marks
    if name == PLANE:
        return "A mark is a trial, on validation. The table has the winner's test accuracy, rerun with fresh seeds."
    if name == HISTORY:
        return ("A mark is a trial on validation, the line the best so far. The table has the winner's test accuracy, rerun "
                "with fresh seeds.")  # fmt: skip
    return "Each dot is one seed, the upright tick the mean." if main else ""


def facts_of(study: StudyResults, arms: Sequence[ArmResults]) -> list[tuple[str, str]]:
    """Return (what, how much) that says how far to trust a study: seeds, detectable difference, untrained level."""
    facts = [("Seeds", seeds_text(trained_arms(arms), study.looks))]
    if study.is_about_collapse:
        clear = [one for one in ablations(study) if one.is_conclusive]
        collapsed = sum(is_collapsed(one.changed) for one in clear)
        facts.append(("Changes that collapse", f"{collapsed} of {len(clear)}"))
    power = None if study.is_about_collapse else study.power
    if power is not None and power.detectable is not None and power.detectable >= LEAST_SHOWN:
        facts.append(("Detectable difference", detectable_text(power)))
    levels = [mean_and_sd(arm.summary.get(study.primary), study.primary) for arm in arms if arm.is_control]
    known = [level for level in levels if level.value is not None]
    if known:
        quoted = any("linear" in arm.summary for arm in arms if arm.is_baseline) and study.primary != "linear"
        what = f" ({measure_name(study.primary)})" if quoted else ""  # the answer has another probe's accuracy
        facts.append(("Untrained network", f"{_range(known)} %{what}"))
    return facts


def detectable_text(power: Power) -> str:
    """Return the difference that would be found, of each class that spreads by itself."""
    shown = [one for one in power.classes or () if one.detectable >= LEAST_SHOWN]
    if len(shown) > 1:
        sizes = [points(one.detectable) if one.detectable < 1 else "none" for one in shown]
        return ", ".join(f"{size} ({CLASS_NAMES.get(one.name, one.name)})" for size, one in zip(sizes, shown, strict=True))
    if power.detectable is None or power.detectable >= 1:
        return "none"
    return points(power.detectable)


def seeds_text(trained: Sequence[ArmResults], looks: Looks | None) -> str:
    """Return how many seeds finished, of how many, and which look at the results this is."""
    finished = [sum(run.status == "finished" for run in arm.runs) for arm in trained]
    least, most = min(finished, default=0), max(finished, default=0)
    count = f"{most}" if least == most else f"{least} to {most} an arm"
    if looks is None or len(looks.planned) < 2 and looks.declared:
        return count
    return f"{count}, look {looks.look} {f'of {len(looks.planned)}' if looks.declared else 'and not planned'}"


def _range(levels: Sequence[Number]) -> str:
    """Return one level as it is, and of several the lowest and the highest."""
    values = [level.value for level in levels if level.value is not None]
    least, most = figure_of(min(values), ".1f"), figure_of(max(values), ".1f")
    if len(levels) == 1 or least == most:
        return levels[0]
    return f"{least} to {most}"


def found_text(study: StudyResults) -> str:
    """Return what was found, in a line: decisions against the baseline, collapse, and what the design adds."""
    if study.is_about_collapse and (collapses := found_collapses(study)):
        return " ".join(collapses)
    said = [
        *_means(study), *_decisions(study), *_range_of_methods(study), *_collapsed(study), *_without_terms(study),
        explained(study.grid),
    ]  # fmt: skip
    text = " ".join(filter(None, said)) or "No run has a result yet."
    return in_terms_of_methods(text) if study.methods and study.methods.is_one_an_arm else text


def _means(study: StudyResults) -> list[str]:
    """Return what settings reach where there are too few seeds to compare them; nothing where there are enough."""
    seeds, measured = paired_seeds(study), [arm for arm in compared_arms(study.arms) if study.primary in arm.summary]
    if not 0 < seeds < LEAST_SEEDS:
        return []
    baseline = next((arm for arm in measured if arm.is_baseline), measured[0])
    probe = "linear" if "linear" in baseline.summary else study.primary  # as the answer has it
    reached = [f"{name_of(arm.label)}: {100 * arm.summary[probe].mean:.1f} %" for arm in measured if probe in arm.summary]
    whose = "At one seed" if seeds == 1 else f"Means of {in_words(seeds)} seeds"
    said = f"{whose} by the {probe_name(probe)}: {'; '.join(reached)}."
    left = len(compared_arms(study.arms)) - len(measured)
    without = [f"{capitalised(spelled(left, 'setting'))} {agree(left, 'has', 'have')} no result."] if left else []
    return [*([said] if word_count(said) <= LONGEST else []), *without]


def _range_of_methods(study: StudyResults) -> list[str]:
    """Return how far methods lie from the baseline on average, and how far one with labels does."""
    if study.methods is None or not study.methods.is_one_an_arm:
        return []
    compared = [(arm, found) for arm in compared_arms(study.arms) if (found := arm.difference(study.primary))]
    own = [found.mean for arm, found in compared if not study.methods.takes_labels(arm.name)]
    said = [f"Their means lie {signed(min(own))} to {signed(max(own))} points from it."] if len(own) > 1 else []
    return said + [
        f"With labels the mean lies {signed(found.mean)} points from it."
        for arm, found in compared if study.methods.takes_labels(arm.name)
    ]  # fmt: skip


def _without_terms(study: StudyResults) -> list[str]:
    """Return how runs end in which one of VICReg's terms alone has the weight 0, term by term."""
    ends = []
    for arm in compared_arms(study.arms):
        weights = {key: arm.settings.get(key, study.recipe.get(key)) for key in WEIGHTS}
        zeros = [key for key, weight in weights.items() if weight == 0]
        known = arm.collapse_type.name in (*COLLAPSES, HEALTHY)
        if known and len(zeros) == 1 and study.method_of(arm) == VICREG:
            counts, name = arm.collapse_type.counts, arm.collapse_type.name
            share = f" at {counts.get(name, 0)} of {sum(counts.values())} seeds" if len(counts) > 1 else ""
            ends.append(f"without {TERM_OF[zeros[0]]}: {name}{share}")
    return [f"{capitalised('; '.join(dict.fromkeys(ends)))}."] if ends else []


def _decisions(study: StudyResults) -> list[str]:
    """Return what was decided of the settings that were compared with the baseline."""
    decided = decisions_of(study)
    if decided is None:
        return []
    found = {BETTER: decided.better, WORSE: decided.worse, EQUIVALENT: decided.equivalent, UNDECIDED: decided.undecided}
    tested = [(name, arm) for name, arms in found.items() for arm in arms]
    lost = [count_of(len(decided.lost), "setting") + " lost seeds"] if decided.lost else []
    if len(tested) == 1 and not lost:
        ((name, arm),) = tested
        than = " than the baseline" if name in (BETTER, WORSE) else " beside the baseline"
        return [f"{arm.label} {_SAID[name][0]}{than}."]
    said = [f"{len(arms)} {agree(len(arms), *_SAID[name])}" for name, arms in found.items() if arms]
    total = count_of(len(tested) + len(decided.lost), "setting")
    return [f"Of {total} compared with the baseline, {listed([*said, *lost])}."] if said or lost else []


def _collapsed(study: StudyResults) -> list[str]:
    """Return how many settings collapsed, and by what type; and how many trials of a search."""
    settings = [arm for arm in compared_arms(study.arms) if arm.collapse_type.name in (*COLLAPSES, HEALTHY)]
    trials = [arm for arm in study.arms if arm.role == "trial"]
    said = []
    if settings:
        counts = Counter(arm.collapse_type.name for arm in settings if is_collapsed(arm))
        types = listed([f"{counts[name]} {name}" for name in COLLAPSE_TYPES if counts[name]])
        how = f", all {next(iter(counts))}" if len(counts) == 1 and counts.total() > 1 else f": {types}" if types else ""
        if len(settings) == 1:
            name, kind = name_of(settings[0].label), settings[0].collapse_type.name
            return [f"{capitalised(name)} {f'collapsed: {kind}' if counts else 'did not collapse'}."]
        said.append(f"{counts.total() or 'None'} of {count_of(len(settings), 'setting')} collapsed{how}.")
        at_some = sum(is_collapsed(arm) and arm.collapse_type.counts.get(HEALTHY, 0) > 0 for arm in settings)
        if at_some:
            said.append(f"{agree(at_some, 'One of these is', f'{at_some} of these are')} healthy at other seeds.")
    if trials:
        collapsed = sum(arm.outcomes.collapsed for arm in trials if arm.outcomes)
        said.append(f"{collapsed or 'None'} of {count_of(len(trials), 'trial')} collapsed.")
    return said
