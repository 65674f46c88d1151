"""The sections of methods in `params.yaml`, and short spellings of their keys.

A method's own settings are in the section with its name: `pretrain.vicreg.nu`. Those of the chosen method have a short
spelling too, `pretrain.nu`. It may be used on the command line, in a study's file, in a profile and at the top of
`params.yaml`.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from study.config.values import coerce, flatten, has_value, make_settings, replace_value, section_of, unknown_key
from vicreg.errors import InputError
from vicreg.methods import method_class, method_names
from vicreg.methods.base import MethodSettings

OPEN = "ablate.slurm"  # its keys are sbatch's, of which there are a hundred


@functools.cache
def keys_of(method: str) -> tuple[str, ...]:
    """Return the keys of a method's section, in order."""
    return tuple(field.name.rstrip("_") for field in dataclasses.fields(method_class(method).Settings))


@functools.cache
def symbols() -> dict[str, str]:
    """Return how labels write the settings of methods that have a symbol, by key: `nu` -> `ν`."""
    fields = [field for name in method_names() for field in dataclasses.fields(method_class(name).Settings)]
    return {field.name.rstrip("_"): field.metadata["symbol"] for field in fields if "symbol" in field.metadata}


@functools.cache
def study_keys() -> tuple[str, ...]:
    """Return the dotted keys of all methods' settings, and their short spellings."""
    full = [f"pretrain.{name}.{key}" for name in method_names() for key in keys_of(name)]
    short = [f"pretrain.{key}" for name in method_names() for key in keys_of(name)]
    return tuple(dict.fromkeys([*full, *short]))


def replace_values(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Replace values by dotted key, in place.

    `pretrain.method` is replaced first, since a short spelling is that method's.

    Raises:
        InputError: for an unknown key or method, and for a setting that is given in both spellings.
    """
    if "pretrain.method" in changes:
        replace_value(values, "pretrain.method", changes["pretrain.method"])
    check_known(changes, values)
    method = _method_of(values)
    for key, value in changes.items():
        full = full_key(key, method)
        if full != key and full in changes:
            raise InputError(f"{key} and {full} are two spellings of one setting, but both are given; give one of the two.")
        replace_value(values, full, value)


def check_known(keys: Iterable[str], values: Mapping[str, Any], *, every_method: bool = False) -> None:
    """Refuse a dotted key that resolved values do not have.

    Args:
        keys: to be checked, in either spelling.
        values: the resolved values.
        every_method: the short spellings of all methods are known, and not those of the chosen one alone.

    Raises:
        InputError: for such a key, with the nearest that is known.
    """
    method = _method_of(values)
    for key in keys:
        if key.rpartition(".")[0] == OPEN:
            continue
        known_here = key != "profile" and has_value(values, full_key(key, method))
        if not known_here and not (every_method and key in study_keys()):
            known = [name for name in flatten(values) if name != "profile"]
            full = key.startswith(f"pretrain.{method}.")
            raise InputError(unknown_key(key, known if full else [_short_key(name, method) for name in known]))


def full_key(key: str, method: str) -> str:
    """Return the full spelling of a key where it is a short one of `method`, else the key as it is."""
    section, _, name = key.partition(".")
    return f"pretrain.{method}.{name}" if section == "pretrain" and name in keys_of(method) else key


def is_same_setting(key: str, other: str) -> bool:
    """Return whether two dotted keys are one setting: the same key, or the short and the full spelling of it."""
    short, full = sorted((key, other), key=lambda one: one.count("."))
    return key == other or any(full == full_key(short, method) for method in method_names())


def method_settings(pretrain: Mapping[str, Any]) -> tuple[str, MethodSettings, dict[str, Any]]:
    """Return the chosen method of a section `pretrain`, its settings, and the section without those of methods.

    Raises:
        InputError: for an unknown method, a missing section, and a missing, unknown or impossible value.
    """
    method = _method_of({"pretrain": pretrain})
    settings = _settings_of(pretrain, method, called="pretrain")
    return method, settings, {key: value for key, value in pretrain.items() if key not in method_names()}


def check_other_methods(values: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Refuse impossible values of methods that are not chosen, in the sections that dotted keys give a value of.

    No run has them as long as the method is another; but who gives such a value learns here that none ever could.

    Raises:
        InputError: for a missing, unknown or impossible value of such a section.
    """
    parts = [key.split(".") for key in keys]
    named = {part[1] for part in parts if len(part) > 1 and part[0] == "pretrain"}
    for method in sorted(named & {*method_names()} - {_method_of(values)}):
        _settings_of(values["pretrain"], method, called=f"pretrain.{method}")


def _settings_of(pretrain: Mapping[str, Any], method: str, *, called: str) -> MethodSettings:
    """Return the settings of a method's section, whose keys a sentence on a wrong value spells after `called`."""
    own = section_of(pretrain, method)
    for key in own:
        if key not in keys_of(method):
            known = [f"pretrain.{method}.{name}" for name in keys_of(method)]
            raise InputError(unknown_key(f"pretrain.{method}.{key}", known))
    for key in keys_of(method):
        if key not in own:
            raise InputError(f"params.yaml must give pretrain.{method}.{key}, but does not; restore it.")
    kind = method_class(method).Settings
    names = {field.name.rstrip("_"): field.name for field in dataclasses.fields(kind)}
    return make_settings(kind, {names[key]: value for key, value in own.items()}, called)


def with_short_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `pretrain` of resolved values by dotted key, with the chosen method's keys spelled short."""
    pretrain = dict(values["pretrain"])
    method = _method_of(values)
    kept = {key: value for key, value in pretrain.items() if key not in method_names()}
    return flatten({"pretrain": {**kept, **pretrain[method]}})


def _short_key(key: str, method: str) -> str:
    """Return the short spelling of a key where it is a full one of `method`, else the key as it is."""
    return key.replace(f"pretrain.{method}.", "pretrain.", 1)


def _method_of(values: Mapping[str, Any]) -> str:
    """Return the name of the chosen method.

    Raises:
        InputError: for an unknown method.
    """
    method = coerce("pretrain.method", section_of(values, "pretrain").get("method"), "str")
    method_class(method)
    return method
