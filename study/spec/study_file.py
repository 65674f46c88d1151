"""`study/studies/<name>.yaml` -> a question, and arms as differences from the baseline.

A parameter has one role in a study (the Deep Learning Tuning Playbook, Godbole et al. 2023): scientific, which arms, a
grid or a search vary; nuisance, which is tuned alike for each of them; or fixed.
"""

import difflib
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from study.config.methods import is_same_setting, symbols
from study.config.read_yaml import read_yaml
from study.config.seeds import UNTIL_DECIDED, Seeds, read_looks, read_seeds
from study.spec.keys import check_keys, mapping, settings, whole
from study.spec.search import Search, read_search
from vicreg.errors import InputError, kind_of

STUDIES = Path(__file__).parents[1] / "studies"
MODES = ("arms", "grid", "search", "path")
CHOSEN = "best"  # the arm of a search's best trial, run at every seed beside the study's own arms; and the end of a path
_KEYS = (
    "question", "headline", "hypothesis", "mode", "baseline", "fixed", "nuisance", "arms", "grid", "search", "path", "seeds",
    "looks", "budget", "published",
)  # fmt: skip
_MODES_OF = {"grid": ("grid",), "search": ("search",), "path": ("path",), "arms": ("arms", "search", "path")}
STOPS = ("arms", "grid")  # modes in which decided arms may stop: in the others arms depend on one another
# Names of arms that a design makes by itself, and what has a meaning where an arm is named on the command line.
# Values that name data sets, though nothing was trained on these: a label names the first convolution.
VALUE_NAMES = {"pretrain.stem": {"imagenet": "7x7", "cifar": "3x3", "cifar-padded": "3x3, padding 2"}}
_RESERVED = re.compile(rf"{CHOSEN}$|(trial|pareto|step)-|untrained|.*[@=,]")
_TAKEN = ("measured", "source-paper")  # under reports/, which has a folder for each study
_BESIDE_LETTERS = " -_.+"  # in a name: it has to fit tables of Markdown and HTML, CSV files and commands alike


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One row of a study: settings that differ from the baseline, why, and what others found, where that is known."""

    name: str
    settings: Mapping[str, Any]
    reason: str | None = None
    published: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """The settings in the papers' symbols: `λ 25, μ 25, ν 1`.

        A null, which leaves a value to a rule or a preset, is left out beside others.
        """
        said = {key: value for key, value in self.settings.items() if value is not None} or self.settings
        return ", ".join(f"{short_name(key)} {value_name(key, value)}" for key, value in said.items()) or self.name


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as its file states it.

    `headline` is the short question that it helps to answer, beside other studies. `settings` are those it fixes, `nuisance`
    the values to be tuned over, and `path` where `mode: path` walks to: `best` or an arm.
    """

    name: str
    question: str
    hypothesis: str
    mode: str
    baseline: str
    settings: Mapping[str, Any]
    arms: tuple[Arm, ...]
    search: Search | None
    seeds: Seeds | None
    published_source: str | None
    nuisance: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    path: str | None = None
    headline: str | None = None

    @property
    def roles(self) -> dict[str, str]:
        """Dotted key -> `fixes`, `tunes` or `varies`: what this study does with it."""
        varied = [key for arm in self.arms for key in arm.settings] + list(self.search.parameters if self.search else ())
        roles = dict.fromkeys(varied, "varies")
        return roles | dict.fromkeys(self.nuisance, "tunes") | dict.fromkeys(self.settings, "fixes")

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """Every combination of the nuisance parameters' values, the first key's varying slowest."""
        return _crossed(self.nuisance) if self.nuisance else []


def available() -> list[str]:
    """Return the names of the studies there are."""
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def load_study(name: str, *, folder: Path = STUDIES) -> Study:
    """Read and check a study's file.

    Raises:
        InputError: if there is no such study, or its file breaks a rule.
    """
    content = _read(name, folder)
    where = f"{name}.yaml"
    check_keys(where, content, _KEYS)
    mode = content.get("mode", "arms")
    if mode not in MODES:
        raise InputError(f"{where}: mode must be one of {', '.join(MODES)}, but got {mode!r}.")
    for key in ("question", "hypothesis", "baseline"):
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise InputError(f"{where} must give {key} as text, but gives {content.get(key)!r}.")
    if "headline" in content and (not isinstance(content["headline"], str) or not content["headline"].strip()):
        raise InputError(f"{where} must give headline as text, or not at all, but gives {content['headline']!r}.")
    for key, modes in _MODES_OF.items():
        if key in content and mode not in modes:
            raise InputError(f"{where}: {key} is for mode {' or '.join(modes)}, but the mode is {mode}.")
    published = mapping(f"{where}: published", content.get("published"))
    check_keys(f"{where}: published", published, ("source", "arms"))
    if not isinstance(published.get("source", ""), str):
        raise InputError(f"{where}: published.source must be text, but is {published['source']!r}.")
    arms = _arms(where, content, mapping(f"{where}: published.arms", published.get("arms")))
    names = [arm.name for arm in arms]
    if content["baseline"] not in names:
        raise InputError(f"{where}: baseline must be one of the arms {', '.join(names)}, but got {content['baseline']!r}.")
    study = Study(
        name=name,
        question=" ".join(content["question"].split()),
        hypothesis=" ".join(content["hypothesis"].split()),
        mode=mode,
        baseline=content["baseline"],
        settings=settings(f"{where}: fixed", content.get("fixed")),
        arms=arms,
        search=read_search(f"{where}: search", content.get("search")) if mode == "search" else None,
        seeds=_seeds(where, content, mode),
        published_source=published.get("source"),
        nuisance=_lists(f"{where}: nuisance", content.get("nuisance")),
        path=_path(where, content, names) if mode == "path" else None,
        headline=" ".join(content["headline"].split()) if "headline" in content else None,
    )
    _check_roles(where, study)
    return study


def _read(name: str, folder: Path) -> dict[str, Any]:
    """Return what a study's file holds. A name is a file's in the folder, for results and reports are written under it."""
    names = sorted(found.stem for found in folder.glob("*.yaml"))
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}."
        raise InputError(f"there is no study {name!r}; {hint}")
    path = folder / f"{name}.yaml"
    if name in _TAKEN or not _is_plain(name):
        rule = "letters, digits, single spaces and - _ . +, a letter or digit first, and not " + " or ".join(_TAKEN)
        raise InputError(f"the file {path.name!r} of a study needs another name: {rule}.")
    try:
        content = read_yaml(path, where=path.name)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); make it a readable file.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path.name} must hold named entries, but holds {kind_of(content)}.")
    return content


def _seeds(where: str, content: Mapping[str, Any], mode: str) -> Seeds | None:
    """Return how many seeds a file gives its arms; None where it leaves that to params.yaml."""
    given, looks, budget = (content.get(key) for key in ("seeds", "looks", "budget"))
    seeds = None if given is None else read_seeds(f"{where}: seeds", given)
    if seeds is None or not seeds.until_decided:
        for key in ("looks", "budget"):
            if content.get(key) is not None:
                raise InputError(f"{where}: {key} is for `seeds: {UNTIL_DECIDED}`, but seeds is {given!r}; delete {key}.")
        return seeds
    if mode not in STOPS:
        raise InputError(f"{where}: seeds: {UNTIL_DECIDED} is for mode {' or '.join(STOPS)}, but the mode is {mode}.")
    return replace(
        seeds,
        looks=seeds.looks if looks is None else read_looks(f"{where}: looks", looks),
        budget=None if budget is None else whole(f"{where}: budget", budget, least=1),
    )


def _arms(where: str, content: Mapping[str, Any], published: Mapping[str, Any]) -> tuple[Arm, ...]:
    if content.get("mode") == "grid":
        grid = _lists(f"{where}: grid", content.get("grid"))
        if not grid:
            raise InputError(f"{where}: grid must list values for at least one key, but got {content.get('grid')!r}.")
        arms: Any = {grid_name(one): one for one in _crossed(grid)}
        if len(arms) < len(_crossed(grid)):
            raise InputError(f"{where}: grid has values that differ after the sixth digit alone; its arms need other names.")
    else:
        arms = content.get("arms")
        if not isinstance(arms, dict) or not arms:
            raise InputError(f"{where}: arms must name at least one arm, but got {arms!r}.")
        if twice := [name for name, count in Counter(map(str, arms)).items() if count > 1]:
            raise InputError(f"{where}: arm {twice[0]!r} is given twice, as a number and as text; rename one.")
    check_keys(f"{where}: published.arms", [str(name) for name in published], [str(name) for name in arms])
    published = {str(name): outcome for name, outcome in published.items()}
    return tuple(_arm(where, str(name), given, published.get(str(name))) for name, given in arms.items())


def _arm(where: str, name: str, given: Any, published: Any) -> Arm:
    """Return an arm, which is its settings, or holds them under `settings` beside a `reason`."""
    place = f"{where}: arm {name!r}"
    if _RESERVED.match(name):
        raise InputError(f"{place} needs another name; best, trial-, pareto-, step-, untrained and @ = , have a meaning.")
    if not _is_plain(name):
        raise InputError(f"{place} needs another name: letters, digits, single spaces and - _ . +, a letter or digit first.")
    given = mapping(place, given)
    reason = None
    if "reason" in given or "settings" in given:
        check_keys(place, given, ("reason", "settings"))
        reason, given = given.get("reason"), given.get("settings")
        if reason is not None and not isinstance(reason, str):
            raise InputError(f"{place} must give its reason as text, but gives {reason!r}.")
    outcome = mapping(f"{where}: published.arms.{name}", published)
    return Arm(
        name=name, settings=settings(place, given), published=outcome or None,
        reason=" ".join(reason.split()) if reason else None,
    )  # fmt: skip


def _is_plain(name: str) -> bool:
    """Return whether a name is of letters of any script (with marks), digits, and what may stand between them."""
    known = all(one.isalnum() or one in _BESIDE_LETTERS or unicodedata.category(one).startswith("M") for one in name)
    return known and name[:1].isalnum() and " ".join(name.split()) == name


def _path(where: str, content: Mapping[str, Any], names: list[str]) -> str:
    given = mapping(f"{where}: path", content.get("path"))
    check_keys(f"{where}: path", given, ("to",))
    others = [CHOSEN, *(name for name in names if name != content["baseline"])]
    if given.get("to") not in others:
        raise InputError(f"{where}: path.to must be one of {', '.join(others)}, but got {given.get('to')!r}.")
    if len(others) < 2:
        raise InputError(f"{where}: a path needs an arm to walk to, but the baseline is the only one.")
    return given["to"]


def _lists(where: str, given: Any) -> dict[str, tuple[Any, ...]]:
    """Dotted key -> the values listed for it."""
    lists = settings(where, given)
    for key, values in lists.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{where} must list values for each key, but for {key} got {values!r}.")
        if any(value in values[:index] for index, value in enumerate(values)):
            raise InputError(f"{where} must list different values for {key}, but got {values!r}.")
    return {key: tuple(values) for key, values in lists.items()}


def _check_roles(where: str, study: Study) -> None:
    """Refuse a parameter that has two roles: arms would differ by more than they say."""
    varied = {key: f"arm {arm.name!r}" for arm in study.arms for key in arm.settings}
    varied |= dict.fromkeys(study.search.parameters if study.search else (), "search")
    roles = [(study.settings, "fixed"), (study.nuisance, "nuisance"), (varied, None)]
    for (first, name), (second, other) in itertools.combinations(roles, 2):
        for key in second:
            if any(is_same_setting(key, one) for one in first):
                raise InputError(f"{where}: {key} has one role, but is {name}, and {other or varied[key]} sets it too.")
    if study.nuisance and study.mode == "search":
        raise InputError(f"{where}: a search has no nuisance; put {', '.join(study.nuisance)} among search.parameters.")


def _crossed(lists: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def grid_name(one: Mapping[str, Any]) -> str:
    """Return settings as a word: `λ25-μ1`, `baselr0.2`."""
    return "-".join(f"{short_name(key)}{_shown(value)}".replace(" ", "") for key, value in one.items())


def short_name(key: str) -> str:
    """Return the name of a setting without its sections, or the papers' symbol where it has one."""
    name = key.removeprefix("pretrain.").removeprefix("augmentation.").rpartition(".")[2]
    return symbols().get(name, name.replace("_", " "))


def value_name(key: str, value: Any) -> str:
    """Return the value of a setting as labels have it."""
    return VALUE_NAMES.get(key, {}).get(str(value)) or _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " x ".join(_shown(one) for one in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "rule" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
