"""Waits for processes that commands have started and left behind, so that their time counts as the commands' own."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

_SET_CHILD_SUBREAPER = 36  # of prctl(2): what a child leaves behind becomes a child of this process


@contextmanager
def adopted() -> Iterator[None]:
    """Make orphans of commands that end meanwhile children of this process, and wait for their end; Linux alone.

    A fork server outlives its command for a moment. The processor time of it and of its workers would otherwise be taken
    for that of other programs.
    """
    if sys.platform != "linux":
        yield
        return
    before = {child.pid for child in psutil.Process().children()}
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
        while left := [child.pid for child in psutil.Process().children() if child.pid not in before]:
            for process in left:
                with suppress(ChildProcessError):
                    os.waitpid(process, 0)
    finally:
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def processor_seconds() -> float:
    """Return the processor time of all children that have ended and were waited for."""
    spent = os.times()
    return spent.children_user + spent.children_system
