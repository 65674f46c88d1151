"""The settings of one pretraining run, typed and checked.

The metadata of a field (`setting`) says which results depend on it, so there is no second list of field names.
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import torch

from vicreg.errors import InputError
from vicreg.methods import method_class
from vicreg.methods.base import MethodSettings
from vicreg.models.joint_embedding import VIEW_PASSES
from vicreg.models.resnet import ARCHITECTURES, STEMS, feature_dimension
from vicreg.optim.learning_rate import peak_learning_rate
from vicreg.views.settings import ViewSettings

OPTIMIZERS = ("lars", "sgd", "adamw")
PRECISIONS = ("float32", "bfloat16")
BATCHNORM_OVER = ("all", "process")  # whose rows BatchNorm takes statistics of, where several processes share a batch
NORMALISATIONS = ("data", "imagenet")  # channel statistics that normalise pixels: of the images trained on, or of ImageNet
TRAIN_ON = ("train", "all")  # the train split, or that and validation, where nothing is left to choose

_LARGEST = 2**20  # of widths and sides: a network is counted in 64-bit numbers before it is built


def setting(
    *,
    network: bool = False,
    start: bool = False,
    cost: bool = False,
    untrained: Any = dataclasses.MISSING,
    only_on: str = "",
    effect: bool = True,
    before: Any = dataclasses.MISSING,
    called: str = "",
    within: str = "",
) -> Any:
    """Declare a field of `PretrainSettings`.

    Args:
        network: whether it shapes the network. Runs that differ in it have different untrained controls, named by it.
        start: whether the initial network depends on it, and so an untrained control.
        cost: whether the time of a step depends on it. It does on whatever shapes the network.
        untrained: its value in the untrained control of a run, where that is not the run's own.
        only_on: the one kind of device, `cpu` or `cuda`, on which a result depends on it; empty for both.
        effect: whether any result depends on it.
        before: for a field added later, the value that all earlier runs had. At this value it is no part of an identity.
        called: for a switch of the network, its name in the names of controls.
        within: the property of settings that must be true for any result to depend on it; empty where none must.
    """
    metadata = {
        "network": network, "start": start or network, "cost": cost or network, "only_on": only_on, "effect": effect,
        "called": called, "within": within,
    }  # fmt: skip
    given = {"untrained": untrained, "before": before}
    return dataclasses.field(metadata=metadata | {key: one for key, one in given.items() if one is not dataclasses.MISSING})


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """The settings of one run: the section `pretrain` of `params.yaml`, which explains each, with presets filled in.

    `method_settings` come from the section with the method's name.

    Raises:
        InputError: for a value that no run can have.
    """

    seed: int = setting(start=True)
    method: str = setting(start=True, cost=True)
    method_settings: MethodSettings
    backbone: str = setting(network=True)
    stem: str = setting(network=True)
    width: int = setting(network=True)
    zero_init_residual: bool = setting(network=True, called="zero-init")
    weights: str | None = setting(start=True, untrained=None)
    normalisation: str = setting(network=True)
    expander: tuple[int, ...] = setting(network=True)
    expander_batchnorm: bool = setting(network=True, called="batchnorm")
    image_size: int | None = setting(network=True)
    epochs: int = setting(start=True, untrained=0)
    stop_after: int | None = setting(untrained=None)
    probe_every: int | None
    batch_size: int = setting(cost=True)
    drop_last: bool
    optimizer: str = setting(cost=True)
    base_lr: float
    lr_batch_size: int | None
    start_lr: float
    end_lr: float
    warmup_epochs: float = setting(untrained=0)
    weight_decay: float
    momentum: float
    lars_eta: float
    decay_bias_and_norm: bool
    adapt_bias_and_norm: bool
    precision: str = setting(network=True)
    view_passes: str = setting(cost=True)
    compile: bool = setting(cost=True)
    graph: bool = setting(cost=True, only_on="cuda")
    threads: int = setting(start=True, cost=True, only_on="cpu")
    checkpoint_every: int = setting(effect=False)
    checkpoint_share: float = setting(effect=False, before=1)
    lars_clip: bool = setting(before=False)
    nesterov: bool = setting(before=False)
    processes: int = setting(cost=True, within="distributed")
    batchnorm_over: str = setting(within="distributed")
    train_on: str = setting(network=True, before="train")  # by the channel statistics, as `normalisation` does
    views: tuple[ViewSettings, ViewSettings]

    def __post_init__(self) -> None:
        wanted = method_class(self.method).Settings
        if not isinstance(self.method_settings, wanted):
            raise TypeError(f"method {self.method} takes {wanted.__name__}, not {type(self.method_settings).__name__}")
        _one_of("pretrain.backbone", self.backbone, tuple(ARCHITECTURES))
        _one_of("pretrain.stem", self.stem, STEMS)
        _one_of("pretrain.optimizer", self.optimizer, OPTIMIZERS)
        _one_of("pretrain.precision", self.precision, PRECISIONS)
        _one_of("pretrain.view_passes", self.view_passes, VIEW_PASSES)
        _one_of("pretrain.normalisation", self.normalisation, NORMALISATIONS)
        _one_of("pretrain.batchnorm_over", self.batchnorm_over, BATCHNORM_OVER)
        _one_of("pretrain.train_on", self.train_on, TRAIN_ON)
        for name in ("width", "threads", "checkpoint_every", "processes"):
            _at_least(f"pretrain.{name}", getattr(self, name), 1)
        for size in self.expander:
            _at_least("every size in pretrain.expander", size, 1)
        for name, size in (
            ("width", self.width),
            ("image_size", self.image_size or 0),
            ("expander", max(self.expander, default=0)),
        ):
            if size > _LARGEST:
                raise InputError(f"pretrain.{name} must be at most {_LARGEST}, but got {size}; no machine holds more.")
        for name in ("seed", "epochs", "start_lr", "end_lr", "base_lr", "weight_decay"):
            _at_least(f"pretrain.{name}", getattr(self, name), 0)
        for name in ("momentum", "warmup_epochs", "lars_eta"):
            _at_least(f"pretrain.{name}", getattr(self, name), 0)
        for name in ("start_lr", "end_lr", "base_lr", "weight_decay", "lars_eta"):
            _float32(f"pretrain.{name}", getattr(self, name))
        if self.batch_size < 2:
            raise InputError(f"pretrain.batch_size must be at least 2 to estimate a variance, but got {self.batch_size}.")
        if self.lr_batch_size is not None:
            _at_least("pretrain.lr_batch_size", self.lr_batch_size, 1)
        peak = peak_learning_rate(base_lr=self.base_lr, batch_size=self.lr_batch_size or self.batch_size)
        _float32("pretrain.base_lr times the batch size / 256", peak)
        if self.image_size is not None:
            _at_least("pretrain.image_size", self.image_size, 2)
        if self.probe_every is not None:
            _at_least("pretrain.probe_every", self.probe_every, 1)
        if self.stop_after is not None and self.epochs == 0:
            raise InputError(
                f"pretrain.stop_after must be null where pretrain.epochs is 0, but got {self.stop_after}; set it so."
            )
        if self.stop_after is not None and not 1 <= self.stop_after <= self.epochs:
            raise InputError(
                f"pretrain.stop_after must be between 1 and pretrain.epochs, {self.epochs}, but got {self.stop_after}; "
                "null trains to the schedule's end."
            )
        if not 0 < self.checkpoint_share <= 1:
            raise InputError(
                f"pretrain.checkpoint_share must be above 0 and at most 1, but got {self.checkpoint_share}; "
                "0.02 is 2 % of a run's time."
            )
        if self.nesterov and self.momentum == 0:
            raise InputError(
                "pretrain.nesterov needs a momentum above 0, but pretrain.momentum is 0; set nesterov to false."
            )
        if not self.momentum < 1:
            raise InputError(f"pretrain.momentum must be below 1, but got {self.momentum}.")
        if self.epochs > 0 and self.warmup_epochs >= self.epochs:
            raise InputError(
                f"pretrain.warmup_epochs must be below pretrain.epochs, but got {self.warmup_epochs} and {self.epochs}; "
                "set both."
            )
        if self.distributed:
            _check_processes(self)

    @property
    def distributed(self) -> bool:
        """Whether several processes train it, each on its part of every batch. An untrained network needs one alone."""
        return self.processes > 1 and self.epochs > 0

    @property
    def trains_on_all(self) -> bool:
        """Whether it is trained on validation too; what is reported on test is then fitted on both as well."""
        return self.train_on == "all"

    @property
    def embedding_dimension(self) -> int:
        """The width d of the embeddings: the expander's, or the backbone's where there is no expander."""
        return self.expander[-1] if self.expander else feature_dimension(self.backbone, width=self.width)

    @property
    def effective(self) -> dict[str, float]:
        """The method's own settings in the units of its loss, by name; empty where they are in these already."""
        return self.method_settings.effective(dimension=self.embedding_dimension)

    @property
    def trained_epochs(self) -> int:
        """The number of epochs that are trained: all of the schedule, or its first `stop_after`."""
        return self.epochs if self.stop_after is None else self.stop_after


_FIELDS = {field.name: field.metadata for field in dataclasses.fields(PretrainSettings)}
NETWORK_FIELDS = tuple(name for name, says in _FIELDS.items() if says.get("network"))
COST_FIELDS = tuple(name for name, says in _FIELDS.items() if says.get("cost"))
NETWORK_SWITCHES = {name: says["called"] for name, says in _FIELDS.items() if says.get("called")}
# Switches added later: off, neither they nor the code that only they reach are part of an identity.
# `distributed` is the switch that `processes` turns on.
LATER_SWITCHES = (*(name for name, says in _FIELDS.items() if says.get("before") is False), "distributed")
# Switches that only some optimisers have: with another they decide nothing, and are off.
_OF_OPTIMIZERS = {"lars_clip": ("lars",), "nesterov": ("lars", "sgd")}
# The settings that turn a run into its untrained control, the same network with its initial weights.
UNTRAINED = {name: says["untrained"] for name, says in _FIELDS.items() if "untrained" in says}


def switches_on(settings: PretrainSettings) -> frozenset[str]:
    """Return those of `LATER_SWITCHES` that are on, but for those that the optimiser does not have."""
    idle = {name for name, having in _OF_OPTIMIZERS.items() if settings.optimizer not in having}
    return frozenset(name for name in LATER_SWITCHES if getattr(settings, name)) - idle


def decisive_settings(settings: PretrainSettings, *, device: str) -> dict[str, Any]:
    """Return the settings that the result of a run depends on, by name, the method's own too.

    Of an untrained network these are the settings of its start alone. All arms that share them share one control.

    Args:
        settings: of the run.
        device: the kind of device, `cpu` or `cuda`.
    """
    values = dataclasses.asdict(settings)
    own = values.pop("method_settings")
    values |= {name: name in switches_on(settings) for name in _OF_OPTIMIZERS}
    for fields in (dataclasses.fields(settings), dataclasses.fields(settings.method_settings)):
        for field in fields:
            if "before" in field.metadata and (values | own)[field.name] == field.metadata["before"]:
                (values if field.name in values else own).pop(field.name)
    kept = {
        name: value for name, value in values.items()
        if _FIELDS[name].get("effect", True) and _FIELDS[name].get("only_on", "") in ("", device)
        and (settings.epochs > 0 or _FIELDS[name].get("start"))
        and (not _FIELDS[name].get("within") or getattr(settings, _FIELDS[name]["within"]))
    }  # fmt: skip
    return kept | (own if settings.epochs > 0 else own_network_settings(settings.method_settings))


def own_network_settings(settings: MethodSettings) -> dict[str, Any]:
    """Return a method's settings that shape its features before training, by name: those whose metadata says `network`."""
    fields = [field.name for field in dataclasses.fields(settings) if field.metadata.get("network")]
    return {name: getattr(settings, name) for name in fields}


def _check_processes(settings: PretrainSettings) -> None:
    """Refuse what several processes cannot train."""
    count, method = settings.processes, method_class(settings.method)
    if method.GATHERS is None:
        raise InputError(
            f"pretrain.processes must be 1 for method {settings.method}, whose loss has no form over processes, "
            f"but got {count}; set it so."
        )
    for name, wanted in method.GATHERS_WITH.items():
        if (value := getattr(settings.method_settings, name)) != wanted:
            raise InputError(
                f"pretrain.{name} must be {json.dumps(wanted)} where pretrain.processes is above 1, but they are "
                f"{json.dumps(value)} and {count}; set one so."
            )
    if settings.batch_size % count or settings.batch_size < 2 * count:
        raise InputError(
            f"pretrain.batch_size must be a multiple of pretrain.processes, and at least twice it, but they are "
            f"{settings.batch_size} and {count}; set one so."
        )
    if settings.compile:
        raise InputError(
            f"pretrain.compile must be false where pretrain.processes is above 1, but that is {count}; set it so."
        )


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}, but got {value!r}.")


def _at_least(name: str, value: float, bound: float) -> None:
    if not value >= bound or value == float("inf"):
        raise InputError(f"{name} must be a finite number of at least {bound}, but got {value}.")


def _float32(name: str, value: float) -> None:
    """Refuse a number that steps, which are taken in float32, cannot hold."""
    if value > torch.finfo(torch.float32).max:
        raise InputError(f"{name} must be at most 3.4e38, float32's largest, but got {value:g}; lower it.")
