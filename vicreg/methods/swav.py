"""SwAV (arXiv 2006.09882): predict a view's cluster codes from the other view.

Unit embeddings u (n, d) are compared with K unit prototypes C (K, d). Sinkhorn's iterations turn the scores u C^T of a view
into codes, soft assignments that use all prototypes equally. Each view's softmax then predicts the codes of the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings, Term
from vicreg.methods.batch_statistics import at_least_float32, full_precision
from vicreg.methods.clustering import one_hot, push, similarities, used_count
from vicreg.methods.contrastive import unit_rows
from vicreg.models.joint_embedding import Encoded
from vicreg.models.live_taps import shared_live_taps
from vicreg.models.view_batchnorm import counted_at_once, normalised_per_view


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, iterations: int, counted: Tensor | None = None) -> Tensor:
    """Return codes Q (n, K) of scores (n, K), without gradient: each row sums to 1.

    Q = exp(scores / epsilon); then, `iterations` times, columns are divided by their sums and rows by theirs. Columns thus
    approach the sum n / K. These are the authors' iterations (their Q is the transpose); constants that a following division
    removes are left out. Logarithms of Q are kept, so no epsilon overflows. Without iterations, codes are one-hot at the
    largest score: the control without equal use of prototypes, whose best solution is a collapse.

    Args:
        scores: of one view; float32 at least is used whatever autocast says.
        epsilon: above 0; the smaller, the nearer codes are to one-hot.
        iterations: the authors take 3.
        counted: rows (n,), bool, whose use of prototypes counts in the sums of columns; None for all.

    Source: arXiv 2006.09882, Section 3.1 and Appendix A.
    """
    scores = at_least_float32(scores)
    if iterations == 0:
        return one_hot(scores.argmax(dim=1), scores)
    with full_precision(scores):
        log_q = scores / epsilon
        for _ in range(iterations):
            used = log_q if counted is None else log_q.masked_fill(~counted[:, None], -math.inf)
            log_q = log_q - torch.logsumexp(used, dim=0, keepdim=True)
            log_q = log_q - torch.logsumexp(log_q, dim=1, keepdim=True)
        return log_q.exp()


class SwAVTerms(NamedTuple):
    """The loss and the two parts of it, in nats, each a scalar tensor: total = divergence + code_entropy."""

    total: Tensor
    divergence: Tensor
    code_entropy: Tensor


def swav_loss(
    scores: Sequence[Tensor],
    *,
    temperature: float,
    epsilon: float,
    iterations: int,
    queued: Sequence[Tensor] | None = None,
    queue_counts: Tensor | None = None,
) -> SwAVTerms:
    """Return the SwAV loss of the scores (n, K) of two global views and any number of local ones, with its parts.

    total = 1/2 sum_{i in {1, 2}} 1/(V - 1) sum_{v != i} -1/n sum_samples q_i . log softmax(s_v / temperature)

    q_i = sinkhorn(s_i) are the codes of a global view, each by itself and without gradient; local views give none.

    Args:
        scores: of V >= 2 views, the two global ones first.
        temperature, epsilon, iterations: of the softmax, and as `sinkhorn` takes them.
        queued: scores (L, K) of earlier embeddings of either global view. They stand beside the batch in Sinkhorn.
        queue_counts: a scalar tensor, bool: whether these count. None: they do.

    Raises:
        InputError: for fewer than two views, and for scores of different shapes.

    Source: arXiv 2006.09882, Eqs. 2, 3 and 6.
    """
    if len(scores) < 2 or any(one.shape != scores[0].shape or one.ndim != 2 for one in scores):
        raise InputError(
            f"SwAV takes scores of one shape (n, K) of at least two views, but got {[tuple(one.shape) for one in scores]}; "
            "give those of two global views first."
        )
    with full_precision(scores[0]):
        log_predictions = [functional.log_softmax(at_least_float32(one) / temperature, dim=1) for one in scores]
        total, entropy = scores[0].new_zeros((), dtype=log_predictions[0].dtype), 0.0
        for i in (0, 1):
            beside = None if queued is None else queued[i]
            codes = _codes(scores[i], beside, queue_counts, epsilon=epsilon, iterations=iterations)
            others = torch.stack([one for v, one in enumerate(log_predictions) if v != i]).mean(dim=0)
            total = total - (codes * others).sum(dim=1).mean() / 2
            entropy = entropy + torch.special.entr(codes).sum(dim=1).mean() / 2
    return SwAVTerms(total, total.detach() - entropy, entropy)  # type: ignore[arg-type]  # a tensor after the loop


@torch.no_grad()
def _codes(scores: Tensor, beside: Tensor | None, counts: Tensor | None, *, epsilon: float, iterations: int) -> Tensor:
    """Return the codes (n, K) of scores (n, K), to which those of the queue (L, K) are added for Sinkhorn."""
    if beside is None:
        return sinkhorn(scores, epsilon=epsilon, iterations=iterations)
    counted = None
    if counts is not None:
        batch = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
        counted = torch.cat((batch, counts.expand(len(beside))))
    return sinkhorn(torch.cat((scores, beside)), epsilon=epsilon, iterations=iterations, counted=counted)[: len(scores)]


@dataclass(frozen=True, kw_only=True)
class SwAVSettings(MethodSettings):
    """`params.yaml`'s section `pretrain.swav`, which explains each. Raises InputError for a value that no run can have."""

    prototypes: int
    temperature: float = field(metadata={"symbol": "τ"})
    sinkhorn_epsilon: float
    sinkhorn_iterations: int
    queue_length: int
    queue_start: float
    freeze: float
    local_views: int
    local_size: int
    local_crop_scale: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, bound in (("prototypes", 2), ("sinkhorn_iterations", 0), ("queue_length", 0), ("local_views", 0)):
            if getattr(self, name) < bound:
                raise InputError(f"pretrain.{name} must be at least {bound}, but got {getattr(self, name)}; raise it.")
        for name in ("temperature", "sinkhorn_epsilon"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(
                    f"pretrain.{name} must be positive and finite, but got {getattr(self, name)}; the paper's is "
                    f"{0.1 if name == 'temperature' else 0.05}."
                )
        for name in ("queue_start", "freeze"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"pretrain.{name} is a share of training, from 0 to below 1, but got {getattr(self, name)}; lower it."
                )
        if self.local_size < 2:
            raise InputError(f"pretrain.local_size must be at least 2 pixels, but got {self.local_size}; raise it.")
        scale = self.local_crop_scale
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise InputError(
                f"pretrain.local_crop_scale must be [low, high] with 0 < low <= high <= 1, but got {list(scale)}; "
                "the paper's is [0.05, 0.14]."
            )


class SwAV(Method):
    """SwAV as a method: prototypes, frozen at first, an optional queue of embeddings, and optional local views.

    Prototypes are unit rows at all times. The authors divide them by their norms before each step's scores; here it is done
    once at the start and then after each step of the optimiser. The scores are the same, and whoever reads the network
    between steps (a checkpoint, a later evaluation) finds the prototypes that its scores are of.

    Freezing is decided on the device, for a CUDA graph holds one step for the whole run. Without a gradient an optimiser
    still moves a weight, by weight decay or by LARS, which gives the decay the length of a step. So the gradient is gated,
    and after a frozen step the initial prototypes are copied back. What such steps leave in the optimiser is harmless. With
    a gradient of 0 the momentum of LARS and SGD is a multiple of the frozen prototypes: it pushes along each row, and rows
    are divided by their norms. AdamW's moments stay 0, for its decay is not in them. Only its count of steps goes on, so its
    first free step is (1 - 0.9) / sqrt(1 - 0.999), 3 times, as long as that of a new AdamW.
    """

    Settings = SwAVSettings
    TERMS = {
        "divergence": Term(title="Divergence of predictions from codes", log_axis=True, unit="nats"),
        "code_entropy": Term(title="Entropy of a code", unit="nats"),
        "used_prototypes": Term(title="Prototypes in use by a batch"),
    }
    LOCAL_VIEWS = True
    TITLE = "SwAV"
    SOURCE = "arXiv 2006.09882"
    FAMILY = "clustering"
    GATHERS = "embeddings"
    GATHERS_WITH = {"local_views": 0}
    PROBED = "The one network is encoded; its L2-normalised expander output is judged, not the scores of prototypes."
    AUTHORS_VIEW_PASSES = "joint"

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings: SwAVSettings = self.settings
        d = self.embedding_dimension
        self.prototypes = nn.Linear(d, settings.prototypes, bias=False)
        self.register_buffer("initial_prototypes", torch.zeros(settings.prototypes if settings.freeze > 0 else 0, d))
        self.register_buffer("queue", torch.zeros(2, settings.queue_length, d))  # a ring for each global view
        self.register_buffer("queued", torch.zeros(2, dtype=torch.int64))  # rows that each has been given

    def reset_state(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.prototypes.weight.copy_(unit_rows(self.prototypes.weight))
            self.get_buffer("initial_prototypes").copy_(self.prototypes.weight[: len(self.get_buffer("initial_prototypes"))])
        self.get_buffer("queue").zero_()
        self.get_buffer("queued").zero_()

    def encode(self, images: Tensor) -> Encoded:
        """Return representations, and embeddings on the unit sphere, where the loss sees them."""
        encoded = super().encode(images)
        return Encoded(encoded.representations, unit_rows(encoded.embeddings))

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: SwAVSettings = self.settings
        units = [unit_rows(z) for z in (*self.embed(*views[:2]), *self._embed_local(views[2:]))]  # (n, d) each
        prototypes = self.prototypes.weight  # (K, d)
        if settings.freeze > 0:
            prototypes = torch.where(progress < settings.freeze, prototypes.detach(), prototypes)
        scores = [similarities(u, prototypes) for u in units]  # (n, K) each
        terms = swav_loss(
            scores, temperature=settings.temperature, epsilon=settings.sinkhorn_epsilon,
            iterations=settings.sinkhorn_iterations, **self._queued_scores(prototypes),
        )  # fmt: skip
        if settings.queue_length > 0 and self.training:
            self._push(units[:2], progress)
        nearest = one_hot(scores[0].detach().argmax(dim=1), scores[0].detach())
        found = {"divergence": terms.divergence, "code_entropy": terms.code_entropy, "used_prototypes": used_count(nearest)}
        return Loss(total=terms.total, terms=found, embeddings=units[0])

    @torch.no_grad()
    def after_step(self, *, progress: Tensor) -> None:
        settings: SwAVSettings = self.settings
        weight = self.prototypes.weight
        kept = unit_rows(weight)
        if settings.freeze > 0:
            kept = torch.where(progress < settings.freeze, self.get_buffer("initial_prototypes"), kept)
        weight.copy_(kept)

    def coefficients(self) -> dict[str, float]:
        return {"divergence": 1.0, "code_entropy": 1.0}

    @property
    def local_views(self) -> int:
        return self.settings.local_views

    @property
    def local_size(self) -> int:
        return self.settings.local_size

    @property
    def local_crop_scale(self) -> tuple[float, float]:
        low, high = self.settings.local_crop_scale
        return low, high

    def _embed_local(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Return the embeddings (n, d) of local views, in passes as `view_passes` says, never together with global ones.

        BatchNorm therefore has the statistics of one resolution in each pass, as in the authors' code.
        """
        if len(views) == 0:
            return []
        with counted_at_once(self):
            if self.view_passes == "separate":
                with shared_live_taps(self):
                    return [self(view)[1] for view in views]
            with normalised_per_view(self, views=len(views) if self.view_passes == "together" else 1):
                return list(self(torch.cat(list(views)))[1].chunk(len(views)))

    def _queued_scores(self, prototypes: Tensor) -> dict[str, Any]:
        """Return what `swav_loss` takes of the queue: scores (L, K) for either view, which count once it is full."""
        length = self.settings.queue_length
        if length == 0:
            return {}
        with torch.no_grad():
            scores = [similarities(rows, prototypes) for rows in self.get_buffer("queue")]
        return {"queued": scores, "queue_counts": (self.get_buffer("queued") >= length).all()}

    def _push(self, units: Sequence[Tensor], progress: Tensor) -> None:
        """Add both views' embeddings to their queues, from `queue_start` on; the codes of this step are made already."""
        start = progress >= self.settings.queue_start
        for rows, pushed, u in zip(self.get_buffer("queue"), self.get_buffer("queued"), units):
            push(rows, pushed, u.detach(), when=start)
