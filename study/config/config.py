"""`params.yaml` -> one frozen, checked `Config`.

Three layers, later over earlier: the baseline, the profile's differences from it, and `key=value` settings of the
command or of a study's arm. Keys are dotted: `pretrain.nu`.
"""

import copy
import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vicreg.errors import InputError
from vicreg.evaluation.evaluate import PROBES, EvaluateSettings
from vicreg.evaluation.linear_evaluation import LinearSettings
from vicreg.training.settings import PretrainSettings
from vicreg.views.settings import view_settings

SECTIONS = ("prepare", "pretrain", "evaluate", "project", "ablate", "source_paper")
_TOP_LEVEL = (*SECTIONS, "profile", "studies", "data", "profiles")
DEVICES = ("auto", "cpu", "cuda")
# What makes of any run its control: the same network as its seed draws it.
UNTRAINED: Mapping[str, Any] = {
    "pretrain.epochs": 0, "pretrain.warmup_epochs": 0, "pretrain.stop_after": None, "pretrain.weights": None,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """`params.yaml`'s section `prepare`; `vicreg.data.dataset.load_dataset` checks the values."""

    dataset: str
    validation: float
    split_seed: int
    test: float
    per_class: int | None
    image_size: int | None


@dataclass(frozen=True, kw_only=True)
class ProjectSettings:
    """`params.yaml`'s section `project`: t-SNE."""

    perplexity: float
    iterations: int
    seed: int
    features: str
    max_images: int
    classes: int | None

    def __post_init__(self) -> None:
        if not 0 < self.perplexity < float("inf"):
            raise InputError(f"project.perplexity must be positive, but got {self.perplexity}.")
        if self.iterations < 250:
            raise InputError(f"project.iterations must be at least 250, for early exaggeration, but got {self.iterations}.")
        if self.seed < 0:
            raise InputError(f"project.seed must be at least 0, but got {self.seed}.")
        if self.features not in ("embeddings", "representations"):
            raise InputError(f"project.features must be embeddings or representations, but got {self.features!r}.")
        if self.max_images < 4:
            raise InputError(f"project.max_images must be at least 4, but got {self.max_images}.")
        if self.classes is not None and self.classes < 2:
            raise InputError(
                f"project.classes must be at least 2, but got {self.classes}; raise it, or set it to null to show all."
            )


@dataclass(frozen=True, kw_only=True)
class AblateSettings:
    """`params.yaml`'s section `ablate`: how studies are run, which decides no run's result."""

    seeds: tuple[int, ...]
    probes: tuple[str, ...]
    workers: int | None
    device: str
    margin: float  # the smallest difference of accuracy that is of interest, a share

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise InputError(f"ablate.margin must be a share between 0 and 1, such as 0.01, but got {self.margin}.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise InputError(f"ablate.seeds must list different numbers of at least 0, but got {list(self.seeds)}.")
        if not self.probes or set(self.probes) - set(PROBES):
            raise InputError(f"ablate.probes must be among {', '.join(PROBES)}, but got {list(self.probes)}.")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"ablate.workers must be at least 1, but got {self.workers}.")
        if self.device not in DEVICES:
            raise InputError(f"ablate.device must be one of {', '.join(DEVICES)}, but got {self.device!r}.")


@dataclass(frozen=True, kw_only=True)
class SourcePaperSettings:
    """`params.yaml`'s section `source_paper`: the studies that are held against the source paper."""

    studies: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.studies)) < len(self.studies):
            raise InputError(f"source_paper.studies must list different studies, but got {list(self.studies)}.")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything one command works with. `values` is the resolved mapping the settings were made from."""

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
        """The key of the accuracy that a study's answer speaks of and that Optuna sees: a linear probe's if there is one."""
        linear = [probe for probe in ("linear_cached", "linear") if probe in self.ablate.probes]
        return linear[0] if linear else f"knn_{self.evaluate.knn[0]}"

    def with_settings(self, settings: Mapping[str, Any]) -> "Config":
        """This config with dotted keys replaced.

        Raises:
            InputError: for an unknown key or an impossible value.
        """
        values = copy.deepcopy(dict(self.values))
        for key, value in settings.items():
            _replace(values, key, value)
        return config_from_values(values)


def load_params(path: Path = Path("params.yaml")) -> dict[str, Any]:
    """Reads `params.yaml` as it stands.

    Raises:
        InputError: if it is missing, no YAML, or has unknown sections.
    """
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
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
            raise InputError(_unknown(section, _TOP_LEVEL))
    for section in _TOP_LEVEL:
        if section not in params:
            raise InputError(f"{path} must have a section {section!r}, but has none; restore it.")
    return params


def load_config(
    *, path: Path = Path("params.yaml"), profile: str | None = None, settings: Mapping[str, Any] | None = None
) -> Config:
    """The config of a profile (by default the one `params.yaml` names), with `settings` over it.

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
    for key, value in flatten(profiles[profile] or {}).items():
        _replace(values, key, value)
    for key, value in (settings or {}).items():
        _replace(values, key, value)
    return config_from_values(values)


def config_from_values(values: Mapping[str, Any]) -> Config:
    """Checks and types resolved values.

    Raises:
        InputError: for a missing or unknown key or an impossible value.
    """
    pretrain = dict(_section(values, "pretrain"))
    augmentation = dict(_section(pretrain, "augmentation"))
    del pretrain["augmentation"]
    preset = _coerce("pretrain.augmentation.preset", augmentation.pop("preset", None), "str")
    pretrain["views"] = view_settings(preset=preset, **augmentation)
    pretrain["lambda_"] = pretrain.pop("lambda", None)
    evaluate = dict(_section(values, "evaluate"))
    evaluate["linear"] = _typed(LinearSettings, evaluate.get("linear"), "evaluate.linear")
    cached = evaluate.pop("linear_cached", None)
    if not isinstance(cached, dict) or set(cached) != {"weight_decay"}:
        raise InputError(f"evaluate.linear_cached must hold weight_decay alone, but holds {cached}.")
    evaluate["linear_cached_weight_decay"] = cached["weight_decay"]
    return Config(
        profile=values["profile"],
        data_root=Path(_coerce("data.root", _section(values, "data").get("root"), "str")),
        prepare=_typed(PrepareSettings, _section(values, "prepare"), "prepare"),
        pretrain=_typed(PretrainSettings, pretrain, "pretrain"),
        evaluate=_typed(EvaluateSettings, evaluate, "evaluate"),
        project=_typed(ProjectSettings, _section(values, "project"), "project"),
        ablate=_typed(AblateSettings, _section(values, "ablate"), "ablate"),
        source_paper=_typed(SourcePaperSettings, _section(values, "source_paper"), "source_paper"),
        values=values,
    )


def parse_setting(text: str) -> tuple[str, Any]:
    """`key=value` of the command line; the value is read as YAML, so `[512, 512]`, `true`, `null` and 1e-3 mean it.

    Raises:
        InputError: if there is no `=` or the value is no YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InputError(f"--set takes key=value, for example pretrain.nu=2, but got {text!r}.")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"--set {key}: {value!r} is not a value YAML can read; put quotes around it.") from None
    return key, _number(parsed)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections -> dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _replace(values: dict[str, Any], key: str, value: Any) -> None:
    known = [name for name in flatten(values) if name != "profile"]
    if key not in known:
        raise InputError(_unknown(key, known))
    *sections, name = key.split(".")
    target = values
    for section in sections:
        target = target[section]
    target[name] = value


def _unknown(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
    return f"{key!r} is not a parameter; {hint}"


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = values.get(name)
    if not isinstance(section, Mapping):
        raise InputError(f"section {name!r} of params.yaml must hold named values, but holds {section!r}.")
    return section


def _typed(kind: type, values: Any, section: str) -> Any:
    """Builds a settings class from YAML values, each checked against the class's annotation."""
    if not isinstance(values, Mapping):
        raise InputError(f"section {section!r} of params.yaml must hold named values, but holds {values!r}.")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise InputError(_unknown(f"{section}.{key}", [f"{section}.{name.rstrip('_')}" for name in fields]))
    for name in fields:
        if name not in values:
            raise InputError(f"params.yaml must give {section}.{name.rstrip('_')}, but does not; restore it.")
    return kind(**{
        name: _coerce(f"{section}.{name.rstrip('_')}", values[name], str(field.type)) for name, field in fields.items()
    })  # fmt: skip


# Annotation of a settings field (as text) -> what to call it, and how to accept a YAML value for it.
_SCALARS = {"int": int, "float": float, "bool": bool, "str": str}


def _coerce(name: str, value: Any, annotation: str) -> Any:
    annotation = annotation.removeprefix("<class '").removesuffix("'>")
    if annotation.endswith(" | None"):
        return None if value is None else _coerce(name, value, annotation.removesuffix(" | None"))
    if annotation.startswith("tuple[") and annotation.split("[")[1].split(",")[0] in _SCALARS:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{name} must be a list, but got {value!r}.")
        return tuple(_coerce(f"every value in {name}", one, annotation[6:].split(",")[0]) for one in value)
    if annotation not in _SCALARS:
        return value  # a settings object that was built and checked before
    if annotation in ("int", "float"):
        value = _number(value)
    if annotation == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not _SCALARS[annotation]:
        wanted = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a word"}[annotation]
        raise InputError(f"{name} must be {wanted}, but got {value!r}.")
    return value


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as text; take such text for the number it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
