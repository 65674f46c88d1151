"""How a job ended that Dask has executed."""

from distributed import Future
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from study.execution.executors.dask_cluster import LOOPBACK
from study.execution.executors.engine import Answer
from study.runs.outcomes import FAILED, KILLED

FETCH = 20.0  # seconds for the answer of a job that has ended to arrive: its worker may have died since


def answer_of(future: Future) -> Answer:
    """Return how a job ended whose future is done.

    Raises:
        TimeoutError: where its answer does not arrive; nothing else, since nobody would hear of it.
    """
    remedy = "what was finished is kept, start again to go on"
    reason = f"the connection to the Dask scheduler was lost; {remedy}."
    lost = {"status": KILLED, "reason": reason, "connection_lost": True}
    if future.status not in ("finished", "error"):
        return lost
    try:
        answer: Answer = future.result(timeout=FETCH)
        return answer
    except TimeoutError:
        if future.status != "error":
            raise
        return {"status": FAILED, "reason": "its worker could not execute it (TimeoutError)"}
    except FutureCancelledError:
        return lost
    except Exception as one:
        error = one
    if isinstance(error, KilledWorker):
        last = error.last_worker.host
        died = f"its process died {error.allowed_failures + 1} times" + (
            "" if last == LOOPBACK else f", last on host {last}"
        )
        return {"status": KILLED, "reason": f"{died}; a killed worker often means that memory ran out"}
    return {"status": FAILED, "reason": f"its worker could not execute it ({type(error).__name__}: {error})".splitlines()[0]}
