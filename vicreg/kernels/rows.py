"""Rows of float32 or bfloat16 numbers, in loops that compute in float32.

numba knows no bfloat16: such numbers are handed on as the 16 bits that they are, the upper half of a float32.
"""

import numba
import numpy as np
import torch
from torch import Tensor

from vicreg.kernels.compiled import by_type


def numbers_of(tensor: Tensor) -> np.ndarray:
    """Return the memory of a tensor without gaps as a flat array: float32, or the bits of bfloat16."""
    flat = tensor.detach().as_strided((tensor.numel(),), (1,))
    found: np.ndarray = (flat.view(torch.uint16) if tensor.dtype == torch.bfloat16 else flat).numpy()
    return found


@by_type
def widen(source, start, out, count):  # type: ignore[no-untyped-def]
    """Write `count` numbers of a source, float32 or the bits of bfloat16, from `start` on, into `out`, float32."""
    if source.dtype == numba.types.uint16:

        def of_bits(source, start, out, count):  # type: ignore[no-untyped-def]
            bits = out.view(np.uint32)
            for c in range(count):
                bits[c] = np.uint32(source[start + c]) << np.uint32(16)

        return of_bits

    def of_numbers(source, start, out, count):  # type: ignore[no-untyped-def]
        for c in range(count):
            out[c] = source[start + c]

    return of_numbers


@by_type
def narrow(source, out, start, count):  # type: ignore[no-untyped-def]
    """Write `count` numbers of a source, float32, to `out`, from `start` on, rounded to nearest even for bfloat16.

    A number that is not finite stays so.
    """
    if out.dtype == numba.types.uint16:

        def to_bits(source, out, start, count):  # type: ignore[no-untyped-def]
            bits = source.view(np.uint32)
            for c in range(count):
                upper = bits[c] >> np.uint32(16)
                rounded = (bits[c] + np.uint32(0x7FFF) + (upper & np.uint32(1))) >> np.uint32(16)
                is_finite = (bits[c] & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
                quiet = upper | np.uint32((bits[c] & np.uint32(0x007FFFFF)) != np.uint32(0)) << np.uint32(6)
                out[start + c] = np.uint16(rounded if is_finite else quiet)

        return to_bits

    def to_numbers(source, out, start, count):  # type: ignore[no-untyped-def]
        for c in range(count):
            out[start + c] = source[c]

    return to_numbers
