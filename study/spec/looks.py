"""Looks at a study's results, and the price of each.

A result that is looked at with a chance to add seeds has several chances to be significant by luck. So every look has a
price, by which p-values are multiplied (and intervals are at 1 - 0.05 / price):

- L looks that were declared before the first cost L each (Bonferroni);
- a look that was not declared, after k others, costs l (l + 1) with l = k + 1: these shares of the error, 1/6, 1/12, 1/20
  and so on, come to 1/2 however many there are. The first costs 1, since nobody knows then that there will be others;
- L looks that are declared after k others cost (k + 1) L, for what those k leave is 1 / (k + 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from study.config.config import Config
from study.config.seeds import LEAST_AT_LOOK, UNTIL_DECIDED, Seeds
from study.spec.study_file import STOPS, Study
from vicreg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at results.

    It is number `number` (from 1) of `planned` numbers of seeds, or, where none were declared, of those that were looked
    at. Where decided arms stop, `steps` are the numbers of seeds of the looks up to this one.
    """

    number: int
    planned: tuple[int, ...]
    declared: bool
    price: int
    steps: tuple[int, ...] = ()


def seeds_of(study: Study, config: Config) -> Seeds:
    """Return how many seeds a study's arms get: by its own file, or else by the config.

    Raises:
        InputError: for arms that are to stop when decided where a search or a path makes them.
    """
    seeds = study.seeds or config.ablate.seeds
    if not seeds.until_decided:
        return seeds
    if study.mode not in STOPS:
        raise InputError(
            f"seeds: {UNTIL_DECIDED} is for mode {' or '.join(STOPS)}, but study {study.name!r} has mode {study.mode}, "
            "whose arms depend on one another; give it a number of seeds."
        )
    return seeds if seeds.budget else replace(seeds, budget=config.ablate.budget)


def look_of(study: Study, config: Config, asked: int | None = None) -> int:
    """Return which look is run: `asked`, or else `ablate.look`, of the looks that a study declares.

    It is 1 where none are declared, and where arms stop when they are decided: that design goes through its looks itself.

    Raises:
        InputError: for a look that there is not.
    """
    seeds = seeds_of(study, config)
    if not seeds.declared or seeds.until_decided:
        if asked is not None:
            why = "goes through its looks by itself" if seeds.until_decided else "has one number of seeds"
            raise InputError(
                f"--look {asked} has no effect: study {study.name!r} {why}; leave it out, or declare looks such as "
                "`seeds: [3, 5, 8, 12]`."
            )
        return 1
    look, where = (config.ablate.look, "ablate.look") if asked is None else (asked, "--look")
    if look > len(seeds.looks):
        raise InputError(
            f"{where} must be at most {len(seeds.looks)}, the number of looks that study {study.name!r} declares "
            f"({', '.join(map(str, seeds.looks))} seeds), but got {look}."
        )
    return look


def first_seeds(study: Study, config: Config) -> tuple[int, ...]:
    """Return the seeds that every arm gets at the look that the config names."""
    return seeds_of(study, config).up_to(look_of(study, config))


def price_of(planned: Sequence[int], *, earlier: int) -> int:
    """Return what each of these looks costs, where `earlier` others had been taken before they were planned."""
    if len(planned) > 1:
        return (earlier + 1) * len(planned)
    return (earlier + 1) * (earlier + 2) if earlier else 1


def look_at(planned: Sequence[int], look: int, *, earlier: Sequence[int] = ()) -> Look | None:
    """Return a look by its number among those planned, with its price; None for the only look there is.

    Args:
        planned: numbers of seeds, one a look.
        look: which of them, from 1.
        earlier: numbers of seeds that were looked at before these were planned. Those below three count for nothing: nothing
            is concluded from them.
    """
    before = sorted({n for n in earlier if n >= LEAST_AT_LOOK})
    if not before:
        if len(planned) == 1:
            return None
        return Look(number=look, planned=tuple(planned), declared=True, price=len(planned))
    every = sorted({*before, *planned})
    return Look(
        number=every.index(planned[look - 1]) + 1,
        planned=tuple(every),
        declared=False,
        price=price_of(planned, earlier=len(before)),
    )
