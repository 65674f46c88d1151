"""Jobs that take the place of a run's. Workers import this module, so it imports nothing of the project."""

import time
from typing import Any

FINISHED = "finished"  # as in `study.runs.outcomes`


def nothing(job: dict[str, Any]) -> dict[str, Any]:
    """Answer at once, as if the run had finished."""
    return {"status": FINISHED, "reason": None}


def sleep(job: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Answer after some seconds in which nothing is computed, as if the run had finished."""
    time.sleep(seconds)
    return {"status": FINISHED, "reason": None}
