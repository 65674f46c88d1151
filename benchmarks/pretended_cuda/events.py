"""Counts what was launched on the pretended device, and where the host waited for it."""

import ctypes
import functools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

_LISTENER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p)
_READER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_long)
_FOLDERS = tuple(f"{os.sep}{name}{os.sep}" for name in ("vicreg", "study", "benchmarks"))
_OWN = f"{os.sep}pretended_cuda{os.sep}"

_ACTIVE: list["Seen"] = []

LAUNCHES = ("kernel", "product", "convolution", "batchnorm", "eigenvalues", "memset")
WAITS = ("wait",)


@dataclass
class Seen:
    """What happened in a `with` block.

    `counts` maps `kind what` to how often; in a graph's capture the kind is `captured kind`. `places` maps kind, what and
    the lines that led there to how often, for what waits, copies, allocates or is forbidden.
    """

    counts: Counter[str] = field(default_factory=Counter)
    places: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def total(self, *kinds: str) -> int:
        """Return how often any of some kinds happened, outside captures."""
        return sum(number for name, number in self.counts.items() if name.split(" ")[0] in kinds)

    def captured(self) -> int:
        """Return the launches that captures recorded."""
        return sum(n for name, n in self.counts.items() if name.startswith("captured ") and name.split(" ")[1] in LAUNCHES)

    def copies(self, what: str) -> int:
        """Return the copies of a kind, `to the device, pageable` say."""
        return sum(number for name, number in self.counts.items() if name.startswith(f"copy {what}"))

    @property
    def forbidden(self) -> dict[str, int]:
        """What a graph capture forbids, or no launch can be, by where it happened."""
        return {f"{what} at {where}": number for (kind, what, where), number in self.places.items() if kind == "forbidden"}

    def summary(self) -> dict[str, int]:
        """Return the numbers that a table shows."""
        return {
            "launches": self.total(*LAUNCHES) + self.copies("on the device"),
            "captured": self.captured(),
            "replays": self.total("replay"),
            "waits": self.total(*WAITS),
            "pageable copies": self.copies("to the device, pageable") + self.copies("to the host, pageable"),
            "pinned copies": self.copies("to the device, pinned") + self.copies("to the host, pinned"),
            "allocations": self.total("allocate"),
            "forbidden": sum(self.forbidden.values()),
        }


@functools.cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(os.environ["VICREG_PRETENDED_CUDA"])


def count(kind: str, what: str) -> None:
    """Count something that Python makes up."""
    _library().pretended_count(kind.encode(), what.encode())


@contextmanager
def seen() -> Iterator[Seen]:
    """Yield what happens in the block; its counts are filled in at the block's end. Blocks may lie within one another."""
    found, before = Seen(), _counts()
    _ACTIVE.append(found)
    _library().pretended_listen(_LISTENING)
    try:
        yield found
    finally:
        _ACTIVE.remove(found)
        found.counts.update(_counts() - before)


def _counts() -> Counter[str]:
    """Return how often everything has happened since the process began."""
    counts: Counter[str] = Counter()

    def read(name: bytes, number: int) -> None:
        counts[name.decode()] = number

    _library().pretended_counts(_READER(read))
    return counts


def _listen(kind: bytes, what: bytes) -> None:
    place = kind.decode(), what.decode(), _where(sys._getframe())
    for one in list(_ACTIVE):
        one.places[place] += 1


_LISTENING = _LISTENER(_listen)  # the runtime holds its address for as long as the process lasts


def _where(frame: FrameType | None) -> str:
    """Return the innermost three lines of the project's own that led here."""
    lines: list[str] = []
    current: Any = frame
    while current is not None and len(lines) < 3:
        name = current.f_code.co_filename
        if any(folder in name for folder in _FOLDERS) and _OWN not in name:
            start = max(name.rfind(folder) for folder in _FOLDERS)
            lines.append(f"{name[start + 1 :]}:{current.f_lineno}")
        current = current.f_back
    return " < ".join(lines) or "no line of Python: a thread of torch"
