"""Checks what a study's file says of its arms: how many runs they are, and what was published of them."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from study.spec.keys import lists, mapping
from study.spec.names import grid_name
from vicreg.errors import InputError
from vicreg.evaluation.settings import PROBES

MOST_RUNS = 100_000  # of a study: each is planned before any is run
COLLAPSE = "collapse"
_NEIGHBOURS = re.compile(r"knn_[1-9][0-9]{0,5}")  # the accuracy by so many neighbours


def crossed(where: str, listed: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return every combination of the values listed, the first key's varying slowest; `where` begins the sentence.

    Raises:
        InputError: for more combinations than a study may have runs.
    """
    check_runs(where, math.prod(map(len, listed.values())))
    return [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]


def check_runs(where: str, runs: int) -> None:
    """Refuse more runs than can be planned; `where` begins the sentence.

    Raises:
        InputError: for more than 100,000.
    """
    if runs > MOST_RUNS:
        raise InputError(f"{where} must ask for at most {MOST_RUNS} runs, but asks for {runs}; give fewer values or seeds.")


def grid_arms(where: str, given: Any) -> dict[str, dict[str, Any]]:
    """Return name -> settings of each arm of a grid; `where` is the study's file.

    Raises:
        InputError: for a grid without values, of too many arms, or of values whose names are alike.
    """
    grid = lists(f"{where}: grid", given)
    if not grid:
        raise InputError(f"{where}: grid must list values for at least one key, but got {given!r}.")
    combinations = crossed(f"{where}: grid", grid)
    arms = {grid_name(one): one for one in combinations}
    if len(arms) < len(combinations):
        raise InputError(f"{where}: grid has values that differ after the sixth digit alone; its arms need other names.")
    return arms


def read_outcome(where: str, given: Any) -> Mapping[str, Any] | None:
    """Return what was published of an arm: `collapse: true`, or percentages by probe; None where nothing was.

    Raises:
        InputError: for anything else; `where` begins the sentence.
    """
    outcome = mapping(where, given)
    if COLLAPSE in outcome:
        if outcome != {COLLAPSE: True} or outcome[COLLAPSE] is not True:
            raise InputError(f"{where} must be collapse: true alone, or accuracies by probe, but holds {dict(outcome)!r}.")
        return outcome
    for probe, value in outcome.items():
        if probe not in PROBES and not _NEIGHBOURS.fullmatch(str(probe)):
            known = f"{COLLAPSE}, {', '.join(PROBES)} and knn_20"
            raise InputError(f"{where} may not hold {probe!r}; known are {known}.")
        if type(value) not in (int, float) or not 0 <= value <= 100:
            raise InputError(f"{where}.{probe} must be a percentage from 0 to 100, but got {value!r}.")
    return outcome or None
