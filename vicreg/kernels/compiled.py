"""How loops are compiled, and how they are divided among threads."""

import functools
import hashlib
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
import torch
from numba.extending import overload

Loop = TypeVar("Loop", bound=Callable[..., Any])

# Products and sums may be contracted to one instruction. Nothing is reordered: vectors run over channels.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}, "forceinline": True}


def compiled(loop: Loop) -> Loop:
    """Compile a loop at its first call, and keep the machine code for later processes where a folder can be written."""
    options: Any = numba.config
    before, folder = options.CACHE_DIR, _folder_of_code()
    options.CACHE_DIR = folder or ""
    try:
        found: Loop = numba.njit(cache=folder is not None, **_OPTIONS)(loop)
    finally:
        options.CACHE_DIR = before
    return found


def by_type(choose: Loop) -> Loop:
    """Return a function for loops to call, whose own loop `choose` returns by the types of its arguments."""

    def found(*arguments: Any) -> Any:
        raise NotImplementedError("it is a part of compiled loops")

    overload(found)(choose)
    return found  # type: ignore[return-value]  # of the same arguments, in loops


@functools.cache
def _folder_of_code() -> str | None:
    """Return the folder for machine code of these sources; None where none can be written.

    numba compares the file of a loop with what it compiled, and not the files of what the loop calls. So the folder is named
    by the digest of them all.
    """
    own = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(own.glob("*.py")):
        digest.update(path.read_bytes())
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for parent in (own / "__pycache__", users / "vicreg-study"):
        folder = parent / f"machine-code-{digest.hexdigest()[:16]}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return str(folder)
    return None


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
