"""One section of the GPU script, in a process of its own."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.agreement import agreement
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.call import read_call
from benchmarks.gpu.gpu_tests import gpu_tests
from benchmarks.gpu.mps import PIPES
from benchmarks.gpu.recipe import STUDIES, recipe
from benchmarks.gpu.results import DONE, FAILED, STOPPED, OutOfTime, Results, card
from benchmarks.gpu.timings import ceilings, packing, parts, steps
from benchmarks.measure import machine
from vicreg.errors import InputError
from vicreg.training.memory import keep_freed_memory
from vicreg.training.setup import set_deterministic

Record = Callable[[str, Any], None]
DO: dict[str, Callable[[Bench, Record], None]] = {
    "tests": gpu_tests, "agreement": agreement, "steps": steps, "packing": packing, "ceilings": ceilings, "parts": parts,
    **{name: partial(recipe, section=name) for name in STUDIES},
}  # fmt: skip


def main() -> None:
    name, path, call, ends = sys.argv[1:]  # `ends` by the clock of `time.monotonic`, which processes share
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=end_with_parent, daemon=True).start()
    bench = Bench(call=read_call(call), ends=float(ends))
    results = Results(Path(path), section=name, asked=bench.call.asked, machine=machine_of(bench))
    set_deterministic(bench.config.pretrain)
    keep_freed_memory()
    try:
        DO[name](bench, results.record)
        results.end(DONE)
    except OutOfTime as error:
        results.end(STOPPED, str(error))
    except KeyboardInterrupt:
        results.end(STOPPED, "it was told to stop")
    except InputError as error:
        results.end(FAILED, str(error))
    except Exception as error:
        traceback.print_exc()
        results.end(FAILED, f"{type(error).__name__}: {' '.join(str(error).split())}")


def end_with_parent() -> None:
    """End this process and those it has started where the supervisor ends, however it ends: then standard input does."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def machine_of(bench: Bench) -> dict[str, Any]:
    """Return card, driver, versions, commit and date, beside what `machine` says."""
    found = machine(bench.device, packages=("torchvision", "numpy", "optuna"))
    found["versions"] |= {
        "python": sys.version.split()[0], "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if bench.device.type == "cuda" else None,
    }  # fmt: skip
    return found | {"card": card(), "commit": bench.call.commit, "mps": PIPES in os.environ}


if __name__ == "__main__":
    main()
