"""Everything that decides the result of one pretraining run, named, typed and checked."""

import dataclasses
from dataclasses import dataclass

from vicreg.errors import InputError
from vicreg.methods.vicreg import CONVENTIONS, Coefficients, effective_coefficients
from vicreg.models.joint_embedding import VIEW_PASSES
from vicreg.models.resnet import ARCHITECTURES, STEMS, feature_dimension
from vicreg.views.settings import ViewSettings

OPTIMIZERS = ("lars", "sgd", "adamw")
PRECISIONS = ("float32", "bfloat16")
NORMALISATIONS = ("data", "imagenet")  # what pixels are normalised by: the train split's own statistics, or ImageNet's


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """The settings of one run, `params.yaml`'s section `pretrain` with the presets filled in; see there for each.

    Raises:
        InputError: for a value that no run can have.
    """

    seed: int
    backbone: str
    stem: str
    width: int
    zero_init_residual: bool
    weights: str | None
    normalisation: str
    expander: tuple[int, ...]
    expander_batchnorm: bool
    image_size: int | None
    convention: str
    lambda_: float
    mu: float
    nu: float
    gamma: float
    epsilon: float
    epochs: int
    stop_after: int | None
    probe_every: int | None
    batch_size: int
    drop_last: bool
    optimizer: str
    base_lr: float
    lr_batch_size: int | None
    start_lr: float
    end_lr: float
    warmup_epochs: float
    weight_decay: float
    momentum: float
    lars_eta: float
    decay_bias_and_norm: bool
    adapt_bias_and_norm: bool
    precision: str
    view_passes: str
    compile: bool
    graph: bool
    threads: int
    checkpoint_every: int
    views: tuple[ViewSettings, ViewSettings]

    def __post_init__(self) -> None:
        _one_of("pretrain.backbone", self.backbone, tuple(ARCHITECTURES))
        _one_of("pretrain.stem", self.stem, STEMS)
        _one_of("pretrain.convention", self.convention, CONVENTIONS)
        _one_of("pretrain.optimizer", self.optimizer, OPTIMIZERS)
        _one_of("pretrain.precision", self.precision, PRECISIONS)
        _one_of("pretrain.view_passes", self.view_passes, VIEW_PASSES)
        _one_of("pretrain.normalisation", self.normalisation, NORMALISATIONS)
        for name in ("width", "threads", "checkpoint_every"):
            _at_least(f"pretrain.{name}", getattr(self, name), 1)
        for size in self.expander:
            _at_least("every size in pretrain.expander", size, 1)
        for name in ("seed", "epochs", "lambda_", "mu", "nu", "start_lr", "end_lr", "base_lr", "weight_decay"):
            _at_least(f"pretrain.{name.rstrip('_')}", getattr(self, name), 0)
        for name in ("momentum", "warmup_epochs", "lars_eta"):
            _at_least(f"pretrain.{name}", getattr(self, name), 0)
        if self.batch_size < 2:
            raise InputError(f"pretrain.batch_size must be at least 2 to estimate a variance, but got {self.batch_size}.")
        if self.lr_batch_size is not None:
            _at_least("pretrain.lr_batch_size", self.lr_batch_size, 1)
        if self.image_size is not None:
            _at_least("pretrain.image_size", self.image_size, 2)
        if self.probe_every is not None:
            _at_least("pretrain.probe_every", self.probe_every, 1)
        if self.stop_after is not None and not 1 <= self.stop_after <= self.epochs:
            raise InputError(
                f"pretrain.stop_after must be between 1 and pretrain.epochs, {self.epochs}, but got {self.stop_after}; "
                "null trains to the schedule's end."
            )
        if not self.momentum < 1:
            raise InputError(f"pretrain.momentum must be below 1, but got {self.momentum}.")
        if not (0 < self.gamma < float("inf") and 0 < self.epsilon < float("inf")):
            raise InputError(f"pretrain.gamma and pretrain.epsilon must be positive, but got {self.gamma}, {self.epsilon}.")
        if self.epochs > 0 and self.warmup_epochs >= self.epochs:
            raise InputError(
                f"pretrain.warmup_epochs must be below pretrain.epochs, but got {self.warmup_epochs} and {self.epochs}; "
                "set both."
            )
        if self.epochs > 0 and self.lambda_ == self.mu == self.nu == 0:
            raise InputError("one of pretrain.lambda, mu and nu must be positive, but all are 0: nothing would be trained.")

    @property
    def embedding_dimension(self) -> int:
        """d of the embeddings: the expander's, or the backbone's where there is none."""
        return self.expander[-1] if self.expander else feature_dimension(self.backbone, width=self.width)

    @property
    def coefficients(self) -> Coefficients:
        """lambda, mu and nu in the official code's units, which is what is trained with."""
        return effective_coefficients(
            convention=self.convention, lambda_=self.lambda_, mu=self.mu, nu=self.nu, dimension=self.embedding_dimension
        )

    def untrained(self) -> "PretrainSettings":
        """The random-initialisation control of this run: the same network and seed, no weights of others, no training."""
        return dataclasses.replace(self, epochs=0, stop_after=None, weights=None)

    @property
    def trained_epochs(self) -> int:
        """The epochs that are trained: the schedule's, or its first `stop_after`."""
        return self.epochs if self.stop_after is None else self.stop_after


# What an untrained network depends on; all else is left out of its identity, so that arms which differ only in how they
# train share one control.
UNTRAINED_FIELDS = (
    "seed", "backbone", "stem", "width", "zero_init_residual", "weights", "normalisation", "expander", "expander_batchnorm",
    "image_size", "precision", "threads", "epochs",
)  # fmt: skip


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}, but got {value!r}.")


def _at_least(name: str, value: float, bound: float) -> None:
    if not value >= bound or value == float("inf"):
        raise InputError(f"{name} must be a finite number of at least {bound}, but got {value}.")
