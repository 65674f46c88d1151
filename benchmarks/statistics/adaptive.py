"""Studies that are looked at more than once: errors, power and runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from benchmarks.statistics.moderated import MARGIN, MOST
from benchmarks.statistics.rows import Bounds, Rows, row
from benchmarks.statistics.scenarios import SCENARIOS, Classes, Scenario
from study.analysis.decisions import decide_all
from study.analysis.looks import who_goes_on, who_stops
from study.results.comparisons import BETTER, EQUIVALENT, WORSE
from study.spec.looks import price_of

LOOKS = (3, 5, 8, 12)
FAMILY_ERROR: Bounds = (0.0, 0.04)
ERRORS = ("errors", "errors, no effects", "errors, skewed")
HEALTHY = (97, 97, 97, 96, 95)
TRUTH = Scenario(  # differences of 0, 0, 1 and 2 points among healthy arms, larger ones among collapsed arms
    name="a mixed study", means=(*HEALTHY, 90, 85, 77, 92, 87, 62), spreads=(*(0.8,) * 5, 2, 4, 5, 3, 3, 10),
    labels=(*("healthy",) * 5, *("collapsed",) * 6),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Design:
    """Looks at numbers of seeds, each with its price; where `stops`, arms that are decided get no more seeds."""

    name: str
    looks: tuple[int, ...]
    prices: tuple[float, ...]
    stops: bool = True
    asked: Bounds | None = None


def designs() -> list[Design]:
    """Return fixed numbers of seeds, and looks: at no price, at that of planned looks, and at that of undeclared ones."""
    planned = (price_of(LOOKS, earlier=0),) * len(LOOKS)
    undeclared = tuple(price_of((n,), earlier=place) for place, n in enumerate(LOOKS))
    return [
        *(Design(name=f"{n} seeds", looks=(n,), prices=(1,), stops=False) for n in LOOKS),
        Design(name="until decided, looks without a price", looks=LOOKS, prices=(1,) * len(LOOKS)),
        Design(name="until decided, looks planned", looks=LOOKS, prices=planned, asked=FAMILY_ERROR),
        Design(name="no arm stops, looks planned", looks=LOOKS, prices=planned, stops=False, asked=FAMILY_ERROR),
        Design(name="no arm stops, seeds added undeclared", looks=LOOKS, prices=undeclared, stops=False),
    ]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a design came to in one study: what was decided of each arm, and how many runs were made.

    It is the decision at which the arm stopped. Where arms do not stop, better or worse at any look stands.
    """

    decisions: Mapping[str, str]
    runs: int


def carry_out(design: Design, values: Sequence[Sequence[float]], classes: Classes) -> Ended:
    """Return what a study's looks decide; `values` are (arms, seeds), the baseline's first."""
    names = [str(arm) for arm in range(len(values))]
    seeds = dict.fromkeys(names, 0)
    decided: dict[str, str] = {}
    going: Sequence[str] = names[1:]
    for n, price in zip(design.looks, design.prices, strict=True):
        seeds |= dict.fromkeys(["0", *going], n)
        accuracies = {name: dict(enumerate(row[: seeds[name]])) for name, row in zip(names, values, strict=True)}
        labels = dict(zip(names, classes, strict=True))
        found = decide_all(accuracies, labels, baseline="0", margin=MARGIN, price=price)
        decisions = {name: one.decision for name, one in found.items()}
        decided |= {name: decisions[name] for name in who_stops(decisions, stopped=decided if design.stops else ())}
        if design.stops:
            going = who_goes_on(decisions, stopped=decided)
        if not going:
            break
    return Ended(decisions=decided, runs=sum(seeds.values()))


def adaptive(rng: Generator, studies: int) -> Rows:
    """Measure what looks cost and gain, in a mixed study, where there are no effects, and where differences are skewed."""
    given = (TRUTH, SCENARIOS["A"], SCENARIOS["D0"])
    drawn = [one.draw(rng, min(studies, MOST), max(LOOKS)) for one in given]
    for design in designs():
        n = design.looks[-1]
        ended = [
            [carry_out(design, study, own) for study, own in zip(values.tolist(), classes, strict=True)]
            for values, classes in drawn
        ]
        for column, scenario, several in zip(ERRORS, given, ended, strict=True):
            null = (np.flatnonzero(scenario.differences == 0) + 1).tolist()
            errors = [any(_differs(one, arm) for arm in null) for one in several]
            asked = None if scenario is SCENARIOS["D0"] else design.asked
            yield row(design.name, n, errors, asked, column=column, table="looks")
        mixed = ended[0]
        for arm, column in ((3, "finds 1 point"), (4, "finds 2 points")):
            yield row(design.name, n, [_differs(one, arm) for one in mixed], column=column, table="looks")
        equal = [[one.decisions.get(str(arm)) == EQUIVALENT for arm in (1, 2)] for one in mixed]
        yield row(design.name, n, equal, column="equal is equivalent", table="looks")
        yield row(design.name, n, [one.runs for one in mixed], unit="runs", column="runs", table="looks")


def _differs(one: Ended, arm: int) -> bool:
    return one.decisions.get(str(arm)) in (BETTER, WORSE)
