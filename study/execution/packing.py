"""Chooses how many runs a device is given at a time.

On a CPU as many as its cores hold at `pretrain.threads` each, and its memory. On a GPU it is measured: one process, then
two, four and so on train side by side for some seconds, until more of them no longer train more images a second or the
memory is used up. Where NVIDIA's MPS serves the GPU, processes use it by themselves and share the device better.

What is measured is the study's costliest arm, and once: the store keeps it with the machine's name (`packing.json`), for all
commands that run arms of that cost.
"""

import dataclasses
import functools
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

from study.config.config import Config, config_from_values
from study.runs.identity import machinery, training_code
from study.runs.locking import hold
from study.runs.store import Store
from study.runs.stored_json import stored_object
from vicreg.data.cache import read_dataset
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.files import to_json, write_atomically
from vicreg.training.cost import step_operations
from vicreg.training.settings import COST_FIELDS, PretrainSettings
from vicreg.training.throughput import measure_throughput

MOST = 16  # processes tried on one GPU
GAIN = 1.1  # twice the processes must train this much faster, or their number is not raised
HEADROOM = 0.8  # share of the free memory that packed runs may take
STEPS, SECONDS = 8, 4.0  # that each number of processes is timed for at least, after its warm-up

Measured = Mapping[str, Any]


def choose_workers(configs: Sequence[Config], dataset: Dataset, *, data: Path, store: Store, device: torch.device) -> int:
    """Return the number of runs to give `device` at a time.

    Args:
        configs: of the runs. The costliest is measured, where anything is trained; of the others no fewer fit.
        dataset: that they train on.
        data: the folder that holds it.
        store: where what was measured is kept.
        device: that the runs share, or the first of those that each run needs (`devices_each`). A run that cannot be timed
            on it gets it alone, and ends as it does.
    """
    config = costliest(configs, dataset)
    processes = devices_each(configs)
    if device.type == "cpu":
        threads = max(one.pretrain.threads * devices_each([one]) for one in configs)
        cores = max(1, len(os.sched_getaffinity(0)) // threads)
        if config is None or cores == 1:
            return cores
        alone = functools.partial(pace, config, number=1, data=data, device=device, steps=1, seconds=0.0)
        taken = _measured_once("bytes", config, dataset, store, device, alone)
        return (
            1
            if taken is None
            else max(1, min(cores, int(HEADROOM * psutil.virtual_memory().available / (taken * processes))))
        )
    if config is None or processes > 1:  # what trains on several GPUs has them for itself
        return 1

    def find() -> Measured:
        return best_number(lambda number: pace(config, number=number, data=data, device=device), most=MOST)

    return int(_measured_once("workers", config, dataset, store, device, find) or 1)


def devices_each(configs: Sequence[Config]) -> int:
    """Return how many devices a run needs at most: one for each of the processes that train it."""
    return max((one.pretrain.processes for one in configs if one.pretrain.distributed), default=1)


def costliest(configs: Sequence[Config], dataset: Dataset) -> Config | None:
    """Return the config whose training step takes most operations, of equal ones the first; None where none trains."""
    trained = [config for config in configs if config.pretrain.trained_epochs > 0]
    return max(trained, key=lambda config: step_operations(config.pretrain, dataset), default=None)


def cost_of(settings: PretrainSettings) -> dict[str, Any]:
    """Return the settings that a step's time and memory depend on, by name.

    A method's own are among them but for those with a fraction: weights, temperatures and rates, at which a step costs the
    same.
    """
    own = dataclasses.asdict(settings.method_settings)
    counts = {name: value for name, value in own.items() if not isinstance(value, float)}
    return {name: getattr(settings, name) for name in COST_FIELDS} | ({"own": counts} if counts else {})


def _measured_once(
    what: str, config: Config, dataset: Dataset, store: Store, device: torch.device, measure: Callable[[], Measured]
) -> float | None:
    """Return an entry of what the store keeps of runs of this cost on this machine, measured now where it keeps none.

    None where they cannot be measured. Two commands do not measure at once: each would see the other's load.
    """
    settings, path = config.pretrain, store.root / "packing.json"
    cost = cost_of(settings)
    below = machinery(device, precision=settings.precision)
    code = training_code(settings.method).root
    key = json.dumps([platform.node(), below, code, cost, dataset.train.images.shape], sort_keys=True)
    store.root.mkdir(parents=True, exist_ok=True)
    with hold(store.root / "packing.json.lock"):
        known = _known(path)
        if what not in known.get(key, {}):
            try:
                known[key] = measure()
            except InputError:
                return None
            with suppress(InputError):  # on a full disk it is measured again next time
                write_atomically(path, to_json(known))
        return known[key][what]


def _known(path: Path) -> dict[str, Measured]:
    """Return what was measured before; nothing where the file is missing or damaged, since it is measured again."""
    return {key: one for key, one in stored_object(path).items() if isinstance(one, dict)}


def best_number(measure: Callable[[int], Mapping[str, float]], *, most: int) -> dict[str, Any]:
    """Return the number of processes, doubled from 1 for as long as that pays and fits; one that fails does not fit.

    Args:
        measure: number -> `images_per_second` of all of them together, and `memory_share`, of what was free before, that
            they took.
        most: processes that are tried.

    Returns:
        `workers`, and `measured`: number -> images a second, for each number that was tried.

    Raises:
        InputError: if one process alone fails.
    """
    number, measured = 1, {1: measure(1)}
    while 2 * number <= most and 2 * measured[number]["memory_share"] <= HEADROOM:
        try:
            measured[2 * number] = measure(2 * number)
        except InputError:
            break
        if measured[2 * number]["images_per_second"] < GAIN * measured[number]["images_per_second"]:
            break
        number *= 2
    return {"workers": number, "measured": {str(key): one["images_per_second"] for key, one in measured.items()}}


def pace(
    config: Config, *, number: int, data: Path, device: torch.device, steps: int = STEPS, seconds: float = SECONDS
) -> dict[str, float]:
    """Return what `number` processes reach side by side, each training as `config` says for so many seconds.

    At least so many steps are taken. It is the images a second of all together, the memory they took in bytes, and the share
    of what was free.

    Raises:
        InputError: if one of them fails, with what it said.
    """
    command = [sys.executable, "-m", "study.execution.packing", str(data), str(device), str(steps), str(seconds)]
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
    return {key: sum(one[key] for one in reports) for key in ("images_per_second", "memory_share", "bytes")}


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def main() -> None:
    """Be one of the processes that `pace` starts: warm up, say so, wait for `go`, train for some seconds and report."""
    data, name, steps, seconds = sys.argv[1:]
    device = torch.device(name)
    config, dataset = config_from_values(json.loads(sys.stdin.readline())), read_dataset(Path(data))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available

    def wait() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    pace_of_one = measure_throughput(
        config.pretrain, dataset, device=device, steps=int(steps), seconds=float(seconds), before=wait
    )  # fmt: skip
    if device.type == "cuda":
        taken = torch.cuda.max_memory_reserved(device) + 2**29  # and about half a GiB of context
    else:
        taken = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"images_per_second": pace_of_one, "memory_share": taken / free, "bytes": taken}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
