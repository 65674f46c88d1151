"""`study/studies/<name>.yaml` -> a question, and arms as differences from the baseline.

A parameter has one role in a study (the Deep Learning Tuning Playbook, Godbole et al. 2023): scientific, which arms, a
grid or a search vary; nuisance, which is tuned alike for each of them; or fixed.
"""

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from study.config.methods import is_same_setting
from study.config.read_yaml import read_yaml
from study.config.seeds import UNTIL_DECIDED, Seeds, read_looks, read_seeds
from study.config.values import is_plain
from study.spec.about import ABOUT
from study.spec.arm_checks import crossed, grid_arms, read_outcome
from study.spec.keys import check_keys, lists, mapping, settings, whole
from study.spec.names import grid_name, short_name, value_name
from study.spec.predictions import Prediction
from study.spec.read_predictions import read_predictions
from study.spec.search import Search, read_search
from vicreg.errors import InputError, kind_of

STUDIES = Path(__file__).parents[1] / "studies"
MODES = ("arms", "grid", "search", "path")
CHOSEN = "best"  # the arm of a search's best trial, run at every seed beside the study's own arms; and the end of a path
_KEYS = (
    "question", "headline", "about", "hypothesis", "mode", "baseline", "fixed", "nuisance", "arms", "grid", "search", "path",
    "seeds", "looks", "budget", "predictions", "published",
)  # fmt: skip
_OF_AN_ARM = ("reason", "settings", "nuisance")
_MODES_OF = {
    "about": ("arms",), "grid": ("grid",), "search": ("search",), "path": ("path",), "arms": ("arms", "search", "path"),
}  # fmt: skip
STOPS = ("arms", "grid")  # modes in which decided arms may stop: in the others arms depend on one another
# Names of arms that a design makes by itself, and what has a meaning where an arm is named on the command line.
_RESERVED = re.compile(rf"{CHOSEN}$|(trial|pareto|step)-|untrained|.*[@=,]")
TAKEN = ("measured", "source-paper", "tsne")  # names under reports/, where each study has a folder


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One row of a study: settings that differ from the baseline, why, and what others found, where that is known.

    `nuisance` are the values that this arm alone is tuned over, beside the study's: settings that others do not have.
    """

    name: str
    settings: Mapping[str, Any]
    reason: str | None = None
    published: Mapping[str, Any] | None = None
    nuisance: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

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

    `headline` is the short question that it helps to answer. `about` is `collapse` where its answer says what collapses.
    `settings` are those it fixes, `nuisance` the values that every arm is tuned over, `path` where `mode: path` walks to.
    `published_protocol` is one of study/analysis/published_methods.yaml, with a number of each method as published outcome.
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
    published_protocol: str | None = None
    nuisance: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    path: str | None = None
    headline: str | None = None
    about: str | None = None
    predictions: tuple[Prediction, ...] = ()

    @property
    def roles(self) -> dict[str, str]:
        """Dotted key -> `fixes`, `tunes` or `varies`: what this study does with it."""
        varied = [key for arm in self.arms for key in arm.settings] + list(self.search.parameters if self.search else ())
        tuned = [*self.nuisance, *(key for arm in self.arms for key in arm.nuisance)]
        roles = dict.fromkeys(varied, "varies")
        return roles | dict.fromkeys(tuned, "tunes") | dict.fromkeys(self.settings, "fixes")

    @property
    def is_tuned(self) -> bool:
        """Whether an arm is tuned over nuisance parameters."""
        return bool(self.nuisance) or any(arm.nuisance for arm in self.arms)

    def nuisance_of(self, arm: str) -> dict[str, tuple[Any, ...]]:
        """Return the nuisance parameters that an arm is tuned over, with their values: the study's, then its own.

        An arm that a design made has the study's.
        """
        own = next((one.nuisance for one in self.arms if one.name == arm), {})
        return {**self.nuisance, **own}

    def combinations_of(self, arm: str) -> list[dict[str, Any]]:
        """Return every combination of an arm's nuisance values, the first key's varying slowest; none where it has none.

        Raises:
            InputError: for more of them than a study may have runs.
        """
        nuisance = self.nuisance_of(arm)
        return crossed(f"{self.name}.yaml: nuisance", nuisance) if nuisance else []


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
    if "about" in content and content["about"] not in ABOUT:
        raise InputError(f"{where} may say about: {' or '.join(ABOUT)}, or nothing, but says {content['about']!r}.")
    for key, modes in _MODES_OF.items():
        if key in content and mode not in modes:
            raise InputError(f"{where}: {key} is for mode {' or '.join(modes)}, but the mode is {mode}.")
    published = mapping(f"{where}: published", content.get("published"))
    check_keys(f"{where}: published", published, ("source", "arms", "protocol"))
    for key in ("source", "protocol"):
        if not isinstance(published.get(key, ""), str):
            raise InputError(f"{where}: published.{key} must be text, but is {published[key]!r}.")
    if "protocol" in published and len(published) > 1:
        raise InputError(f"{where}: published.protocol brings its own source and numbers; delete source and arms beside it.")
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
        published_protocol=published.get("protocol"),
        nuisance=lists(f"{where}: nuisance", content.get("nuisance")),
        path=_path(where, content, names) if mode == "path" else None,
        headline=" ".join(content["headline"].split()) if "headline" in content else None,
        about=content.get("about"),
        predictions=read_predictions(where, content, names),
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
    if name in TAKEN or not is_plain(name):
        rule = "letters, digits, single spaces and - _ . +, a letter or digit first, and not " + " or ".join(TAKEN)
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
        arms: Any = grid_arms(where, content.get("grid"))
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
    """Return an arm, which is its settings, or holds them under `settings` beside a `reason` and its own `nuisance`."""
    place = f"{where}: arm {name!r}"
    if _RESERVED.match(name):
        raise InputError(f"{place} needs another name; best, trial-, pareto-, step-, untrained and @ = , have a meaning.")
    if not is_plain(name):
        raise InputError(f"{place} needs another name: letters, digits, single spaces and - _ . +, a letter or digit first.")
    given = mapping(place, given)
    reason, nuisance = None, None
    if any(key in given for key in _OF_AN_ARM):
        check_keys(place, given, _OF_AN_ARM)
        reason, nuisance, given = given.get("reason"), given.get("nuisance"), given.get("settings")
        if reason is not None and not isinstance(reason, str):
            raise InputError(f"{place} must give its reason as text, but gives {reason!r}.")
    outcome = read_outcome(f"{where}: published.arms.{name}", published)
    return Arm(
        name=name, settings=settings(place, given), published=outcome,
        reason=" ".join(reason.split()) if reason else None, nuisance=lists(f"{place}: nuisance", nuisance),
    )  # fmt: skip


def _path(where: str, content: Mapping[str, Any], names: list[str]) -> str:
    given = mapping(f"{where}: path", content.get("path"))
    check_keys(f"{where}: path", given, ("to",))
    others = [CHOSEN, *(name for name in names if name != content["baseline"])]
    if given.get("to") not in others:
        raise InputError(f"{where}: path.to must be one of {', '.join(others)}, but got {given.get('to')!r}.")
    if len(others) < 2:
        raise InputError(f"{where}: a path needs an arm to walk to, but the baseline is the only one.")
    return given["to"]


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
    if study.roles.get("pretrain.train_on") == "tunes" or (study.search and "pretrain.train_on" in study.search.parameters):
        raise InputError(
            f"{where}: pretrain.train_on is neither tuned nor searched, which is done on validation; list arms."
        )
    for arm in study.arms:
        _check_own_nuisance(where, study, arm)
        combinations = study.combinations_of(arm.name)
        if len({grid_name(one) for one in combinations}) < len(combinations):
            raise InputError(f"{where}: nuisance has values that differ after the sixth digit alone; their runs need names.")


def _check_own_nuisance(where: str, study: Study, arm: Arm) -> None:
    """Refuse a parameter that an arm tunes, where the study tunes or fixes it, or the arm itself sets it."""
    if arm.nuisance and study.mode != "arms":
        raise InputError(f"{where}: arm {arm.name!r} has nuisance, which is for mode arms, but the mode is {study.mode}.")
    roles = [(study.settings, "fixed"), (study.nuisance, "nuisance of every arm"), (arm.settings, "set by the arm")]
    for key in arm.nuisance:
        for keys, role in roles:
            if any(is_same_setting(key, one) for one in keys):
                raise InputError(f"{where}: {key} has one role in an arm, but arm {arm.name!r} tunes it and it is {role}.")
