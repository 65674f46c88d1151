"""Reads `params.yaml` and lays a profile and single settings over its baseline."""

import copy
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from study.config.config import Config, config_from_values
from study.config.methods import replace_values, take_short_spellings
from study.config.values import flatten, unknown_key
from vicreg.errors import InputError

SECTIONS = ("prepare", "pretrain", "evaluate", "project", "ablate", "source_paper")
_TOP_LEVEL = (*SECTIONS, "profile", "studies", "data", "profiles")


def load_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Read `params.yaml` as it stands.

    Raises:
        InputError: if it is missing, no YAML, or has unknown sections.
    """
    try:
        params = copy.deepcopy(_parse(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist here; run the command in the project's folder.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it a readable file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(params, dict):
        raise InputError(f"{path} must hold named sections, but holds {type(params).__name__}.")
    for section in params:
        if section not in _TOP_LEVEL:
            raise InputError(unknown_key(section, _TOP_LEVEL))
    for section in _TOP_LEVEL:
        if section not in params:
            raise InputError(f"{path} must have a section {section!r}, but has none; restore it.")
    return params


@functools.lru_cache(maxsize=4)
def _parse(text: str) -> Any:
    """Parse YAML; a command reads the same file several times, and each time takes 30 ms."""
    return yaml.safe_load(text)


def load_config(
    *, path: Path = Path("params.yaml"), profile: str | None = None, settings: Mapping[str, Any] | None = None
) -> Config:
    """Return the config of a profile, with `settings` over it.

    There are three layers, later over earlier: the baseline, the profile's differences from it, and `settings` by dotted
    key (`pretrain.nu`). The profile is by default the one `params.yaml` names.

    Raises:
        InputError: for an unknown profile, an unknown key or an impossible value.
    """
    params = load_params(path)
    profile = profile or params["profile"]
    profiles = params["profiles"] or {}
    if profile not in profiles:
        raise InputError(f"profile must be one of {', '.join(profiles)}, but got {profile!r}.")
    if not isinstance(profiles[profile], dict):
        raise InputError(f"profile {profile!r} must hold named sections, but holds {profiles[profile]!r}.")
    values = {section: copy.deepcopy(params[section]) for section in SECTIONS}
    values["data"] = copy.deepcopy(params["data"])
    values["profile"] = profile
    short = take_short_spellings(values)
    for layer in (flatten(profiles[profile] or {}), short, settings or {}):
        replace_values(values, layer)
    return config_from_values(values)
