"""How far to trust a study's answer: untrained level, seeds, power, ties."""

from study.analysis.alerts import SAYS_NOTHING
from study.analysis.answer import untrained_summary
from study.analysis.decided import Decisions, decisions_of, gain_of, is_established
from study.analysis.moments import LEAST_SEEDS
from study.analysis.wording import (
    LEAST_SHOWN,
    agree,
    capitalised,
    count_of,
    in_words,
    interval_of,
    name_of,
    points,
    probe_name,
    spelled,
)
from study.results.findings import Looks, Power
from study.results.schema import ArmResults, StudyResults

MIXED_COVERAGE = 67  # %, of a 95 % interval of an arm whose seeds end differently (docs/statistics.md)


def trust(results: StudyResults) -> list[str]:
    """Return a few sentences on how far the answer may be trusted; none where no arm was compared.

    They say what an untrained network reaches, how many seeds and looks there were, what difference would have been found,
    whose seeds ended differently, and what would differ on another machine.
    """
    found = decisions_of(results)
    if found is None or results.primary not in found.baseline.summary:
        return []
    return [
        *_untrained(results, found.baseline),
        *_seeds(results, found),
        *_power(results.power),
        *_mixed(results, found),
        *_machine(found),
    ]


def _untrained(results: StudyResults, baseline: ArmResults) -> list[str]:
    """Return the accuracy of the untrained network, and whether the baseline's gain over it is established."""
    gain, untrained = gain_of(baseline, results.primary), untrained_summary(results, baseline)
    if gain is None or untrained is None:
        return ["There is no untrained network to compare with, so what training gained is not known."]
    level = f"{100 * untrained.mean:.1f} %"
    name = capitalised(probe_name(results.primary))
    clear = "clear" if is_established(gain) else "not established"
    return [
        f"{name}: an untrained network reaches {level}.",
        f"The baseline's gain over it is {clear}: {interval_of(gain)}.",
    ]


def _seeds(results: StudyResults, found: Decisions) -> list[str]:
    """Return how many seeds there were, at which look, and at what price."""
    seeds = found.baseline.summary[results.primary].n
    looks = results.looks
    said = capitalised(f"{spelled(seeds, 'seed')} {agree(seeds, 'was', 'were')} run")
    if seeds < LEAST_SEEDS:
        return [f"{said}; it takes three to test a difference."]
    if looks is None:
        return [f"{said}.", *_families(results)]
    if looks.price == 1:
        return [f"{said} in one look.", *_families(results)]
    return [f"{said}. {_look(looks)}", *_families(results)]


def _look(looks: Looks) -> str:
    """Return at which look this is, and what the looks cost."""
    if looks.declared:
        return f"This is look {looks.look} of {len(looks.planned)}, so p-values are multiplied by {looks.price}."
    return (
        f"Seeds were added after looking, {in_words(looks.look)} looks in all, so p-values are multiplied by {looks.price}."
    )


def _families(results: StudyResults) -> list[str]:
    if not any(arm.is_control for arm in results.arms):
        return []
    return ["Differences from the baseline and gains over the untrained network are two families of tests, each at 5 %."]


def _power(power: Power | None) -> list[str]:
    """Return the smallest difference that would have been found; nothing where it is not known."""
    if power is None or power.detectable is None or power.detectable < LEAST_SHOWN:
        return []
    if power.detectable >= 1:
        return [f"With {count_of(power.n, 'seed')} hardly any difference would have been found."]
    return [f"A difference of {points(power.detectable)} would have been found in {100 * power.power:.0f} % of repetitions; "
            "smaller ones may be missed."]  # fmt: skip


def _mixed(results: StudyResults, found: Decisions) -> list[str]:
    """Return of which arms the seeds ended differently, so that their intervals are too narrow."""
    arms = [found.baseline, *found.better, *found.worse, *found.tied, *found.partial, *found.untested]
    mixed = [arm for arm in arms if len(set(arm.collapse_type.counts) - set(SAYS_NOTHING)) > 1]
    if not mixed:
        return []
    whose = name_of(mixed[0].label) if len(mixed) == 1 else spelled(len(mixed), "setting")
    ends = agree(len(mixed), "ends", "end")
    return [
        f"{capitalised(whose)} {ends} differently from seed to seed; there a 95 % interval covers about {MIXED_COVERAGE} %."
    ]


def _machine(found: Decisions) -> list[str]:
    """Return that the order among settings that tie may differ on another processor; nothing where none tie."""
    if not found.tied:
        return []
    return ["On another processor the order among settings that tie may differ."]
