"""One frozen, checked `Config`, built from the resolved values of `params.yaml`."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.config.methods import check_other_methods, method_settings, replace_values, study_keys, with_short_keys
from study.config.sections import AblateSettings, PrepareSettings, ProjectSettings, SourcePaperSettings
from study.config.seeds import read_seeds
from study.config.slurm import read_slurm
from study.config.storage import without_password
from study.config.values import check_numbers, coerce, copy_sections, flatten, make_settings, section_of, unknown_key
from vicreg.errors import InputError
from vicreg.evaluation.linear_evaluation import LinearSettings
from vicreg.evaluation.settings import EvaluateSettings
from vicreg.files import user_path
from vicreg.training.settings import UNTRAINED as UNTRAINED_VALUES
from vicreg.training.settings import PretrainSettings
from vicreg.views.settings import view_settings

# What makes of any run its untrained control, by dotted key.
UNTRAINED: Mapping[str, Any] = {f"pretrain.{name}": value for name, value in UNTRAINED_VALUES.items()}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything one command works with; `values` is the resolved mapping behind the settings, without passwords."""

    profile: str
    data_root: Path
    prepare: PrepareSettings
    pretrain: PretrainSettings
    evaluate: EvaluateSettings
    project: ProjectSettings
    ablate: AblateSettings
    source_paper: SourcePaperSettings
    values: Mapping[str, Any]

    @property
    def primary(self) -> str:
        """Return the key of the accuracy that answers use and Optuna sees: a linear probe's if there is one."""
        linear = [probe for probe in ("linear_cached", "linear") if probe in self.ablate.probes]
        return linear[0] if linear else f"knn_{self.evaluate.knn[0]}"

    @property
    def by_key(self) -> dict[str, Any]:
        """Return every value by dotted key, the chosen method's own settings by their short spelling too."""
        return {**flatten(self.values), **with_short_keys(self.values)}

    @property
    def recipe(self) -> dict[str, Any]:
        """Return what decides runs and measurements, by dotted key, the chosen method's own settings spelled short."""
        others = flatten({name: self.values[name] for name in ("prepare", "evaluate")})
        return dict(sorted({**others, **with_short_keys(self.values)}.items()))

    def with_settings(self, settings: Mapping[str, Any]) -> "Config":
        """Return this config with dotted keys replaced.

        Raises:
            InputError: for an unknown key or an impossible value.
        """
        values = copy_sections(self.values)
        replace_values(values, settings)
        changed = {key.partition(".")[0] for key in settings}  # what other sections hold was checked before
        checked = {_FIELD_OF.get(name, name): _MADE_FROM[name](section_of(values, name)) for name in changed}
        check_other_methods(values, settings)
        return dataclasses.replace(self, values=_without_passwords(values), **checked)


def config_from_values(values: Mapping[str, Any]) -> Config:
    """Check resolved values and return them as a `Config`.

    Raises:
        InputError: for a missing or unknown key or an impossible value.
    """
    checked = {_FIELD_OF.get(name, name): make(section_of(values, name)) for name, make in _MADE_FROM.items()}
    return Config(profile=values["profile"], values=_without_passwords(values), **checked)


def _without_passwords(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return values as they may be written and sent: `ablate.storage` without its password, which settings keep."""
    ablate = section_of(values, "ablate")
    if (address := ablate.get("storage")) is None:
        return values
    return {**values, "ablate": {**ablate, "storage": without_password(address)}}


def _pretrain_settings(section: Mapping[str, Any]) -> PretrainSettings:
    _, own, pretrain = method_settings(section)
    _check_pretrain_keys(pretrain)
    augmentation = dict(section_of(pretrain, "augmentation"))
    del pretrain["augmentation"]
    preset = coerce("pretrain.augmentation.preset", augmentation.pop("preset", None), "str")
    for key, value in augmentation.items():
        check_numbers(f"pretrain.augmentation.{key}", value)
    pretrain["views"] = view_settings(preset=preset, **augmentation)
    pretrain["method_settings"] = own
    return make_settings(PretrainSettings, pretrain, "pretrain")


def _check_pretrain_keys(pretrain: Mapping[str, Any]) -> None:
    """Refuse a key that neither the section `pretrain` nor any method has."""
    fields = [field.name for field in dataclasses.fields(PretrainSettings)]
    own = ["augmentation" if name == "views" else name for name in fields if name != "method_settings"]
    for key in pretrain:
        if key not in own:
            raise InputError(unknown_key(f"pretrain.{key}", [*(f"pretrain.{name}" for name in own), *study_keys()]))


def _evaluate_settings(section: Mapping[str, Any]) -> EvaluateSettings:
    evaluate = dict(section)
    evaluate["linear"] = make_settings(LinearSettings, evaluate.get("linear"), "evaluate.linear")
    cached = evaluate.pop("linear_cached", None)
    if not isinstance(cached, dict) or set(cached) != {"weight_decay"}:
        raise InputError(f"evaluate.linear_cached must hold weight_decay alone, but holds {cached}.")
    name = "evaluate.linear_cached.weight_decay"
    evaluate["linear_cached_weight_decay"] = coerce(name, cached["weight_decay"], "tuple[float, ...]")
    return make_settings(EvaluateSettings, evaluate, "evaluate")


def _ablate_settings(section: Mapping[str, Any]) -> AblateSettings:
    ablate = dict(section)
    if "seeds" in ablate:
        ablate["seeds"] = read_seeds("ablate.seeds", ablate["seeds"])
    if "slurm" in ablate:
        ablate["slurm"] = read_slurm("ablate.slurm", ablate["slurm"])
    return make_settings(AblateSettings, ablate, "ablate")


# Section of `params.yaml` -> what makes the settings of a `Config` from it.
_MADE_FROM: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "data": lambda section: user_path(coerce("data.root", section.get("root"), "str"), of="data.root"),
    "prepare": functools.partial(make_settings, PrepareSettings, section="prepare"),
    "pretrain": _pretrain_settings,
    "evaluate": _evaluate_settings,
    "project": functools.partial(make_settings, ProjectSettings, section="project"),
    "ablate": _ablate_settings,
    "source_paper": functools.partial(make_settings, SourcePaperSettings, section="source_paper"),
}
_FIELD_OF = {"data": "data_root"}  # the field of a section that has another name
