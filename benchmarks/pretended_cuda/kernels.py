"""Makes up what torch would compute on the pretended device, and what the host reads from it.

Kernels of torch's own are launched, counted and not run, so the memory they would write holds whatever was there. Three
kinds of operation need more than that, and are replaced for CUDA tensors: convolutions, for cuDNN builds its own graphs;
eigenvalues and Cholesky's factors, for cuSOLVER asks the device; and values that the host reads, for they decide where
Python goes next.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.pretended_cuda.events import count

# What the host reads. A truth value is true: everything is finite. A number is one that no metric divides by or takes the
# logarithm of in vain: above the number of similarities that `uniformity` subtracts.
_READ: dict[type, Any] = {bool: True, int: 0, float: 1e9}
_LIBRARY: list[torch.library.Library] = []  # what is registered lasts as long as this


def make_up_values() -> None:
    """Replace the kernels of CUDA tensors that cannot be pretended below torch, for the rest of the process."""
    library = torch.library.Library("aten", "IMPL")
    replaced: dict[str, Callable[..., Any]] = {
        "convolution": _convolution,
        "convolution_backward": _convolution_backward,
        "_linalg_eigh": _eigenvalues,
        "linalg_cholesky": _cholesky,
        "linalg_cholesky_ex": _cholesky_ex,
        "linalg_solve_triangular": _solve_triangular,
        "bincount": _bincount,
        "nonzero": _nonzero,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of kernels that are registered twice: that is what is meant
        for name, function in replaced.items():
            library.impl(name, function, "CUDA")
        for name, reading in (("_local_scalar_dense", _read_scalar), ("_to_copy", _read_tensor)):
            original = torch.library.get_kernel(f"aten::{name}", "CUDA")
            library.impl(name, _around(reading, original), "CUDA", with_keyset=True)
    _LIBRARY.append(library)


def _around(reading: Callable[[Any], Any], original: Any) -> Callable[..., Any]:
    """Return a kernel that does what torch's does, waits and copies included, and makes up what the host then reads."""

    def kernel(keys: Any, *arguments: Any, **named: Any) -> Any:
        return reading(original.call_boxed(keys, *arguments, **named))

    return kernel


def _read_scalar(value: Any) -> Any:
    return _READ[type(value)]


def _read_tensor(copied: Tensor) -> Tensor:
    """Return a copy, true or within [-1, 1] where the host has it, so that no square of it is infinite."""
    if copied.device.type != "cpu":
        return copied
    if copied.dtype == torch.bool:
        return copied.fill_(True)
    return copied.nan_to_num_(0.0, 0.0, 0.0).clamp_(-1.0, 1.0) if copied.is_floating_point() else copied


def _convolution(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, _: Any, groups: int
) -> Tensor:
    count("convolution", f"forward, {x.dtype}")
    sides = [
        (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (weight.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(2)
    ]
    shape = (x.shape[0], weight.shape[0], *sides)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def _convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, bias_sizes: Any, *rest: Any
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    of_input, of_weight, of_bias = rest[-1]
    for wanted, name in ((of_input, "input"), (of_weight, "weight")):
        if wanted:
            count("convolution", f"gradient of the {name}, {x.dtype}")
    return (
        torch.empty_like(x) if of_input else None,
        torch.empty_like(weight) if of_weight else None,
        weight.new_empty(weight.shape[0]) if of_bias else None,
    )


def _eigenvalues(matrix: Tensor, uplo: str = "L", compute_v: bool = True) -> tuple[Tensor, Tensor]:
    count("eigenvalues", str(matrix.dtype))
    return matrix.new_ones(matrix.shape[:-1]), torch.empty_like(matrix) if compute_v else matrix.new_empty(0)


def _cholesky(matrix: Tensor, *, upper: bool = False) -> Tensor:
    factor, failed = _cholesky_ex(matrix)
    failed.sum().item()  # as torch does, to know whether it failed
    return factor


def _cholesky_ex(matrix: Tensor, *, upper: bool = False, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    count("Cholesky's factor", str(matrix.dtype))
    return torch.empty_like(matrix), torch.zeros(matrix.shape[:-2], dtype=torch.int32, device=matrix.device)


def _solve_triangular(
    matrix: Tensor, wanted: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    count("triangular system", str(matrix.dtype))
    return torch.empty_like(wanted)


def _bincount(values: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    values.max().item()  # as torch does, to know how many there are
    return torch.zeros(minlength, dtype=torch.int64, device=values.device)


def _nonzero(values: Tensor) -> Tensor:
    values.sum().item()  # as torch does, to know how many there are
    return torch.zeros((values.numel(), values.dim()), dtype=torch.int64, device=values.device)
