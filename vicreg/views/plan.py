"""Which samples of a batch get which operation, decided on the host."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from vicreg.views.blur import blur
from vicreg.views.color import ADJUSTMENTS, to_grayscale
from vicreg.views.parameters import ViewParameters
from vicreg.views.settings import STRENGTHS

_CROP = ("top", "left", "height", "width", "flip")  # of the parameters, those that every sample's crop takes


class Subset(NamedTuple):
    """An operation, the rows (k,) of a batch that it is for, and its further arguments, (k,) each."""

    operation: Callable[..., Tensor]
    rows: Tensor
    arguments: tuple[Tensor, ...]

    def apply_to(self, x: Tensor) -> None:
        """Replace the rows of `x` (n, ...) by what the operation makes of them. All tensors are on one device."""
        x.index_copy_(0, self.rows, self.operation(x.index_select(0, self.rows), *self.arguments))


class ViewPlan(NamedTuple):
    """The parameters of a view of n images, and the operations after its crop, in order.

    A plan of a view of static shapes (`compiled_view`) has no subsets: it takes the parameters themselves.
    """

    parameters: ViewParameters
    subsets: tuple[Subset, ...]
    solarize_threshold: float
    static: bool

    def tensors(self) -> list[Tensor]:
        """Return what the device needs, in the order that `holding` takes."""
        names = ViewParameters._fields if self.static else _CROP
        return [getattr(self.parameters, name) for name in names] + [
            tensor for subset in self.subsets for tensor in (subset.rows, *subset.arguments)
        ]

    def holding(self, tensors: Iterable[Tensor]) -> "ViewPlan":
        """Return the same plan with other tensors, such as copies on a device, in the order of `tensors`."""
        following = iter(tensors)
        names = ViewParameters._fields if self.static else _CROP
        parameters = self.parameters._replace(**{name: next(following) for name in names})
        subsets = tuple(
            Subset(operation, next(following), tuple(next(following) for _ in arguments))
            for operation, _, arguments in self.subsets
        )
        return self._replace(parameters=parameters, subsets=subsets)


def plan_view(p: ViewParameters, *, channels: int, solarize_threshold: float, static: bool = False) -> ViewPlan:
    """Return the plan of the view that parameters describe, for images of `channels` channels.

    Of parameters on the host, it is made without waiting for any device.
    """
    return ViewPlan(p, () if static else _subsets(p, channels, solarize_threshold), solarize_threshold, static)


def _subsets(p: ViewParameters, channels: int, solarize_threshold: float) -> tuple[Subset, ...]:
    coloured = channels == 3

    def solarize(chosen: Tensor) -> Tensor:
        return torch.where(chosen >= solarize_threshold, 1.0 - chosen, chosen)

    found = [
        _subset(p.jitter & (slot == code), adjust, getattr(p, STRENGTHS[code]))
        for slot in p.order.unbind(1)
        for code, adjust in enumerate(ADJUSTMENTS if coloured else ADJUSTMENTS[:2])
    ]
    if coloured:
        found.append(_subset(p.grayscale, to_grayscale))
    found += [_subset(p.blur, blur, p.blur_sigma), _subset(p.solarize, solarize)]
    return tuple(subset for subset in found if len(subset.rows))


def _subset(mask: Tensor, operation: Callable[..., Tensor], *arguments: Tensor) -> Subset:
    """Return the operation for the samples that `mask` (n,) names, with their `arguments` of (n,) each."""
    rows = mask.nonzero()[:, 0]
    return Subset(operation, rows, tuple(argument[rows] for argument in arguments))
