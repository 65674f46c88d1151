"""Reads `params.yaml` and lays a profile, its own values and single settings over its baseline."""

import copy
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study.config.config import Config, config_from_values
from study.config.methods import check_known, check_other_methods, replace_values
from study.config.read_yaml import parse_yaml
from study.config.values import flatten, is_plain, null_if_none, section_of, unknown_key
from vicreg.errors import InputError, kind_of

SECTIONS = ("prepare", "pretrain", "evaluate", "project", "ablate", "source_paper")
_TOP_LEVEL = (*SECTIONS, "profile", "studies", "data", "baseline", "profiles")


def load_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Read `params.yaml` as it stands.

    Raises:
        InputError: if it is missing, no YAML, or has unknown sections.
    """
    try:
        params = copy.deepcopy(_parse(path.read_bytes(), str(path)))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist here; run the command in the project's folder.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it a readable file.") from None
    if not isinstance(params, dict):
        raise InputError(f"{path} must hold named sections, but holds {kind_of(params)}.")
    _check_sections(params, _TOP_LEVEL, str(path))
    for name in ("baseline", "profiles"):
        if not isinstance(params[name], dict):
            raise InputError(f"section {name!r} of {path} must hold named sections, but holds {params[name]!r}.")
    _check_sections(params["baseline"], SECTIONS, f"section 'baseline' of {path}")
    for name in params["profiles"]:
        if not isinstance(name, str) or not is_plain(name):
            rule = "letters, digits, single spaces and - _ . +, a letter or digit first"
            raise InputError(f"{path} must name a profile by a text of {rule}, but has {name!r}; rename it.")
    if not isinstance(params["profile"], str):
        raise InputError(f"profile must be the name of one of {path}'s profiles, but got {params['profile']!r}.")
    for key in params["data"] if isinstance(params["data"], dict) else ():
        if key != "root":
            raise InputError(unknown_key(f"data.{key}", ["data.root"]))
    studies = params["studies"]
    if not isinstance(studies, list) or not all(isinstance(one, str) for one in studies):
        raise InputError(f"studies must list names of studies, such as [lambda-mu-nu], but got {studies!r}.")
    if len(set(studies)) < len(studies):
        raise InputError(f"studies must list different names, but got {studies!r}.")
    return params


def _check_sections(given: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse a section that is not known, and one that is missing."""
    for section in given:
        if section not in known:
            raise InputError(unknown_key(str(section), known))
    for section in known:
        if section not in given:
            raise InputError(f"{where} must have a section {section!r}, but has none; restore it.")


@functools.lru_cache(maxsize=4)
def _parse(content: bytes, where: str) -> Any:
    """Parse YAML; a command reads the same file several times, and each time takes 30 ms."""
    return parse_yaml(content, where=where)


def profile_of(params: Mapping[str, Any], profile: str | None) -> str:
    """Return the name of a profile of `params.yaml`, that which it names where `profile` is None.

    Raises:
        InputError: where there is none of the name.
    """
    name, profiles = params["profile"] if profile is None else profile, params["profiles"]
    if name not in profiles:
        raise InputError(f"profile must be one of {', '.join(map(str, profiles))}, but got {name!r}.")
    return str(name)


def load_config(
    *,
    path: Path = Path("params.yaml"),
    profile: str | None = None,
    settings: Mapping[str, Any] | None = None,
    own: bool = True,
) -> Config:
    """Return the config of a profile, with the file's own values and `settings` over it.

    There are four layers, later over earlier: the baseline; the profile's differences from it; the values of the sections
    at the top of the file that are not null, which `dvc exp run -S` sets; and `settings` by dotted key (`pretrain.nu`).
    The profile is by default the one `params.yaml` names. Without `own`, the third layer is left out.

    Raises:
        InputError: for an unknown profile, an unknown key or an impossible value.
    """
    params = load_params(path)
    profile, profiles = profile_of(params, profile), params["profiles"]
    if not isinstance(profiles[profile], dict):
        raise InputError(f"profile {profile!r} must hold named sections, but holds {profiles[profile]!r}.")
    values: dict[str, Any] = {section: copy.deepcopy(dict(section_of(params["baseline"], section))) for section in SECTIONS}
    values["data"] = copy.deepcopy(params["data"])
    values["profile"] = profile
    config_from_values(values)  # what the baseline lacks is named before what lies over it
    differences = flatten(profiles[profile])
    if places := [key for key in differences if key.partition(".")[0] == "data"]:
        # The pipeline depends on the folder that the file names at its top, whatever the profile.
        raise InputError(f"profile {profile!r} may not set {places[0]}; set it at the top of {path}, or by -S or --set.")
    for layer in (differences, own_values(params, values) if own else {}, settings or {}):
        replace_values(values, layer)
    config = config_from_values(values)
    check_other_methods(values, flatten(values))
    return config


def own_values(params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the sections at the top of `params.yaml` by dotted key: those that are not null.

    They win over every profile. Null leaves a value to the profile and the baseline; the word `none` sets null.

    Raises:
        InputError: for an unknown key, null or not.
    """
    given = flatten({section: params[section] for section in SECTIONS})
    given = {key: value for key, value in given.items() if not (value is None and key in SECTIONS)}
    check_known(given, values, every_method=True)
    return {key: null_if_none(value) for key, value in given.items() if value is not None}
