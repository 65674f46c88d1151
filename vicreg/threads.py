"""Two functions side by side, each on a thread of a CPU."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Result = TypeVar("Result")


def side_by_side(
    one: Callable[[], Result], other: Callable[[], Result], *, finally_: Callable[[], None] | None = None
) -> tuple[Result, Result]:
    """Call two functions at once, the first in this thread, and return what they return.

    Each has half of torch's threads. Where both fail, the error of the first is raised.

    Args:
        one, other: what they do must not depend on which of them is ahead.
        finally_: is called when `one` has ended or failed, and may let `other` end that waits for it.
    """
    threads = torch.get_num_threads()
    share = max(1, threads // 2)

    def second() -> Result:
        if torch.get_num_threads() != share:
            torch.set_num_threads(share)  # of its own thread alone
        return other()

    try:
        torch.set_num_threads(share)
        future = _second_thread().submit(second)
        try:
            first = one()
        finally:
            if finally_ is not None:
                finally_()
            wait([future])
    finally:
        torch.set_num_threads(threads)
    try:
        return first, future.result()
    finally:
        del first, future  # which an error's traceback would hold


def halves(sizes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the indices of sizes in two lists whose sums are about equal: the largest first, each to the smaller sum."""
    found: tuple[list[int], list[int]] = ([], [])
    sums = [0, 0]
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        smaller = sums.index(min(sums))
        found[smaller].append(index)
        sums[smaller] += sizes[index]
    return found


@functools.cache
def _second_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="second")


if hasattr(os, "register_at_fork"):  # a forked child has the pool and not its thread
    os.register_at_fork(after_in_child=_second_thread.cache_clear)
