"""Ends a stage of DVC whose DVC is gone.

DVC starts a stage by a shell. Killed, it ends neither, and the stage would go on unseen, beside the next `dvc repro`.
"""

import contextlib
import os
import sys
import threading

import psutil

DVC_STAGE = "DVC_STAGE"  # the name of its stage, which DVC gives each process that it starts, and has not itself
INTERVAL = 1.0  # seconds between two looks
ORPHANED = 130  # exit status, as of Ctrl-C: the work goes on with the next command


def end_with_dvc() -> None:
    """Watch the DVC that has started this process, if one has, and end the process once it is gone.

    A worker ends with its parent. What was finished is in the store, and a run goes on from its checkpoint.
    """
    if DVC_STAGE not in os.environ:
        return
    try:
        dvc = next((one for one in psutil.Process().parents() if not _is_of_a_stage(one)), None)
        if dvc is not None and dvc.pid == 1 and not any("dvc" in part for part in dvc.cmdline()):
            _end()  # it was gone before this process came to look: init has taken its place
    except psutil.Error:  # an ancestor has ended meanwhile, or may not be looked at
        return
    if dvc is not None:
        threading.Thread(target=_watch, args=(dvc,), daemon=True, name="end-with-dvc").start()


def _is_of_a_stage(process: psutil.Process) -> bool:
    """Whether a process has its name of a stage from DVC, as a shell or `make` has."""
    try:
        return DVC_STAGE in process.environ()
    except psutil.AccessDenied:  # another user's
        return False


def _watch(dvc: psutil.Process) -> None:
    waiting = threading.Event()
    while _is_alive(dvc):
        waiting.wait(INTERVAL)
    _end()


def _is_alive(process: psutil.Process) -> bool:
    """Whether a process is running still; one that has ended and was not waited for is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _end() -> None:
    with contextlib.suppress(OSError):  # whoever read it may be gone too
        print("stopped, because dvc is gone; what was finished is kept, run dvc again to go on", file=sys.stderr, flush=True)
    os._exit(ORPHANED)  # not sys.exit: the main thread may be in the middle of an epoch
