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
    except yaml.YAMLError as error:
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
    published = content.get("published") or {}
    arms = _arms(path, content, mode, published.get("arms") or {})
    if content["baseline"] not in [arm.name for arm in arms]:
        names = ", ".join(arm.name for arm in arms)
        raise InputError(f"{path.name}: baseline must be one of the arms {names}, but got {content['baseline']!r}.")
    return Study(
        name=name,
        question=" ".join(content["question"].split()),
        hypothesis=" ".join(content["hypothesis"].split()),
        mode=mode,
        baseline=content["baseline"],
        settings=flatten(content.get("set") or {}),
        arms=arms,
        search=_search(path, content) if mode == "search" else None,
        seeds=tuple(content["seeds"]) if content.get("seeds") else None,
        published_source=published.get("source"),
    )


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
        settings = flatten(settings or {})
        if "pretrain.seed" in settings:
            raise InputError(f"{path.name}: arm {name!r} may not set pretrain.seed; list seeds instead.")
        outside = [key for key in settings if key.partition(".")[0] not in ("pretrain",)]
        if outside:
            raise InputError(f"{path.name}: arm {name!r} may set keys of pretrain alone, but sets {', '.join(outside)}.")
        made.append(Arm(name=str(name), settings=settings, published=published.get(str(name))))
    return tuple(made)


def _search(path: Path, content: Mapping[str, Any]) -> Search:
    given = content.get("search")
    known = {"parameters", "trials", "batch", "seed", "objective", "prune_after"}
    if not isinstance(given, dict) or set(given) != known:
        raise InputError(f"{path.name}: search must give exactly {', '.join(sorted(known))}.")
    for key, value_range in given["parameters"].items():
        low, high = value_range.get("low"), value_range.get("high")
        if set(value_range) - {"low", "high", "log"} or low is None or high is None or not low < high:
            raise InputError(f"{path.name}: search.parameters.{key} must give low < high and perhaps log.")
        if value_range.get("log") and low <= 0:
            raise InputError(f"{path.name}: search.parameters.{key}.low must be positive on a log scale, but got {low}.")
    if given["trials"] < 1 or given["batch"] < 1:
        raise InputError(f"{path.name}: search.trials and search.batch must be at least 1.")
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
