"""How loops are compiled, and how they are divided among threads."""

import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba
import torch

Loop = TypeVar("Loop", bound=Callable[..., Any])

# Products and sums may be contracted to one instruction. Nothing is reordered: vectors run over channels.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}


def compiled(loop: Loop) -> Loop:
    """Compile a loop at its first call, and keep the machine code for later processes where a folder can be written."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(loop)  # type: ignore[no-any-return]  # numba is not typed
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(**_OPTIONS)(loop)  # type: ignore[no-any-return]


def in_parts(loop: Callable[..., Any], count: int, *arguments: Any, multiple: int = 1) -> None:
    """Call `loop(*arguments, first, last)` for equal parts of `range(count)`, one a thread of torch's.

    A loop writes what belongs to its part alone, so results do not depend on the number of threads.

    Args:
        loop: compiled.
        count: of images, rows or channels.
        arguments: of every part.
        multiple: of which the parts' bounds are multiples, but for the last.
    """
    threads = torch.get_num_threads()
    size = multiple * math.ceil(count / (threads * multiple))
    if threads == 1 or size >= count:
        loop(*arguments, 0, count)
        return
    bounds = [(first, min(first + size, count)) for first in range(0, count, size)]
    waiting = [_pool(threads).submit(loop, *arguments, first, last) for first, last in bounds[1:]]
    loop(*arguments, *bounds[0])
    for one in waiting:
        one.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return the threads that work beside the calling one."""
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="kernels")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a copy of this process has none of its threads
