"""Checks the keys and the plain values of a study's file."""

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from study.config.methods import is_same_setting, study_keys
from study.config.values import flatten, shorten
from vicreg.errors import InputError
from vicreg.training.settings import PretrainSettings
from vicreg.views.settings import ViewSettings

MOST = 1_000_000  # of trials and of a seed: NumPy's generators take 32 bits

# Dotted keys of params.yaml's section `pretrain`, which are what a study may fix, tune and vary. The data are the same
# for a whole study, and so is what is measured of its runs; else arms could not be compared.
SETTINGS = (
    *(
        f"pretrain.{field.name}"
        for field in dataclasses.fields(PretrainSettings)
        if field.name not in ("views", "method_settings")
    ),
    *study_keys(),
    "pretrain.augmentation.preset",
    *(f"pretrain.augmentation.{field.name}" for field in dataclasses.fields(ViewSettings)),
)


def mapping(where: str, given: Any) -> Mapping[str, Any]:
    """Return `given`, where it holds named values; nothing counts as none.

    Raises:
        InputError: if it is anything else; `where` begins the sentence: `mine.yaml: fixed`.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InputError(f"{where} must hold named values, but holds {given!r}.")
    return given


def check_keys(where: str, given: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse a key that is not known, with the nearest that is.

    Raises:
        InputError: for such a key.
    """
    known = list(known)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
            raise InputError(f"{where} may not hold {key!r}; {hint}")


def settings(where: str, given: Any) -> dict[str, Any]:
    """Return the dotted settings of `pretrain`, from sections nested or dotted.

    Raises:
        InputError: for a key that a study may not set.
    """
    given = mapping(where, given)
    try:
        flat = flatten(given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if "pretrain.seed" in flat:
        raise InputError(f"{where} may not set pretrain.seed; give seeds instead.")
    check_keys(where, flat, SETTINGS)
    for key, other in itertools.combinations(flat, 2):
        if is_same_setting(key, other):
            raise InputError(f"{where}: {key} and {other} are two spellings of one setting; give one of the two.")
    _refuse_empty(where, given)
    return flat


def _refuse_empty(where: str, given: Mapping[Any, Any], prefix: str = "") -> None:
    """Refuse a key that holds no values, which would set nothing."""
    for key, value in given.items():
        if isinstance(value, Mapping):
            if not value:
                raise InputError(f"{where}: {prefix}{key} holds nothing; give it a value or delete it.")
            _refuse_empty(where, value, f"{prefix}{key}.")


def whole(where: str, given: Any, *, least: int) -> int:
    """Return `given`, where it is a whole number of at least `least`, and at most 1,000,000.

    Raises:
        InputError: if it is none, or outside.
    """
    if type(given) is not int or given < least:
        raise InputError(f"{where} must be a whole number of at least {least}, but got {given!r}.")
    if given > MOST:
        raise InputError(f"{where} must be at most {MOST}, but got {shorten(str(given))}.")
    return given


def lists(where: str, given: Any) -> dict[str, tuple[Any, ...]]:
    """Return dotted key -> the values listed for it, from sections nested or dotted.

    Raises:
        InputError: for a key that a study may not set, and for a key without a list of different values.
    """
    found = settings(where, given)
    for key, values in found.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{where} must list values for each key, but for {key} got {values!r}.")
        if any(value in values[:index] for index, value in enumerate(values)):
            raise InputError(f"{where} must list different values for {key}, but got {values!r}.")
    return {key: tuple(values) for key, values in found.items()}
