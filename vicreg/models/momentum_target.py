"""A target network that follows the online one as an exponential moving average."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vicreg.distributed.collectives import gather_rows, gather_with_gradient
from vicreg.errors import InputError
from vicreg.models.joint_embedding import JointEmbedding
from vicreg.models.live_taps import shared_live_taps
from vicreg.models.view_batchnorm import counted_at_once, normalised_per_view

SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class EMASchedule:
    """The momentum tau of an exponential moving average, as a function of the share p of training done.

    `constant`: tau = start. `cosine`: tau = end - (end - start) (1 + cos(pi p)) / 2, which with an end of 1 is BYOL's
    tau = 1 - (1 - start) (1 + cos(pi p)) / 2 (arXiv 2006.07733, Section 3.3).

    Raises InputError for another kind, for a start outside [0, 1], and where it rises for an end below the start or above 1.
    """

    start: float
    end: float = 1.0
    kind: str

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            raise InputError(
                f"pretrain.ema_schedule must be one of {', '.join(SCHEDULES)}, but got {self.kind!r}; choose one."
            )
        if not 0 <= self.start <= 1:
            raise InputError(
                f"pretrain.ema_start must lie in [0, 1], but got {self.start}; published values lie between 0.97 and 0.9995."
            )
        if self.kind != "constant" and not self.start <= self.end <= 1:
            raise InputError(
                f"pretrain.ema_end must lie between pretrain.ema_start, {self.start}, and 1, but got {self.end}; "
                "raise it, or lower the start."
            )

    def momentum(self, progress: Tensor) -> Tensor:
        """Return tau at a share of training, a scalar in [0, 1], as a float64 scalar on its device."""
        # In float32 a tau of 1 - 1e-6 would be off by up to 6 % in 1 - tau.
        progress = progress.double()
        if self.kind == "constant":
            return torch.full_like(progress, self.start)
        return self.end - (self.end - self.start) * (1 + torch.cos(math.pi * progress)) / 2


class MomentumTarget(JointEmbedding):
    """A copy of an online network's backbone and expander, which follows it: t <- tau t + (1 - tau) theta.

    It has no gradient. Its BatchNorm layers have statistics of their own, from the target's own passes in training mode, and
    `follow` leaves them alone. So it is in the code of BYOL (arXiv 2006.07733) and MoCo (arXiv 1911.05722).

    Register it after the backbone, the expander and any predictor. `initialise` draws weights in order of registration, so
    the online network's are the same as without a target. The target's own are overwritten by `copy_from`.

    Args:
        online: a network whose backbone and expander are complete.
    """

    def __init__(self, online: JointEmbedding) -> None:
        super().__init__(backbone=copy.deepcopy(online.backbone), expander=())
        self.expander = copy.deepcopy(online.expander)
        self.embedding_dimension = online.embedding_dimension
        self._embed_views = self.embed_views
        self.requires_grad_(False)

    @torch.no_grad()
    def embed(self, view: Tensor, view_prime: Tensor, *, passes: str) -> tuple[Tensor, Tensor]:
        """Return the target's embeddings (N, d_z) of two views (N, C, H, W); `passes` is of `VIEW_PASSES`."""
        if self.distributed:
            embeddings = self._embed_views(view, view_prime, passes=passes)
            return gather_rows(embeddings[0]), gather_rows(embeddings[1])
        return self._embed_views(view, view_prime, passes=passes)

    def compile_networks(self) -> None:
        """Compile the forward pass with `torch.compile`, after the online network's own `compile_networks`."""
        self._embed_views = torch.compile(self.embed_views, dynamic=False)

    @torch.no_grad()
    def copy_from(self, online: JointEmbedding) -> None:
        """Take the online network's weights and statistics as they are."""
        self.backbone.load_state_dict(online.backbone.state_dict())
        self.expander.load_state_dict(online.expander.state_dict())

    @torch.no_grad()
    def follow(self, online: JointEmbedding, *, momentum: Tensor) -> None:
        """Move every parameter to momentum * its own value + (1 - momentum) * the online one; buffers stay.

        `momentum` is a scalar tensor, so the host reads no value. It runs over all tensors at once.
        """
        own: list[Tensor] = list(self.parameters())
        theirs: list[Tensor] = [*online.backbone.parameters(), *online.expander.parameters()]
        # Rounded after the subtraction, so that a small 1 - momentum keeps its digits. In the parameters' own type a GPU
        # takes all tensors in one launch.
        kept, taken = momentum.to(own[0].dtype), (1 - momentum).to(own[0].dtype)
        torch._foreach_mul_(own, kept)
        torch._foreach_add_(own, list(torch._foreach_mul(theirs, taken)))


def embed_each(network: JointEmbedding, views: Sequence[Tensor], *, splits: int = 1) -> list[Tensor]:
    """Return the embeddings (N, d_z) of each view (N, C, H, W), in a pass of its own.

    In training BatchNorm normalises `splits` parts of a view separately, as if each were on a device of its own.
    Where the network is trained by several processes, the embeddings are of the rows of all.
    """
    if network.distributed:
        with counted_at_once(network), shared_live_taps(network):
            return [gather_with_gradient(network(view)[1]) for view in views]
    with counted_at_once(network), shared_live_taps(network), normalised_per_view(network, views=splits):
        return [network(view)[1] for view in views]
