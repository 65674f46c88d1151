"""Locks that keep commands from doing one thing twice; no result depends on them.

A lock of the system (`flock`) ends with its process, but a network file system may lack it, or may hold it on one host
alone. A lease is a file that its holder touches again and again; one that is not touched for `lease_s` seconds expires, on
whatever host its holder was. Either is advice: a store stays sound where two commands work on one run.
"""

import errno
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, LeaseSettingsMismatch, SoftFileLease

from vicreg.errors import InputError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)  # a file system without `flock`

Say = Callable[[str], None]
_said: set[str] = set()  # folders of which a sentence was said, one a process


def to_stderr(sentence: str) -> None:
    """Print a note that changes no result."""
    print(f"note: {sentence}", file=sys.stderr, flush=True)


@contextmanager
def hold(path: Path, *, lease_s: float | None = None, timeout: float = -1, say: Say = to_stderr) -> Iterator[bool]:
    """Hold a lock, as far as the file system has one; yield whether the system's lock is held.

    Args:
        path: of the lock's file, which stays; the lease is a file beside it, which does not.
        lease_s: seconds after which a lease that is not renewed expires, the same for all commands; None for no lease.
        timeout: seconds to wait for another command; below 0 without an end.
        say: is told where there are no locks, and where a lease was lost while it was held.

    Raises:
        filelock.Timeout: where another command holds it for longer.
        InputError: where another command holds a lease of another duration.
        OSError: where the lock's file cannot be written.
    """
    with ExitStack() as stack:
        is_held = True
        try:
            # Without the fallback: a soft lock outlives a host that dies, and nobody would ever get the run again.
            stack.enter_context(FileLock(path, timeout=timeout, fallback_to_soft=False))
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            is_held = False
            if lease_s is None:
                _say_once(path.parent, say)
        if lease_s is None:
            yield is_held
            return
        lease = _lease(path, lease_s, timeout)
        try:
            stack.enter_context(lease)
        except LeaseSettingsMismatch:
            raise InputError(
                f"ablate.lock_lease_s must be the same for all commands on a store, but is {lease_s:g} here and another in "
                f"{lease.lock_file}; set the same, or delete that file where no command runs."
            ) from None
        yield is_held
        if (lost := lease.compromise) is not None:
            say(
                f"the lease {path.name} in {path.parent} was lost ({lost.reason}): another host may have done the same work."
            )


def _lease(path: Path, lease_s: float, timeout: float) -> SoftFileLease:
    return SoftFileLease(
        path.with_name(f"{path.name}.lease"), lease_duration=lease_s, timeout=timeout, poll_interval=min(1.0, lease_s / 10)
    )


def _say_once(folder: Path, say: Say) -> None:
    where = str(folder.parent)
    if where not in _said:
        _said.add(where)
        say(
            f"the file system of {where} has no locks: two commands may compute one run twice, and none is lost; "
            "set ablate.lock_lease_s, to 60 for one, to prevent it."
        )
