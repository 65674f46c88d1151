"""The section `search` of a study's file: ranges, objectives and extent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.config.values import check_numbers
from study.spec.keys import check_keys, mapping, settings, whole
from vicreg.errors import InputError

SAMPLERS = ("tpe", "gp")


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search: ranges of dotted keys, how many trials, what they are judged by, and when a collapsed run is pruned.

    Trials are proposed `batch` at a time and told in order, so that the path of a search does not depend on how many
    workers ran it. `parameters` maps a key to `{low, high}`, with `log` and `int` where they hold, or to `{choices}`.
    `objective` is a name, several of them, or None for the config's primary accuracy. `confirm` is how many trials are
    run again at the study's seeds.
    """

    parameters: Mapping[str, Mapping[str, Any]]
    trials: int
    batch: int = 4
    seed: int = 0
    seeds: int = 3
    sampler: str = "tpe"
    objective: str | tuple[str, ...] | None = None
    prune_after: int | None = None
    confirm: int = 1

    def objectives(self, primary: str) -> tuple[str, ...]:
        """Return what trials are judged by, where `primary` stands for an objective that is not given."""
        given = self.objective or primary
        return (given,) if isinstance(given, str) else tuple(given)

    def corners(self) -> list[dict[str, Any]]:
        """Return two settings: each parameter at its first choice or low end, and each at its last choice or high end."""
        return [
            {key: given["choices"][index] if "choices" in given else given[bound] for key, given in self.parameters.items()}
            for index, bound in ((0, "low"), (-1, "high"))
        ]


def word_of(choice: Any) -> Any:
    """Return a choice as Optuna can keep it, which has no lists."""
    return json.dumps(choice) if isinstance(choice, list) else choice


_KEYS = ("parameters", "trials", "batch", "seed", "seeds", "sampler", "objective", "prune_after", "confirm")
_RANGE_KEYS = ("low", "high", "log", "int", "choices")


def read_search(where: str, given: Any) -> Search:
    """Read and check the section; `where` begins every sentence: `mine.yaml: search`.

    Raises:
        InputError: for a rule that it breaks.
    """
    given = mapping(where, given)
    check_keys(where, given, _KEYS)
    for key in ("parameters", "trials"):
        if key not in given:
            raise InputError(f"{where} must give {key}, but does not.")
    for key, least in (("trials", 1), ("batch", 1), ("seed", 0), ("seeds", 1), ("confirm", 1)):
        if key in given:
            whole(f"{where}.{key}", given[key], least=least)
    if given.get("prune_after") is not None and (type(given["prune_after"]) is not int or given["prune_after"] < 1):
        raise InputError(f"{where}.prune_after must be null or at least 1, but got {given['prune_after']!r}.")
    sampler = given.get("sampler", "tpe")
    if sampler not in SAMPLERS:
        raise InputError(f"{where}.sampler must be one of {', '.join(SAMPLERS)}, but got {sampler!r}.")
    if sampler == "gp" and given.get("prune_after") is not None:
        # Optuna's GPSampler fits completed trials alone: it would be drawn back to where runs collapse.
        raise InputError(f"{where}.prune_after must be null for gp, which learns nothing from pruned trials; or use tpe.")
    objective = _objective(f"{where}.objective", given.get("objective"))
    several = isinstance(objective, tuple)
    if "confirm" in given and not several:
        raise InputError(f"{where}.confirm is for several objectives; the one best trial is always confirmed.")
    return Search(**{
        **given, "parameters": _parameters(f"{where}.parameters", given["parameters"]), "objective": objective,
        "confirm": given.get("confirm", 3 if several else 1),
    })  # fmt: skip


def _objective(where: str, given: Any) -> str | tuple[str, ...] | None:
    if given is None or (isinstance(given, str) and given):
        return given
    if not isinstance(given, list) or len(given) < 2 or not all(isinstance(one, str) for one in given):
        raise InputError(f"{where} must be a name or a list of two names or more, but got {given!r}.")
    if len(set(given)) < len(given):
        raise InputError(f"{where} must list different names, but got {given!r}.")
    return tuple(given)


def _parameters(where: str, given: Any) -> Mapping[str, Mapping[str, Any]]:
    given = mapping(where, given)
    if not given:
        raise InputError(f"{where} must name at least one parameter, but names none.")
    settings(where, dict.fromkeys(given))
    for key, value_range in given.items():
        _check_range(f"{where}.{key}", mapping(f"{where}.{key}", value_range))
    return given


def _check_range(where: str, given: Mapping[str, Any]) -> None:
    check_keys(where, given, _RANGE_KEYS)
    if "choices" in given:
        choices = given["choices"]
        if set(given) != {"choices"} or not isinstance(choices, list) or len(choices) < 2:
            raise InputError(f"{where} must list two choices or more and nothing else, but holds {dict(given)!r}.")
        if any(choice in choices[:index] for index, choice in enumerate(choices)):
            raise InputError(f"{where} must list different choices, but got {choices!r}.")
        return
    low: Any = given.get("low")
    high: Any = given.get("high")
    kinds = (int,) if given.get("int") else (int, float)
    for bound in (low, high):
        check_numbers(where, bound)
    if type(low) not in kinds or type(high) not in kinds or not low < high:
        numbers = "whole numbers" if given.get("int") else "numbers"
        raise InputError(f"{where} must give choices, or {numbers} low < high, but gives {low!r} and {high!r}.")
    for key in ("log", "int"):
        if type(given.get(key, False)) is not bool:
            raise InputError(f"{where}.{key} must be true or false, but got {given[key]!r}.")
    if given.get("log") and low <= 0:
        raise InputError(f"{where}.low must be positive on a log scale, but got {low}.")
