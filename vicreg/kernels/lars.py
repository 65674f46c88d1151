"""LARS's step on one tensor in two passes over memory: one for its norms, and one that changes it.

Sums are of blocks of one size, added in order. Arguments are flat arrays
of float32 that lie in memory in one order. A gradient or a copy of the weights in bfloat16 is an array of its bits, uint16.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vicreg.kernels.compiled import compiled

_BLOCK, _LANES = 16384, 512  # numbers that are summed in float64 once, and sums in float32 that run beside each other
_NONE = np.empty(0, dtype=np.uint16)


class Squares(NamedTuple):
    """Sums of squares of the numbers of a weight p, of p's gradient g, and of g + decay * p."""

    weight: float
    gradient: float
    decayed: float

    def with_part(self, part: float, *, decay: float) -> "Squares":
        """Return the sums with another number of the weight, whose gradient is 0."""
        return Squares(self.weight + part**2, self.gradient, self.decayed + (decay * part) ** 2)


def flat(weight: Tensor, *others: Tensor) -> list[np.ndarray] | None:
    """Return tensors of one shape as arrays (n,) in the weight's order in memory; None where the loops do not serve.

    They serve a float32 weight on a CPU that lies densely, contiguous or channels last. The others are in float32 or, as
    bits, in bfloat16. The first of them, the gradient, is copied where it lies in another order.
    """
    is_dense = weight.is_contiguous() or (weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last))
    if weight.dtype != torch.float32 or not is_dense:
        return None
    arrays = []
    for number, tensor in enumerate((weight, *others)):
        if not _lie_alike(weight, tensor):
            if number != 1:
                return None
            tensor = torch.empty_like(weight, dtype=tensor.dtype).copy_(tensor)
        row = tensor.detach().as_strided((tensor.numel(),), (1,))
        if row.dtype not in (torch.float32, torch.bfloat16):
            return None
        arrays.append(row.numpy() if row.dtype == torch.float32 else row.view(torch.uint16).numpy())
    return arrays


def _lie_alike(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors of one shape lie in memory in the same order, the first of them densely."""
    if one.stride() == other.stride():
        return True
    steps = zip(one.shape, one.stride(), other.stride(), strict=True)
    return all(a == b for side, a, b in steps if side > 1)


def sum_squares(weight: np.ndarray, gradient: np.ndarray, *, decay: float) -> Squares:
    """Return the sums of squares (n,) of a weight and its gradient. Blocks of 16,384 are summed in float32 by 512 lanes."""
    blocks = math.ceil(len(weight) / _BLOCK)
    sums = np.empty((blocks, 3))
    loop = _sum_of_bits if gradient.dtype == np.uint16 else _sum
    loop(weight, gradient, np.float32(decay), sums)
    return Squares(*(sums[0] if blocks == 1 else sums.sum(axis=0)).tolist())


def update(
    weight: np.ndarray,
    gradient: np.ndarray,
    buffer: np.ndarray,
    *,
    of_gradient: float,
    of_weight: float,
    momentum: float,
    lr: float,
    nesterov: bool = False,
    rounded: np.ndarray | None = None,
) -> None:
    """Take a step in place: u = of_gradient * g + of_weight * p; m = momentum * m + u; p = p - lr * m.

    Args:
        weight, gradient, buffer: p, g and m (n,).
        nesterov: whether the last line is p = p - lr * (u + momentum * m).
        rounded: (n,), uint16; takes the bits of the new weights, rounded to the nearest bfloat16, ties to even.
    """
    loop = _update_by_bits if gradient.dtype == np.uint16 else _update
    loop(
        weight, gradient, buffer, np.float32(of_gradient), np.float32(of_weight),
        np.float32(momentum), np.float32(lr), nesterov, _NONE if rounded is None else rounded,
    )  # fmt: skip


@compiled
def _sum(weight, gradient, decay, sums):  # type: ignore[no-untyped-def]
    lanes = np.empty((3, _LANES), dtype=np.float32)
    for block in range(len(sums)):
        start, end = block * _BLOCK, min((block + 1) * _BLOCK, len(weight))
        _sum_block(weight[start:end], gradient[start:end], decay, lanes, sums[block])


@compiled
def _sum_of_bits(weight, gradient, decay, sums):  # type: ignore[no-untyped-def]
    lanes = np.empty((3, _LANES), dtype=np.float32)
    bits = np.empty(_BLOCK, dtype=np.uint32)
    for block in range(len(sums)):
        start, end = block * _BLOCK, min((block + 1) * _BLOCK, len(weight))
        _widen(gradient[start:end], bits)
        _sum_block(weight[start:end], bits.view(np.float32)[: end - start], decay, lanes, sums[block])


@compiled
def _sum_block(weight, gradient, decay, lanes, sums):  # type: ignore[no-untyped-def]
    lanes[:] = 0
    of_weight, of_gradient, of_decayed = lanes[0], lanes[1], lanes[2]
    for row in range(0, len(weight), _LANES):
        p, g = weight[row : row + _LANES], gradient[row : row + _LANES]
        for c in range(len(p)):
            u = g[c] + decay * p[c]
            of_weight[c] += p[c] * p[c]
            of_gradient[c] += g[c] * g[c]
            of_decayed[c] += u * u
    sums[:] = 0
    for lane in range(_LANES):
        sums[0] += np.float64(of_weight[lane])
        sums[1] += np.float64(of_gradient[lane])
        sums[2] += np.float64(of_decayed[lane])


@compiled
def _update(  # type: ignore[no-untyped-def]
    weight, gradient, buffer, of_gradient, of_weight, momentum, lr, nesterov, rounded
):
    for start in range(0, len(weight), _BLOCK):
        end = min(start + _BLOCK, len(weight))
        _update_block(
            weight[start:end], gradient[start:end], buffer[start:end], of_gradient, of_weight, momentum, lr, nesterov
        )
        if len(rounded) > 0:
            _round(weight[start:end].view(np.uint32), rounded[start:end])


@compiled
def _update_by_bits(  # type: ignore[no-untyped-def]
    weight, gradient, buffer, of_gradient, of_weight, momentum, lr, nesterov, rounded
):
    bits = np.empty(_BLOCK, dtype=np.uint32)
    for start in range(0, len(weight), _BLOCK):
        end = min(start + _BLOCK, len(weight))
        _widen(gradient[start:end], bits)
        _update_block(
            weight[start:end], bits.view(np.float32)[: end - start], buffer[start:end], of_gradient, of_weight, momentum, lr,
            nesterov,
        )  # fmt: skip
        if len(rounded) > 0:
            _round(weight[start:end].view(np.uint32), rounded[start:end])


@compiled
def _update_block(  # type: ignore[no-untyped-def]
    weight, gradient, buffer, of_gradient, of_weight, momentum, lr, nesterov
):
    if nesterov:
        for c in range(len(weight)):
            u = of_gradient * gradient[c] + of_weight * weight[c]
            m = momentum * buffer[c] + u
            buffer[c] = m
            weight[c] -= lr * (u + momentum * m)
        return
    for c in range(len(weight)):
        m = momentum * buffer[c] + (of_gradient * gradient[c] + of_weight * weight[c])
        buffer[c] = m
        weight[c] -= lr * m


@compiled
def _widen(bits, out):  # type: ignore[no-untyped-def]
    """Write numbers given as bits of bfloat16 as bits of float32."""
    for c in range(len(bits)):
        out[c] = np.uint32(bits[c]) << np.uint32(16)


@compiled
def _round(bits, out):  # type: ignore[no-untyped-def]
    """Write numbers given as bits of float32 as bits of the nearest bfloat16, ties to even; NaN stays NaN."""
    for c in range(len(bits)):
        value = bits[c]
        odd = (value >> np.uint32(16)) & np.uint32(1)
        nearest = (value + np.uint32(0x7FFF) + odd) >> np.uint32(16)
        is_nan = (value & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
        out[c] = np.uint16(0x7FC0) if is_nan else np.uint16(nearest)
