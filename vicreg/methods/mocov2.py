"""MoCo v2 (arXiv 1911.05722, 2003.04297): tell a slow network's key from a queue of earlier keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vicreg.errors import InputError
from vicreg.methods.base import Loss, Method, MethodSettings
from vicreg.methods.clustering import push
from vicreg.methods.contrastive import CONTRAST_TERMS, Contrast, queue_info_nce, require_temperature, unit_rows
from vicreg.methods.counter_random import first_counter, permutation
from vicreg.models.momentum_target import EMASchedule, MomentumTarget, embed_each


@dataclass(frozen=True, kw_only=True)
class MoCoV2Settings(MethodSettings):
    """`params.yaml`'s section `pretrain.mocov2`. Raises InputError for a value that no run can have."""

    temperature: float = field(metadata={"symbol": "τ"})
    queue_length: int
    ema_start: float
    ema_end: float
    ema_schedule: str
    symmetric: bool
    batchnorm_splits: int

    def __post_init__(self) -> None:
        require_temperature(self.temperature, name="pretrain.temperature")
        EMASchedule(start=self.ema_start, end=self.ema_end, kind=self.ema_schedule)  # which checks all three
        if self.queue_length < 1:
            raise InputError(
                f"pretrain.queue_length must be at least 1, but got {self.queue_length}; the authors' CIFAR demo has 4096."
            )
        if self.batchnorm_splits < 1:
            raise InputError(
                f"pretrain.batchnorm_splits must be at least 1, which splits no batch, but got {self.batchnorm_splits}."
            )

    @property
    def ema(self) -> EMASchedule:
        """The target's momentum."""
        return EMASchedule(start=self.ema_start, end=self.ema_end, kind=self.ema_schedule)


class MoCoV2(Method):
    """MoCo v2: queries of the online network, keys of its moving average, and a queue of earlier keys as negatives.

    A queue is read before the keys of the same step are pushed, after the optimiser's step: no query has its own key among
    its negatives. It is first in first out, from K random unit rows. A batch may have any size, and need not divide K.

    `symmetric` takes queries of both views and averages the two losses, with a queue for each view's keys, as solo-learn
    does. Otherwise queries are of the first view and keys of the second, as in the paper.

    With `batchnorm_splits` above 1 BatchNorm normalises so many parts of each view separately, and the keys' images are
    shuffled before, so that a query and its key share no statistics (arXiv 1911.05722, Section 3.3).

    Raises InputError for splits with `view_passes` joint, which have one BatchNorm for both views.
    """

    Settings = MoCoV2Settings
    TERMS = CONTRAST_TERMS
    TITLE = "MoCo v2"
    SOURCE = "arXiv 2003.04297"
    FAMILY = "contrastive"
    GATHERS = "embeddings"
    GATHERS_WITH = {"batchnorm_splits": 1}
    PROBED = "The online (query) backbone is probed; the online expander's output is judged."
    AUTHORS_VIEW_PASSES = "separate"

    queue: Tensor
    pushed: Tensor
    counter: Tensor

    def __init__(self, *, settings: MoCoV2Settings, view_passes: str = "separate", **arguments: Any) -> None:
        super().__init__(settings=settings, view_passes=view_passes, **arguments)
        if settings.batchnorm_splits > 1 and view_passes == "joint":
            raise InputError(
                "pretrain.batchnorm_splits above 1 needs a pass for each view, but pretrain.view_passes is joint; "
                "set it to separate."
            )
        self.target = MomentumTarget(self)
        queues = 2 if settings.symmetric else 1
        self.register_buffer("queue", torch.zeros(queues, settings.queue_length, self.embedding_dimension))  # unit rows
        self.register_buffer("pushed", torch.zeros(queues, dtype=torch.int64))  # keys so far, of each queue
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))
        self._keys: list[Tensor] = []  # of the step that is being taken, from `loss` to `after_step`

    def loss(self, views: Sequence[Tensor], *, progress: Tensor) -> Loss:
        settings: MoCoV2Settings = self.settings
        queries, keys = self._queries(views), self._keys_of(views)  # (n, d) each, those of one image at the same place
        contrasts = [
            queue_info_nce(q, k, earlier, temperature=settings.temperature, check_finite=False)
            for q, k, earlier in zip(queries, keys, self.queue, strict=True)
        ]
        self._keys = [unit_rows(one) for one in keys]
        mean = Contrast(*(torch.stack(values).mean() for values in zip(*contrasts, strict=True)))
        return Loss(total=mean.total, terms=mean.terms(), embeddings=queries[0])

    def _queries(self, views: Sequence[Tensor]) -> list[Tensor]:
        settings: MoCoV2Settings = self.settings
        if settings.symmetric and settings.batchnorm_splits == 1:
            return list(self.embed(*views))
        asking = views if settings.symmetric else views[:1]
        return embed_each(self, asking, splits=splits_of(len(views[0]), settings.batchnorm_splits))

    @torch.no_grad()
    def _keys_of(self, views: Sequence[Tensor]) -> list[Tensor]:
        """Return the keys (n, d) of the queries: those of the second view, then, if `symmetric`, of the first."""
        settings: MoCoV2Settings = self.settings
        if settings.batchnorm_splits == 1:
            if settings.symmetric:
                return list(self.target.embed(*views, passes=self.view_passes))[::-1]
            return embed_each(self.target, views[1:])
        answering = [views[1], views[0]] if settings.symmetric else [views[1]]
        count = len(views[0])
        orders = [permutation(self.counter, count, stream=number) for number in range(len(answering))]
        shuffled = [view[order] for view, order in zip(answering, orders, strict=True)]
        keys = embed_each(self.target, shuffled, splits=splits_of(count, settings.batchnorm_splits))
        return [one[order.argsort()] for one, order in zip(keys, orders, strict=True)]

    @torch.no_grad()
    def after_step(self, *, progress: Tensor) -> None:
        settings: MoCoV2Settings = self.settings
        self.target.follow(self, momentum=settings.ema.momentum(progress))
        for queue, pushed, keys in zip(self.queue, self.pushed, self._keys, strict=False):
            push(queue, pushed, keys)
        self._keys = []
        self.counter += 1

    def reset_state(self, generator: torch.Generator) -> None:
        self.target.copy_from(self)
        self.queue.copy_(unit_rows(torch.randn(self.queue.flatten(0, 1).shape, generator=generator)).view_as(self.queue))
        self.pushed.zero_()
        self.counter.fill_(first_counter(generator))

    def compile_networks(self) -> None:
        settings: MoCoV2Settings = self.settings
        if not settings.symmetric or settings.batchnorm_splits > 1:
            raise InputError(
                "pretrain.compile needs pretrain.symmetric true and pretrain.batchnorm_splits 1, "
                f"but got {settings.symmetric} and {settings.batchnorm_splits}; set pretrain.compile to false."
            )
        super().compile_networks()
        self.target.compile_networks()

    def coefficients(self) -> dict[str, float]:
        return {"positive_pairs": 1.0, "log_denominator": 1.0}


def splits_of(count: int, wanted: int) -> int:
    """Return into how many parts a batch of `count` images is split for BatchNorm: `wanted`, or as many fewer as it takes.

    Each part must hold two images at least, since one image alone has no variance. Parts are cut as `Tensor.chunk` cuts: all
    of one size but the last.
    """
    for splits in range(min(wanted, count), 1, -1):
        size = -(-count // splits)
        if size > 1 and count % size != 1:
            return -(-count // size)
    return 1
