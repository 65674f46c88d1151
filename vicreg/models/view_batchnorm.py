"""BatchNorm with separate statistics for each view of a batch.

The VICReg authors encode one view after the other, so that BatchNorm sees one view at a time. Encoding both views in one
pass takes fewer and larger operations; with BatchNorm per view the result is the same to rounding.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.models.normalise import COMPILED_TYPES, Running, normalise


class Turn:
    """Lets a second thread through a layer once the first thread, which makes this, has been through."""

    def __init__(self) -> None:
        self._first = threading.get_ident()
        self._passed = threading.Event()

    def __enter__(self) -> None:
        if threading.get_ident() != self._first:
            self._passed.wait()

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Let the second thread through."""
        self._passed.set()


class _PerView:
    """A mixin for torch's BatchNorm: `views` equal parts of a training batch have separate statistics."""

    views = 1
    passes: int | None = None  # in `counted_at_once`: training passes since it began
    turn: AbstractContextManager[None] = nullcontext()  # in `taken_in_turn`: a `Turn`

    def forward(self, input: Tensor) -> Tensor:
        with self.turn:
            return self._of_views(input)

    def _of_views(self, input: Tensor) -> Tensor:
        if self._is_compiled(input):
            return self._compiled(input)
        if not self.training or self.views == 1:  # type: ignore[attr-defined]
            return self._normalise(input)
        # One view after the other, so that the running statistics are those of one forward pass for each view.
        return torch.cat([self._normalise(view) for view in input.chunk(self.views)])

    def _is_compiled(self, input: Tensor) -> bool:
        """Return whether loops of ours normalise the input: a training batch on one thread of a CPU.

        On two threads torch's own are faster, which both work on: 217 images a second of a ResNet-34, and 210 with ours.
        """
        return (
            not torch.compiler.is_compiling()
            and type(input) is Tensor  # not one without content, of which operations are counted
            and input.device.type == "cpu" and torch.get_num_threads() == 1
            and self.training  # type: ignore[attr-defined]
            and input.dtype in COMPILED_TYPES
            and self.affine and self.track_running_stats and self.momentum is not None  # type: ignore[attr-defined]
            and self.weight.dtype == torch.float32  # type: ignore[attr-defined]
            and len(input) % self.views == 0 and input.numel() > self.views * input.shape[1]  # more than a row a view
            and type(self)._normalise is _PerView._normalise
        )  # fmt: skip

    def _compiled(self, input: Tensor, *, relu: bool = False, residual: Tensor | None = None) -> Tensor:
        self._check_input_dim(input)  # type: ignore[attr-defined]
        if self.passes is None:
            self.num_batches_tracked.add_(self.views)  # type: ignore[attr-defined]
        else:
            self.passes += self.views
        running = Running(self.running_mean, self.running_var, self.momentum)  # type: ignore[attr-defined]
        return normalise(
            input, self.weight, self.bias, running, views=self.views, epsilon=self.eps,  # type: ignore[attr-defined]
            relu=relu, residual=residual,
        )  # fmt: skip

    def _normalise(self, input: Tensor) -> Tensor:
        if self.passes is None or not self.training or self.momentum is None:  # type: ignore[attr-defined]
            return super().forward(input)  # type: ignore[misc]
        self.passes += 1
        self._check_input_dim(input)  # type: ignore[attr-defined]
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,  # type: ignore[attr-defined]
            training=True, momentum=self.momentum, eps=self.eps,  # type: ignore[attr-defined]
        )  # fmt: skip


def activated(layer: nn.Module, input: Tensor, residual: Tensor | None = None) -> Tensor:
    """Return ReLU of what a BatchNorm layer makes of an input, to which `residual` is added first if there is one."""
    if isinstance(layer, _PerView) and layer._is_compiled(input) and (residual is None or residual.dtype == input.dtype):
        with layer.turn:
            return layer._compiled(input, relu=True, residual=residual)
    output: Tensor = layer(input)
    if residual is not None:
        output += residual
    return functional.relu(output, inplace=True)


class ViewBatchNorm1d(_PerView, nn.BatchNorm1d):
    """BatchNorm1d of (views * n, d)."""


class ViewBatchNorm2d(_PerView, nn.BatchNorm2d):
    """BatchNorm2d of (views * n, C, H, W)."""


def batchnorms(module: nn.Module) -> list[Any]:
    """Return the layers of `module` that normalise each view by itself."""
    return [layer for layer in module.modules() if isinstance(layer, _PerView)]


@contextmanager
def taken_in_turn(layers: Sequence[Any]) -> Iterator[Callable[[], None]]:
    """Let a second thread through each of some `batchnorms` after this one: running statistics then change in this order.

    Yields a function that lets it through all of them, for where this thread has failed.
    """
    turns = {layer: Turn() for layer in layers}
    for layer, turn in turns.items():
        layer.turn = turn

    def end() -> None:
        for turn in turns.values():
            turn.end()

    try:
        yield end
    finally:
        end()  # once more: Ctrl-C may have come in the first
        for layer in turns:
            layer.turn = nullcontext()


@contextmanager
def counted_at_once(module: nn.Module) -> Iterator[None]:
    """Add to the counters of all layers of `module`, `num_batches_tracked`, at the end and in one operation.

    Each layer would add to its own in each pass, which on a GPU are 76 launches in a step of a ResNet-34.
    """
    layers = batchnorms(module)
    for layer in layers:
        layer.passes = 0
    try:
        yield
    finally:
        for passes in sorted({layer.passes for layer in layers if layer.passes}):
            counters: list[Tensor] = [layer.get_buffer("num_batches_tracked") for layer in layers if layer.passes == passes]
            torch._foreach_add_(counters, passes)
        for layer in layers:
            layer.passes = None


@contextmanager
def normalised_per_view(module: nn.Module, views: int) -> Iterator[None]:
    """Normalise each of `views` equal parts of a training batch separately in all layers of `module`."""
    layers = batchnorms(module)
    for layer in layers:
        layer.views = views
    try:
        yield
    finally:
        for layer in layers:
            layer.views = 1
