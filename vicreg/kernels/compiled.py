"""How loops are compiled.

A loop runs on the thread that calls it. To wake another one took longer than it saved: a ResNet-34 on two threads (batch
128, two cores of an AMD EPYC with AVX2) trained 190 images a second with loops divided among them, and 210 without.
"""

import functools
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
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
