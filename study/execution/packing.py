"""Chooses how many runs a device is given at a time.

On a CPU as many as its cores hold at `pretrain.threads` each, and its memory. On a GPU it is measured: one process, then
two, four and so on train side by side for some seconds, until more of them no longer train more images a second or the
memory is used up. Where NVIDIA's MPS serves the GPU, processes use it by themselves and share the device better.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from study.config.config import Config, config_from_values
from study.runs.identity import machinery, training_code
from study.runs.store import Store
from vicreg.data.cache import read_dataset
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.training.throughput import measure_throughput

MOST = 16  # processes tried on one GPU
GAIN = 1.1  # twice the processes must train this much faster, or their number is not raised
HEADROOM = 0.8  # share of the free memory that packed runs may take
SECONDS = 4.0  # that each number of processes is timed for, after its warm-up


def choose_workers(config: Config, dataset: Dataset, *, data: Path, store: Store, device: torch.device) -> int:
    """Return the number of runs like `config`'s to give `device` at a time.

    Args:
        config: of the runs.
        dataset: that they train on.
        data: the folder that holds it.
        store: where a number that was measured is remembered.
        device: that the runs share.

    Raises:
        InputError: if runs cannot be timed on the device.
    """
    if device.type == "cpu":
        cores = max(1, len(os.sched_getaffinity(0)) // config.pretrain.threads)
        return cores if cores == 1 else max(1, min(cores, fitting_in_memory(config, dataset)))
    path = store.root / "packing.json"
    known = json.loads(path.read_bytes()) if path.exists() else {}
    below = machinery(device, precision=config.pretrain.precision)
    key = json.dumps([config.values["pretrain"], below, training_code(config.pretrain.method).root], sort_keys=True)
    if key not in known:
        best = best_number(lambda number: pace(config, number=number, data=data, device=device), most=MOST)
        known[key] = best
        write_atomically(path, to_json(known))
    return known[key]["workers"]


def best_number(measure: Callable[[int], Mapping[str, float]], *, most: int) -> dict[str, Any]:
    """Return the number of processes, doubled from 1 for as long as that pays and fits.

    Args:
        measure: number -> `images_per_second` of all of them together, and `memory_share`, of what was free before, that
            they took.
        most: processes that are tried.

    Returns:
        `workers`, and `measured`: number -> images a second, for each number that was tried.
    """
    number, measured = 1, {1: measure(1)}
    while 2 * number <= most and 2 * measured[number]["memory_share"] <= HEADROOM:
        measured[2 * number] = measure(2 * number)
        if measured[2 * number]["images_per_second"] < GAIN * measured[number]["images_per_second"]:
            break
        number *= 2
    return {"workers": number, "measured": {str(key): one["images_per_second"] for key, one in measured.items()}}


def pace(config: Config, *, number: int, data: Path, device: torch.device, seconds: float = SECONDS) -> dict[str, float]:
    """Return what `number` processes reach side by side, each training as `config` says for so many seconds.

    Raises:
        InputError: if one of them fails, with what it said.
    """
    command = [sys.executable, "-m", "study.execution.packing", str(data), str(device), str(seconds)]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        for _ in range(number)
    ]
    try:
        for process in processes:
            _say(process, json.dumps(dict(config.values)))
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # it has warmed up
        for process in processes:
            _say(process, "go")
        told = [process.communicate() for process in processes]
    except BrokenPipeError:
        told = [process.communicate() for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, error) in zip(processes, told, strict=True):
        if process.returncode != 0:
            last = (error.strip().splitlines() or [f"status {process.returncode}"])[-1]
            raise InputError(
                f"{number} runs side by side could not be timed on {device} ({last}); set ablate.workers, or give --workers."
            )
    reports = [json.loads(out.strip().splitlines()[-1]) for out, _ in told]
    return {key: sum(one[key] for one in reports) for key in ("images_per_second", "memory_share")}


def fitting_in_memory(config: Config, dataset: Dataset) -> int:
    """Return how many runs fit in this host's memory, by what two steps of one take in this process."""
    measure_throughput(config.pretrain, dataset, device=torch.device("cpu"), steps=1)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    return int(HEADROOM * psutil.virtual_memory().available / peak)


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def main() -> None:
    """Be one of the processes that `pace` starts: warm up, say so, wait for `go`, train for some seconds and report."""
    data, name, seconds = sys.argv[1:]
    device = torch.device(name)
    config, dataset = config_from_values(json.loads(sys.stdin.readline())), read_dataset(Path(data))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available

    def wait() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    pace_of_one = measure_throughput(config.pretrain, dataset, device=device, steps=8, seconds=float(seconds), before=wait)
    if device.type == "cuda":
        taken = torch.cuda.max_memory_reserved(device) + 2**29  # and about half a GiB of context
    else:
        taken = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"images_per_second": pace_of_one, "memory_share": taken / free}), flush=True)


if __name__ == "__main__":
    main()
