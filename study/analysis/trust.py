"""How far to trust a study's answer: untrained level, seeds, power, ties."""

from study.analysis.alerts import ends_differently
from study.analysis.answer import untrained_summary
from study.analysis.by_decision import Decisions, decisions_of, is_collapsed, is_established, lost_seeds
from study.analysis.collapse_answer import trust_in_collapse
from study.analysis.looks import confidence_of
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import (
    CLASS_NAMES,
    LEAST_SHOWN,
    agree,
    capitalised,
    count_of,
    in_terms_of_methods,
    in_words,
    interval_of,
    listed,
    name_of,
    points,
    probe_name,
    spelled,
)
from study.results.findings import ClassPower, Looks, Power
from study.results.schema import ArmResults, StudyResults
from vicreg.evaluation.collapse_diagnosis import HEALTHY

# Of a 95 % interval of an arm that loses 20 points in one run of three, in %, by its number of seeds: "F: its worst arm" of
# docs/statistics.md, which has no more seeds.
MIXED_COVERAGE = {3: 67, 4: 78, 5: 86}
MOST_NAMED = 6  # methods in one sentence


def trust(results: StudyResults) -> list[str]:
    """Return a few sentences on how far the answer may be trusted; none where no arm was compared.

    They say what an untrained network reaches, how many seeds and looks there were, what difference would have been found,
    whose seeds ended differently, and what would differ on another machine.
    """
    found = decisions_of(results)
    if found is None or results.primary not in found.baseline.summary:
        return []
    if results.is_about_collapse:
        return [*trust_in_collapse(results), *_untrained(results, found.baseline)]
    said = [
        *_untrained(results, found.baseline),
        *_gains_of_methods(results),
        *_seeds(results, found),
        *_power(results.power),
        *_mixed(results, found),
        *_machine(found),
    ]
    return [in_terms_of_methods(one) for one in said] if results.methods and results.methods.is_one_an_arm else said


def _untrained(results: StudyResults, baseline: ArmResults) -> list[str]:
    """Return the accuracy of the untrained network, and whether the baseline's gain over it is established."""
    gain, untrained = baseline.gain(results.primary), untrained_summary(results, baseline)
    if gain is None or untrained is None:
        return ["There is no untrained network to compare with, so what training gained is not known."]
    clear = "clear" if is_established(gain) else "not established"
    return [
        f"The untrained network reaches {100 * untrained.mean:.1f} % ({probe_name(results.primary)}). "
        f"The baseline's gain over it is {clear}: {interval_of(gain, confidence_of(results.looks))}."
    ]


def _gains_of_methods(results: StudyResults) -> list[str]:
    """Return with how many methods training gains anything, and which lie below the untrained network on average."""
    if results.methods is None:
        return []
    gains = [(arm, gain) for arm in results.arms if not arm.is_control and (gain := arm.gain(results.primary))]
    clear = [arm for arm, gain in gains if is_established(gain)]
    below = [arm for arm, gain in gains if gain.mean < 0]
    what = "method" if results.methods.is_one_an_arm else "setting"
    said = (
        [f"Training clearly gains accuracy for {in_words(len(clear)) if clear else 'none'} of {spelled(len(gains), what)}."]
        if gains
        else []
    )
    if below:
        names = listed([name_of(arm.label) for arm in below]) if len(below) <= MOST_NAMED else spelled(len(below), what)
        said.append(f"{capitalised(names)} {agree(len(below), 'loses', 'lose')} accuracy on average{_of_these(below)}.")
    return said


def _of_these(arms: list[ArmResults]) -> str:
    """Return how many of some arms collapsed, as the end of a sentence; empty where none did."""
    collapsed = sum(map(is_collapsed, arms))
    which = "all" if collapsed == len(arms) else in_words(collapsed)
    said = ", and collapsed" if len(arms) == 1 else f", and {which} of them collapsed"
    return said if collapsed else ""


def _seeds(results: StudyResults, found: Decisions) -> list[str]:
    """Return how many seeds there were, at which look and at what price, and which tests are corrected together."""
    seeds, lost = found.baseline.summary[results.primary].n, lost_seeds(found.baseline)
    said = capitalised(f"{spelled(seeds + lost, 'seed')} {agree(seeds + lost, 'was', 'were')} run")
    if lost:
        said += f", of which the baseline lost {in_words(lost)}"
    if results.looks and results.looks.until_decided and seeds > results.looks.planned[0]:
        said = f"{results.looks.planned[0]} to {seeds} seeds were run, until arms were decided"
    if seeds < LEAST_SEEDS:
        return [f"{said}; it takes three to test a difference."]
    has_gains = any(arm.is_control for arm in results.arms)
    families = "; differences and gains are tested separately, each at 5 %" if has_gains else ""
    return [f"{said}{_look(results.looks)}{families}."]


def _look(looks: Looks | None) -> str:
    """Return at which look results are, and what the looks cost."""
    if looks is None:
        return ""
    if looks.price == 1:
        return " in one look"
    if looks.declared:
        return f", look {looks.look} of {len(looks.planned)}: p-values are times {looks.price}"
    return f", some after looking: p-values are times {looks.price}"


def _power(power: Power | None) -> list[str]:
    """Return the smallest difference that would have been found, class by class; nothing where it is not known."""
    if power is None or power.detectable is None:
        return []
    share = f"{100 * power.power:.0f} % of repetitions"
    classes = [one for one in power.classes or () if LEAST_SHOWN <= one.detectable < 1]
    if len(classes) > 1:
        sizes = [f"{points(one.detectable)} ({CLASS_NAMES.get(one.name, one.name)})" for one in classes]
        return [
            f"In {share} these seeds would find differences of {listed(sizes)}.",
            *_range(classes[0], whom=_whom(classes[0])),
        ]
    if not LEAST_SHOWN <= power.detectable < 1:
        return [] if power.detectable < 1 else [f"With {count_of(power.n, 'seed')} hardly any difference would be found."]
    said = f"In {share} these seeds would find a difference of {points(power.detectable)}; smaller ones may be missed."
    return [said, *_range(power.main_class)]


def _whom(one: ClassPower) -> str:
    """Return in words whose a class's detectable difference is, with a space after it."""
    return f"where {CLASS_NAMES[one.name]} " if one.name in CLASS_NAMES else f"for {one.name} settings "


def _range(one: ClassPower | None, *, whom: str = "") -> list[str]:
    """Return how uncertain a class's detectable difference is, as its spread is; nothing where that is not known."""
    ends = one.detectable_range if one else None
    if ends is None or not ends[1] < 1:
        return []
    low, high = (points(end) for end in ends)
    return [f"How runs spread is itself uncertain: the smallest difference found {whom}may lie from {low} to {high} (95 %)."]


def _mixed(results: StudyResults, found: Decisions) -> list[str]:
    """Return of which arms the seeds ended differently, so that their intervals are too narrow."""
    arms = [found.baseline, *found.better, *found.worse, *found.tied, *found.partial]
    mixed = [arm for arm in arms if ends_differently(arm)]
    if not mixed:
        return []
    whose = name_of(mixed[0].label) if len(mixed) == 1 else spelled(len(mixed), "setting")
    how = f"{agree(len(mixed), 'ends', 'end')} differently from seed to seed"
    if all(HEALTHY in arm.collapse_type.counts for arm in mixed):
        how = f"{agree(len(mixed), 'is', 'are')} healthy at some seeds and not at others"
    confidence = confidence_of(results.looks)
    interval = agree(len(mixed), f"Its {confidence} interval", f"Their {confidence} intervals")
    fewest = max(LEAST_SEEDS, min(arm.summary[results.primary].n for arm in mixed))
    covered = MIXED_COVERAGE.get(fewest)
    known = covered and (results.looks is None or results.looks.price == 1)  # the simulation's intervals are at 95 %
    simulated = f": in simulations where one run of three loses 20 points, {covered} % held the truth" if known else ""
    return [f"{capitalised(whose)} {how}. {interval} may be too narrow{simulated}."]


def _machine(found: Decisions) -> list[str]:
    """Return that the order among settings that tie may differ on another processor; nothing where none tie."""
    if not found.tied:
        return []
    return ["On another processor settings that tie may change places."]
