"""Where a run is trained: in its own folder on the host that began it, in an attempt of one's own elsewhere.

    store/runs/<digest>/host.json                 the host that began the run
                        checkpoint-00007/         its checkpoints
                        attempt-<writer>/         another host's, which never touches those of the first
                            checkpoint-00009/

A lock keeps processes of one host apart, and cannot be trusted between hosts. So two hosts that train one run at the same
time write into different folders, and both end. Each goes on from the furthest checkpoint of any host, which it copies.
"""

import hashlib
import json
import os
import platform
import shutil
from contextlib import suppress
from pathlib import Path

from study.runs.stored_json import stored_object
from vicreg.files import temporary_path, to_json, writer_name
from vicreg.training.checkpoint import latest_checkpoint

_OWNER = "host.json"
_ATTEMPT = "attempt-"
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # differs where two machines have one name


def open_workspace(folder: Path, *, is_locked: bool) -> Path:
    """Return the folder to train a run in, which has the furthest checkpoint that any host has left, where there is one.

    Args:
        folder: of the run, which exists.
        is_locked: whether no other process of this host is at it; if that is not known, the folder is a new attempt.
    """
    own = folder if is_locked and _begin(folder) == this_host() else folder / f"{_ATTEMPT}{writer_name()}"
    for checkpoint in sorted(_checkpoints(folder), key=_epochs, reverse=True):
        mine = latest_checkpoint(own)
        if checkpoint.parent == own or (mine is not None and _epochs(mine) >= _epochs(checkpoint)):
            break
        if _copy(checkpoint, own):
            break
    return own


def furthest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of the most epochs of a run, of whatever host; None where there is none."""
    return max(_checkpoints(folder), key=_epochs, default=None)


def clear_workspaces(folder: Path) -> None:
    """Delete all checkpoints of a run that has ended, those of other hosts too: nothing will be resumed from them.

    Those that were half written when their process was killed go as well.
    """
    for leftover in (*folder.glob("checkpoint-*"), *folder.glob(".checkpoint-*"), *folder.glob(f"{_ATTEMPT}*")):
        shutil.rmtree(leftover, ignore_errors=True)


def this_host() -> dict[str, str]:
    """Return what tells this host from others: its name, and its boot where the system has a number for it."""
    try:
        boot = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return {"name": platform.node(), "boot": boot}


def _begin(folder: Path) -> dict[str, str]:
    """Return the host that began the run in `folder`; it is this one where there was none."""
    path = folder / _OWNER
    with suppress(OSError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)  # of two hosts one succeeds
        with open(descriptor, "wb") as file:
            file.write(to_json(this_host()))
    return stored_object(path)


def _checkpoints(folder: Path) -> list[Path]:
    return [*folder.glob("checkpoint-*"), *folder.glob(f"{_ATTEMPT}*/checkpoint-*")]


def _epochs(checkpoint: Path) -> int:
    number = checkpoint.name.partition("-")[2]
    return int(number) if number.isdecimal() else -1


def _copy(checkpoint: Path, own: Path) -> bool:
    """Copy a checkpoint, which its host may delete meanwhile; return whether a whole one has arrived."""
    temporary = temporary_path(own / checkpoint.name)
    try:
        own.mkdir(parents=True, exist_ok=True)
        shutil.copytree(checkpoint, temporary)
        if _is_whole(temporary):
            os.rename(temporary, own / checkpoint.name)
            return True
    except (OSError, shutil.Error):
        pass
    shutil.rmtree(temporary, ignore_errors=True)
    return False


def _is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint's files are those of its manifest, by SHA-256."""
    try:
        recorded = dict(json.loads((checkpoint / "manifest.json").read_bytes())["sha256"])
        return all(
            hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() == digest for name, digest in recorded.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False
