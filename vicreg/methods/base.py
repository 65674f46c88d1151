"""The interface of a method: networks, a loss of views, and what it logs.

A method is one file in this folder. The loop, the views, the optimiser, the probes and the collapse metrics know this interface
alone. Whatever a method remembers between steps (a teacher, a queue, prototypes) is a parameter or a buffer: checkpoints,
resuming, moves to a device and graph capture then need nothing of their own.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.resnet import ResNet


@dataclass(frozen=True, kw_only=True)
class Term:
    """How a number that a method logs each epoch is shown: the panel's title, a logarithmic axis or not, and its unit."""

    title: str
    log_axis: bool = False
    unit: str = ""


class Loss(NamedTuple):
    """What a step needs of a method.

    `total` is the scalar to differentiate. `terms` are detached scalars by the names of the method's `TERMS`. `embeddings` (N, d_z)
    are those of the first view, whose standard deviations are logged.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    embeddings: Tensor


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """A method's own section of `params.yaml`; each method has a subclass. Field names end in `_` where Python reserves them.

    A subclass raises InputError for a value that no run can have. A field's metadata may hold `symbol`, as labels write it.
    """

    def effective(self, *, dimension: int) -> dict[str, float]:
        """Return the settings in the units of the loss, by name, for embeddings of width `dimension`; empty where they are the
        same."""
        return {}


class Method(JointEmbedding):
    """A backbone, an expander and a loss; subclasses add what their paper adds.

    Args:
        backbone: images (N, C, H, W) -> representations (N, d_y).
        expander: output sizes of its linear layers.
        batchnorm: whether BatchNorm stands between them.
        settings: the method's own.
        view_passes: how two views go through the network, one of `VIEW_PASSES`.
    """

    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    TERMS: ClassVar[Mapping[str, Term]] = {}  # what `loss` logs beside the total
    VIEWS: ClassVar[int] = 2  # how many views of an image `loss` takes

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
        return self._embed_views(view, view_prime, passes=self.view_passes)

    def compile_networks(self) -> None:
        """Compile the networks' part of the step with `torch.compile`; the loss stays as it is."""
        # What an earlier run of this process compiled must neither be used for other shapes nor use up the number of variants
        # torch keeps, beyond which it falls back to the eager step without an error.
        torch._dynamo.reset()
        self._embed_views = torch.compile(self.embed_views, dynamic=False)

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        """Return the loss of `VIEWS` views of a batch, each (N, C, H, W).

        It may be called under autocast: statistics of the batch are computed in float32 at least. No value on the device may be
        read by the host, so that a CUDA graph can hold the step. `progress` is a scalar tensor in [0, 1], the share of training done.
        """
        raise NotImplementedError

    def after_step(self, *, progress: Tensor) -> None:
        """Update what the method remembers, after the optimiser's step: a teacher, a queue."""

    def reset_state(self, generator: torch.Generator) -> None:
        """Draw what the method adds to the network, or copy it, once every layer has its first weights."""

    def coefficients(self) -> dict[str, float]:
        """Return the weight of each term in the total, by its name in `TERMS`; terms that no fixed weight multiplies are left out."""
        return {}

    @property
    def target_std(self) -> float | None:
        """The standard deviation that the loss drives each embedding dimension to; None where it leaves their scale free."""
        return None


def describe_terms(method: type[Method]) -> dict[str, dict[str, Any]]:
    """Return the terms of a method as JSON values, by name."""
    return {name: dataclasses.asdict(term) for name, term in method.TERMS.items()}
