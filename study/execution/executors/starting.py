"""How worker processes of this host are started. It imports nothing of Dask, which takes a second."""

import multiprocessing
import sys
from multiprocessing import forkserver

# A fork server has torch imported once; each worker, one that replaces a dead one too, is a copy that starts at once.
START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
# What runs import on first use (every optimiser torch's compiler, a measurement K-means) is else imported by each of them.
_PRELOADED = ("torch._dynamo", "sklearn.cluster", "study.execution.job", "study.execution.executors.dask")


def start_fork_server() -> None:
    """Start the process that workers are copies of, unless it runs or they start otherwise.

    It imports torch and Dask while this process goes on, with an import of Dask for one.
    """
    if START_METHOD == "forkserver":
        multiprocessing.set_forkserver_preload(list(_PRELOADED))
        forkserver.ensure_running()
