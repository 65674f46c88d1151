"""The interface of a method: networks, a loss, and what it logs.

The loop, the views, the optimiser, the probes and the collapse metrics know this interface alone. Whatever a method keeps
between steps (a teacher, a queue, prototypes) must be a parameter or a buffer. Checkpoints, resuming, moves to a device and
CUDA graphs then need no code of the method's own.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from vicreg.distributed.collectives import gather_with_gradient
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.resnet import ResNet
from vicreg.optim.rates import RateGroup


@dataclass(frozen=True, kw_only=True)
class Term:
    """How reports show a number that a method logs each epoch: the panel's title, its axis, and its unit."""

    title: str
    log_axis: bool = False
    unit: str = ""


# What a method may ask of training beyond `loss`: a class attribute that is true, and what the method then defines. Code for
# a trait is part of the identity of a run only where its method has the trait.
TRAITS = {
    "WANTS_LABELS": ("set_classes",),
    "OWN_RATES": ("parameter_groups",),
    "LOCAL_VIEWS": ("local_views", "local_size", "local_crop_scale"),
}
# How a loss is made of a batch whose rows lie in several processes. A run in one process depends on none of it.
# statistics  each process has its own rows, and the loss sums statistics over processes;
# embeddings  `embed` returns the rows of all processes, of which each computes the whole loss.
GATHERS = ("statistics", "embeddings")
# Names that are part of the code of a run over several processes alone.
OVER_PROCESSES = ("GATHERS", "GATHERS_WITH", "embed_over_processes")
# Class attributes that pages show and no result depends on.
DESCRIPTIONS = ("TITLE", "SOURCE", "FAMILY", "PROBED", "AUTHORS_VIEW_PASSES")
FAMILIES = ("non-contrastive", "contrastive", "clustering", "predictive", "generative", "control")


class Loss(NamedTuple):
    """What a method's loss returns to a step.

    `total` is the scalar to differentiate. `terms` are detached scalars by the names of the method's `TERMS`. `embeddings`
    (N, d_z) are those of the first view; a step logs their standard deviations.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    embeddings: Tensor


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """A method's own section of `params.yaml`; each method has a subclass.

    A field's name ends in `_` where Python reserves the word: `lambda_`. Its metadata may hold `symbol`, which labels show,
    and `network`: whether it shapes the features of the network before training, and so of its untrained control.
    A subclass raises InputError for a value that no run can have.
    """

    def effective(self, *, dimension: int) -> dict[str, float]:
        """Return the settings in the units of the loss, by name, for embeddings of width `dimension`.

        Empty where a setting's value is in these units already.
        """
        return {}

    def check_batch(self, batch_size: int) -> None:
        """Raise InputError where the method cannot train on batches of so many images."""


class Method(JointEmbedding):
    """A backbone, an expander and a loss; subclasses add what their paper adds.

    Args:
        backbone: maps images (N, C, H, W) to representations (N, d_y).
        expander: output sizes of the expander's linear layers.
        batchnorm: whether BatchNorm stands between these layers.
        settings: the method's own, of its class `Settings`.
        view_passes: how two views go through the network, one of `VIEW_PASSES`.
    """

    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    TERMS: ClassVar[Mapping[str, Term]] = {}  # what `loss` logs beside the total, by name
    VIEWS: ClassVar[int] = 2  # views of each image that `loss` takes
    WANTS_LABELS: ClassVar[bool] = False  # the views of a step end with the labels (N,), int64; see `set_classes`
    OWN_RATES: ClassVar[bool] = False  # some parameters have learning rates of their own; see `parameter_groups`
    LOCAL_VIEWS: ClassVar[bool] = False  # smaller views follow the `VIEWS` whole ones; see `local_views`
    GATHERS: ClassVar[str | None] = None  # of `GATHERS`; None where it cannot be trained by several processes
    GATHERS_WITH: ClassVar[Mapping[str, object]] = {}  # its own settings that must have these values for it

    TITLE: ClassVar[str] = ""  # its name on pages; that of its file where it is empty
    SOURCE: ClassVar[str] = ""  # the paper: "arXiv 2105.04906"
    FAMILY: ClassVar[str] = ""  # of `FAMILIES`
    # Which network is encoded for probes, and which embeddings are judged for collapse; a sentence.
    PROBED: ClassVar[str] = "Representations of the trained backbone are probed; its expander's output is judged."
    AUTHORS_VIEW_PASSES: ClassVar[str] = "separate"  # of `VIEW_PASSES`: what the method's authors do

    def __init__(
        self,
        *,
        backbone: ResNet,
        expander: Sequence[int],
        batchnorm: bool = True,
        settings: MethodSettings,
        view_passes: str = "separate",
    ) -> None:
        super().__init__(backbone=backbone, expander=expander, batchnorm=batchnorm)
        self.settings: Any = settings
        self.view_passes = view_passes
        self._embed_views = self.embed_views

    def embed(self, view: Tensor, view_prime: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings (N, d_z) of two views (N, C, H, W) of the same images."""
        if self.distributed:
            return self.embed_over_processes(view, view_prime)
        return self._embed_views(view, view_prime, passes=self.view_passes)

    def embed_over_processes(self, view: Tensor, view_prime: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embeddings of this process's images, or, where `GATHERS` is `embeddings`, of all processes'."""
        z, z_prime = self._embed_views(view, view_prime, passes=self.view_passes)
        if self.GATHERS == "embeddings":
            return gather_with_gradient(z), gather_with_gradient(z_prime)
        return z, z_prime

    def compile_networks(self) -> None:
        """Compile the networks' forward pass with `torch.compile`; the loss stays eager."""
        # Forget what an earlier run of this process compiled: it is for other shapes, and torch keeps a limited number of
        # variants, beyond which it takes the eager step without an error.
        torch._dynamo.reset()
        self._embed_views = torch.compile(self.embed_views, dynamic=False)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        """Return the loss of a batch.

        It may be called under autocast, and computes statistics of the batch in float32 at least. It must not copy a value
        from the device to the host (`item`, `if tensor`), so that a CUDA graph can hold the step.

        Args:
            views: `VIEWS` views of the same images, each (N, C, H, W), normalised.
            progress: the share of training done, a scalar tensor in [0, 1].
        """
        raise NotImplementedError

    def after_step(self, *, progress: Tensor) -> None:
        """Update what the method keeps between steps (a teacher, a queue), after the optimiser's step.

        `progress` is as in `loss`; momentum and temperature that change in training are functions of it.
        """

    def reset_state(self, generator: torch.Generator) -> None:
        """Draw or copy the initial state that the method adds, once every layer has its initial weights."""

    def set_classes(self, classes: int, generator: torch.Generator) -> None:
        """Add what depends on the number of classes, its weights drawn from `generator`; for methods with labels."""
        raise NotImplementedError

    def parameter_groups(self) -> list[RateGroup]:
        """Return the parameters that have learning rates of their own; all others have the run's."""
        raise NotImplementedError

    @property
    def local_views(self) -> int:
        """The number of smaller views of each image."""
        raise NotImplementedError

    @property
    def local_size(self) -> int:
        """Their side, pixels."""
        raise NotImplementedError

    @property
    def local_crop_scale(self) -> tuple[float, float]:
        """The shares of an image's area that they are cut from."""
        raise NotImplementedError

    def coefficients(self) -> dict[str, float]:
        """Return the weight of each term in the total, by its name in `TERMS`; terms without a fixed weight are left out."""
        return {}

    @property
    def target_std(self) -> float | None:
        """The standard deviation to which the loss drives each embedding dimension; None where it sets no scale.

        VICReg's is gamma whatever mu is: an arm without the variance term is judged by the scale that the others have.
        """
        return None


def describe_terms(method: type[Method]) -> dict[str, dict[str, Any]]:
    """Return a method's `TERMS` as JSON values, by name."""
    return {name: dataclasses.asdict(term) for name, term in method.TERMS.items()}
