"""Train the live taps of kernels alone, while one number carries each kernel's dead taps.

Taps that only see padding have a gradient of exactly 0 (`live_taps.py`). Whatever SGD, LARS or AdamW then do to them, all of
a kernel's dead taps are multiplied by the same factor in a step. So all that they do is in their norm, which is a parameter
of one number in their place: SGD and AdamW treat it as they would treat them, and LARS takes norms over both (`joined`).
An average of two networks, as a momentum target's, holds too, since both began with the same taps.

A ResNet-18 of the ImageNet stem has 62 % of its parameters in dead taps of 32 x 32 images. Nothing reads or writes them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vicreg.models.live_taps import Live, LiveTapConv2d, axes_of

Maps = Mapping[str, frozenset[tuple[int, int]]]  # a layer's name -> the (height, width) of all maps that it convolves


class CompactConv2d(LiveTapConv2d):
    """A convolution of maps of one size, whose outputs all read the same pixels; made by `compact`.

    `weight` (O, C, h, w) is the live taps, channels last. `dead_norm`, one number in float64, is the norm of the dead ones,
    which are multiples of those it began with. State dicts hold the whole kernels under the usual name. Maps of another size
    are convolved with these, without a gradient.
    """

    dead_norm: nn.Parameter
    _maps: tuple[int, int]
    _axes: tuple[tuple[Live, ...], tuple[Live, ...]]  # with taps counted from the first live one
    _live: tuple[slice, slice]  # the live taps of the whole kernel
    _start: Tensor  # the kernels that it began with, (O, C, k, k), channels last; 0 for live taps
    _start_norm: float

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim == 4 and tuple(input.shape[2:]) == self._maps and len(input) > 0:
            return self._product(input, *self._axes)
        if self.training and torch.is_grad_enabled():
            raise ValueError(f"this convolution trains on maps of {self._maps} alone, but got {tuple(input.shape[2:])}")
        return functional.conv2d(input, self.whole_kernels(), None, self.stride, self.padding)

    @torch.no_grad()
    def whole_kernels(self) -> Tensor:
        """Return the kernels (O, C, k, k) with their dead taps, channels last, as they are now."""
        norm = self.dead_norm.item()
        kernels = self._start * (norm / self._start_norm if self._start_norm > 0 else 0.0)
        kernels[:, :, self._live[0], self._live[1]] = self.weight
        return kernels

    @torch.no_grad()
    def begin_with(self, kernels: Tensor) -> None:
        """Take live and dead taps from whole kernels (O, C, k, k), of which the later dead taps will be multiples."""
        start = torch.empty_like(kernels, dtype=self.weight.dtype, memory_format=torch.channels_last).copy_(kernels)
        self.weight.copy_(start[:, :, self._live[0], self._live[1]])
        start[:, :, self._live[0], self._live[1]] = 0
        self._start, self._start_norm = start, torch.linalg.vector_norm(start, dtype=torch.float64).item()
        self.dead_norm.fill_(self._start_norm)

    @torch.no_grad()
    def go_on_with(self, live: Tensor, dead_norm: Tensor) -> None:
        """Take live taps from whole kernels (O, C, k, k), and the norm of the multiples of the dead taps it began with."""
        self.weight.copy_(live[:, :, self._live[0], self._live[1]])
        self.dead_norm.copy_(dead_norm.view_as(self.dead_norm))

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.whole_kernels()

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        name = f"{prefix}weight"
        if strict:
            unexpected_keys += [key for key in state_dict if key.startswith(prefix) and key != name]
            missing_keys += [] if name in state_dict else [name]
        if name in state_dict:
            kernels = state_dict[name]
            if kernels.shape != self._start.shape:
                error_msgs.append(f"{name} must be {tuple(self._start.shape)}, but is {tuple(kernels.shape)}")
                return
            self.begin_with(kernels)


@contextmanager
def maps_seen(network: nn.Module) -> Iterator[dict[str, set[tuple[int, int]]]]:
    """Note the sizes of the maps (height, width) that each `LiveTapConv2d` of a network convolves meanwhile, by its name."""
    seen: dict[str, set[tuple[int, int]]] = {}
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, LiveTapConv2d)]

    def note(name: str, maps: Tensor) -> None:
        seen.setdefault(name, set()).add((int(maps.shape[-2]), int(maps.shape[-1])))

    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: note(name, inputs[0]))  # type: ignore[misc]
        for name, layer in layers
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def compact(network: nn.Module, maps: Maps) -> None:
    """Keep, in place, the live taps of the convolutions that have dead ones; to be called before an optimiser is made.

    Left as they are: convolutions of maps of several sizes or of none, those whose outputs do not all read the same pixels,
    and those with groups, dilation or a bias. Nothing is changed where a kernel that does not learn, as a target's, is none
    of those that do: its dead taps would not stay multiples of the first.

    Args:
        network: on a CPU, its convolutions' weights channels last.
        maps: the sizes of the maps that its convolutions are trained on, from `maps_seen`.
    """
    found = []
    for name, layer in network.named_modules():
        sizes = maps.get(name, frozenset())
        if type(layer) is LiveTapConv2d and len(sizes) == 1:
            (size,) = sizes
            live = _live_part(layer, size)
            found += [] if live is None else [(layer, size, live)]
    learning = [layer.weight for layer, _, _ in found if layer.weight.requires_grad]
    for layer, _, _ in found:
        if not (layer.weight.requires_grad or any(torch.equal(layer.weight, weight) for weight in learning)):
            return
    for layer, size, live in found:
        _compact_layer(layer, size, live)


def expand(network: nn.Module) -> None:
    """Give all layers of a network their whole kernels again, in place; an optimiser of it has no meaning then."""
    for layer in compact_layers(network).values():
        kernels = nn.Parameter(layer.whole_kernels(), requires_grad=layer.weight.requires_grad)
        layer.weight = kernels
        for name in ("dead_norm", "_maps", "_axes", "_live", "_start", "_start_norm"):
            delattr(layer, name)
        layer.__class__ = LiveTapConv2d  # type: ignore[assignment]  # its base


def compact_layers(network: nn.Module) -> dict[str, CompactConv2d]:
    """Return the layers that `compact` has changed, by their names."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, CompactConv2d)}


def joined_parameters(network: nn.Module) -> dict[Tensor, Tensor]:
    """Return for each weight of live taps the parameter that stands for the dead ones."""
    return {layer.weight: layer.dead_norm for layer in compact_layers(network).values()}


def dead_norms(network: nn.Module) -> dict[str, Tensor]:
    """Return the norms of dead taps by the names of their layers: with a state dict, what `go_on` needs."""
    return {name: layer.dead_norm.detach().flatten() for name, layer in compact_layers(network).items()}


def go_on(network: nn.Module, weights: Mapping[str, Tensor], norms: Mapping[str, Tensor]) -> None:
    """Load what `state_dict` and `dead_norms` gave, into a network that began with the same weights as that one.

    Everything is then bit for bit what it was. With `load_state_dict` alone, dead taps would be rounded once more.
    """
    layers = compact_layers(network)
    starts = {name: (layer._start, layer._start_norm) for name, layer in layers.items()}
    network.load_state_dict(dict(weights))
    for name, layer in layers.items():
        layer._start, layer._start_norm = starts[name]
        layer.go_on_with(weights[f"{name}.weight"], norms[name])


def _live_part(layer: LiveTapConv2d, maps: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the live taps of a layer for maps of one size, None where it has no dead ones or is not to be changed."""
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.bias is None and layer.padding_mode == "zeros"
    if not plain or isinstance(layer.padding, str):
        return None
    axes = axes_of(*maps, layer.kernel_size, layer.stride, layer.padding)
    if axes is None:
        return None
    rows, columns = (
        slice(min(one.taps.start for one in axis), max(one.taps.stop for one in axis)) for axis in axes
    )  # fmt: skip
    alive = (rows.stop - rows.start) * (columns.stop - columns.start)
    return (rows, columns) if alive < layer.kernel_size[0] * layer.kernel_size[1] else None


def _compact_layer(layer: LiveTapConv2d, maps: tuple[int, int], live: tuple[slice, slice]) -> None:
    axes = axes_of(*maps, layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]  # not a name
    assert axes is not None
    kernels, learns = layer.weight.detach(), layer.weight.requires_grad
    part = torch.empty_like(kernels[:, :, live[0], live[1]], memory_format=torch.channels_last)
    layer.__class__ = CompactConv2d  # type: ignore[assignment]  # a subclass
    assert isinstance(layer, CompactConv2d)
    layer._maps, layer._live = maps, live
    layer._axes = tuple(  # type: ignore[assignment]  # two of them
        tuple(Live(one.pixels, slice(one.taps.start - taps.start, one.taps.stop - taps.start)) for one in axis)
        for axis, taps in zip(axes, live, strict=True)
    )
    layer.weight = nn.Parameter(part, requires_grad=learns)
    norm = torch.empty((1,) * kernels.ndim, dtype=torch.float64)  # of as many dimensions, so that its options are theirs
    layer.dead_norm = nn.Parameter(norm, requires_grad=learns)
    layer.begin_with(kernels)
