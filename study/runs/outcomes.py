"""How a run can end, and how it can stand before."""

import sys
from collections.abc import Mapping
from typing import Any

# How a run can end.
FINISHED, DIVERGED, PRUNED = "finished", "diverged", "pruned"
OUT_OF_MEMORY, KILLED, FAILED = "out-of-memory", "killed", "failed"
# How it can stand when it has not ended.
MISSING, PARTIAL = "missing", "partial"

# Decided by a run's identity: run again, it would end so again.
REPEATABLE = (FINISHED, DIVERGED, PRUNED)
# Say something of the settings. What was killed or failed has to be run before anything is chosen by it.
OUTCOMES = (*REPEATABLE, OUT_OF_MEMORY)
ENDINGS = (*OUTCOMES, KILLED, FAILED)

# The entries of a result that hold measurements, where there are none.
NOTHING_MEASURED: Mapping[str, Any] = {"validation": {}, "test": {}, "collapse": {}, "verdict": None}

# What torch says where a CPU has too little memory, for which it has no error of its own: for a tensor, or for any address.
_NO_MEMORY = ("can't allocate memory", "Storage size calculation overflowed")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device has too little memory."""
    torch = sys.modules.get("torch")  # a report, which trains nothing, is made without it
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sentence in str(error) for sentence in _NO_MEMORY)
