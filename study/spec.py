"""`study/studies/<name>.yaml` -> a question, and arms as differences from the baseline."""

import difflib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from study.config import flatten
from vicreg.errors import InputError

STUDIES = Path(__file__).parent / "studies"
MODES = ("arms", "grid", "search")
CHOSEN = "best"  # the arm of a search's best trial, run at every seed beside the study's own arms
_KEYS = ("question", "hypothesis", "mode", "baseline", "set", "arms", "grid", "search", "seeds", "published")
_SYMBOLS = {"lambda": "λ", "mu": "μ", "nu": "ν", "gamma": "γ"}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One row of a study: dotted settings that differ from the baseline, and what others found with them, if known."""

    name: str
    settings: Mapping[str, Any]
    published: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """The settings in the papers' symbols: `λ 25, μ 25, ν 1`."""
        return ", ".join(f"{_short(key)} {_shown(value)}" for key, value in self.settings.items()) or self.name


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search: ranges of dotted keys, how many trials, and when a collapsed run is pruned.

    Trials are proposed `batch` at a time and told in order, so that the path of a search does not depend on how many
    workers ran it.
    """

    parameters: Mapping[str, Mapping[str, Any]]
    trials: int
    batch: int
    seed: int
    objective: str
    prune_after: int | None


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as its file states it."""

    name: str
    question: str
    hypothesis: str
    mode: str
    baseline: str
    settings: Mapping[str, Any]
    arms: tuple[Arm, ...]
    search: Search | None
    seeds: tuple[int, ...] | None
    published_source: str | None


def available() -> list[str]:
    """The names of the studies there are."""
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def load_study(name: str, *, folder: Path = STUDIES) -> Study:
    """Reads and checks a study's file.

    Raises:
        InputError: if there is no such study, or its file breaks a rule.
    """
    path = folder / f"{name}.yaml"
    if not path.exists():
        names = sorted(found.stem for found in folder.glob("*.yaml"))
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}."
        raise InputError(f"there is no study {name!r}; {hint}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path.name} must hold named entries, but holds {type(content).__name__}.")
    for key in content:
        if key not in _KEYS:
            raise InputError(f"{path.name} may hold {', '.join(_KEYS)}, but holds {key!r}.")
    mode = content.get("mode", "arms")
    if mode not in MODES:
        raise InputError(f"{path.name}: mode must be one of {', '.join(MODES)}, but got {mode!r}.")
    for key in ("question", "hypothesis", "baseline"):
        if not isinstance(content.get(key), str):
            raise InputError(f"{path.name} must give {key} as text, but gives {content.get(key)!r}.")
    published = _named(path, "published", content.get("published"))
    arms = _arms(path, content, mode, _named(path, "published.arms", published.get("arms")))
    if content["baseline"] not in [arm.name for arm in arms]:
        names = ", ".join(arm.name for arm in arms)
        raise InputError(f"{path.name}: baseline must be one of the arms {names}, but got {content['baseline']!r}.")
    return Study(
        name=name,
        question=" ".join(content["question"].split()),
        hypothesis=" ".join(content["hypothesis"].split()),
        mode=mode,
        baseline=content["baseline"],
        settings=flatten(_named(path, "set", content.get("set"))),
        arms=arms,
        search=_search(path, content) if mode == "search" else None,
        seeds=_seeds(path, content.get("seeds")),
        published_source=published.get("source"),
    )


def _named(path: Path, key: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InputError(f"{path.name}: {key} must hold named values, but holds {given!r}.")
    return given


def _seeds(path: Path, given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not given or not all(type(seed) is int and seed >= 0 for seed in given):
        raise InputError(f"{path.name}: seeds must list whole numbers of at least 0, but got {given!r}.")
    if len(set(given)) < len(given):
        raise InputError(f"{path.name}: seeds must differ from one another, but got {given!r}.")
    return tuple(given)


def _arms(path: Path, content: Mapping[str, Any], mode: str, published: Mapping[str, Any]) -> tuple[Arm, ...]:
    if mode == "grid":
        grid = content.get("grid")
        if not isinstance(grid, dict) or not all(isinstance(values, list) and values for values in grid.values()):
            raise InputError(f"{path.name}: grid must list values for each key, but got {grid!r}.")
        settings = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
        arms = {_grid_name(one): one for one in settings}
    else:
        arms = content.get("arms")
        if not isinstance(arms, dict) or not arms:
            raise InputError(f"{path.name}: arms must name at least one arm, but got {arms!r}.")
    unknown = set(published) - {str(name) for name in arms}
    if unknown:
        raise InputError(f"{path.name}: published names arms that are not in the study: {', '.join(sorted(unknown))}.")
    made = []
    for name, settings in arms.items():
        settings = flatten(_named(path, f"arm {name!r}", settings))
        if "pretrain.seed" in settings:
            raise InputError(f"{path.name}: arm {name!r} may not set pretrain.seed; list seeds instead.")
        outside = [key for key in settings if key.partition(".")[0] not in ("pretrain",)]
        if outside:
            raise InputError(f"{path.name}: arm {name!r} may set keys of pretrain alone, but sets {', '.join(outside)}.")
        outcome = _named(path, f"published.arms.{name}", published.get(str(name)))
        made.append(Arm(name=str(name), settings=settings, published=outcome or None))
    return tuple(made)


def _search(path: Path, content: Mapping[str, Any]) -> Search:
    given = content.get("search")
    known = {"parameters", "trials", "batch", "seed", "objective", "prune_after"}
    if not isinstance(given, dict) or set(given) != known:
        raise InputError(f"{path.name}: search must give exactly {', '.join(sorted(known))}.")
    parameters = _named(path, "search.parameters", given["parameters"])
    if not parameters:
        raise InputError(f"{path.name}: search.parameters must name at least one parameter, but names none.")
    for key, value_range in parameters.items():
        value_range = _named(path, f"search.parameters.{key}", value_range)
        low, high = value_range.get("low"), value_range.get("high")
        numbers = all(type(bound) in (int, float) for bound in (low, high))
        if set(value_range) - {"low", "high", "log"} or not numbers or not low < high:
            raise InputError(f"{path.name}: search.parameters.{key} must give low < high and perhaps log.")
        if value_range.get("log") and low <= 0:
            raise InputError(f"{path.name}: search.parameters.{key}.low must be positive on a log scale, but got {low}.")
    for key, least in (("trials", 1), ("batch", 1), ("seed", 0)):
        if type(given[key]) is not int or given[key] < least:
            raise InputError(f"{path.name}: search.{key} must be a whole number of at least {least}, but got {given[key]!r}.")
    if given["prune_after"] is not None and (type(given["prune_after"]) is not int or given["prune_after"] < 1):
        raise InputError(f"{path.name}: search.prune_after must be null or at least 1, but got {given['prune_after']!r}.")
    return Search(**given)


def _grid_name(settings: Mapping[str, Any]) -> str:
    return "-".join(f"{_short(key)}{_shown(value)}".replace(" ", "") for key, value in settings.items())


def _short(key: str) -> str:
    name = key.removeprefix("pretrain.").removeprefix("augmentation.")
    return _SYMBOLS.get(name, name.replace("_", " "))


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " x ".join(_shown(one) for one in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "rule" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
