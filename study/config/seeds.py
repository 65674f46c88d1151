"""How many seeds arms get: a number, looks, or until decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from study.config.values import shorten
from vicreg.errors import InputError

UNTIL_DECIDED = "until-decided"
# Simulated: they find one point in 48 % and two points in 99 % of studies of ten arms, in 84 runs (docs/statistics.md).
DEFAULT_LOOKS = (3, 5, 8, 12)
LEAST_AT_LOOK = 3  # below three seeds nothing is concluded, so nothing can be decided
MOST_SEEDS = 1_000_000  # NumPy's generators take seeds of 32 bits


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """How many seeds arms get.

    `looks` are numbers of seeds: each says when results are looked at, with a chance to stop or to go on. One number is a
    fixed design. With `until_decided`, arms that are decided at a look get no more seeds, and runs that train are at most
    `budget`; None leaves them to the looks.
    """

    looks: tuple[int, ...]
    until_decided: bool = False
    budget: int | None = None

    @property
    def declared(self) -> bool:
        """Whether several looks are declared."""
        return len(self.looks) > 1

    def up_to(self, look: int) -> tuple[int, ...]:
        """Return the seeds of looks 1 to `look`, which begin at 0."""
        return tuple(range(self.looks[look - 1]))


def read_seeds(where: str, given: Any) -> Seeds:
    """Return what a value of `seeds` says: 3, [3, 5, 8, 12] or `until-decided`.

    Raises:
        InputError: for anything else; `where` begins the sentence: `mine.yaml: seeds`.
    """
    if given == UNTIL_DECIDED:
        return Seeds(looks=DEFAULT_LOOKS, until_decided=True)
    if isinstance(given, (list, tuple)):
        return Seeds(looks=read_looks(where, given))
    if type(given) is not int or not 1 <= given <= MOST_SEEDS:
        raise InputError(
            f"{where} must be a number of seeds from 1 to {MOST_SEEDS}, a list of looks such as [3, 5, 8, 12], or "
            f"{UNTIL_DECIDED}, but got {shorten(repr(given))}."
        )
    return Seeds(looks=(given,))


def read_looks(where: str, given: Any) -> tuple[int, ...]:
    """Return numbers of seeds, one a look.

    Raises:
        InputError: where they are no list, too few, too small or do not rise; `where` begins the sentence.
    """
    if not isinstance(given, (list, tuple)) or not all(type(n) is int and 0 <= n <= MOST_SEEDS for n in given):
        raise InputError(
            f"{where} must list a number of seeds for each look, such as [3, 5, 8, 12], but got {shorten(repr(given))}."
        )
    shown = shorten(str(list(given)))
    if given and min(given) < LEAST_AT_LOOK:  # seeds by number have a 0, 1 or 2; no look has
        raise InputError(
            f"{where} must list looks, numbers of seeds from {LEAST_AT_LOOK} up, but got {shown}; seeds are not listed one "
            f"by one, so write how many: {len(given)}."
        )
    if len(given) < 2:
        raise InputError(f"{where} must list two looks or more, but got {shown}; write a number alone for a single look.")
    if not _rises(given):
        raise InputError(f"{where} must list looks that rise, such as [3, 5, 8, 12], but got {shown}.")
    return tuple(given)


def _rises(numbers: Sequence[int]) -> bool:
    return all(one < other for one, other in zip(numbers, numbers[1:]))
