"""Runs one study by every executor there is on one machine, and compares the results byte for byte.

    python -m benchmarks.executors        # lambda-mu-nu on digits, two epochs a run, one seed

The first of them is one worker of the command's own. The others are two workers; two workers of which ten are killed at
random moments; a scheduler and two workers that Dask's own commands start, given by address, once over TLS; and jobs of
submitit on this machine. Each must end with status 0, with the results, weights and trials of the first, and leave nothing.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.torture import ROOT, Place, compare, conclude, is_alive, make_place
from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from vicreg.errors import InputError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENDS_WITHIN = 8.0  # seconds after which nothing of a command may be left
Say = Callable[[str], None]


def start(place: Place, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a place's study; what it prints goes to its `log.txt`."""
    command = [sys.executable, "-m", "study.ablate", "--study", place.study, *arguments]
    with open(place.folder / "log.txt", "ab") as log:
        return subprocess.Popen(command, cwd=place.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)


def run(
    place: Place,
    arguments: Sequence[str],
    *,
    meanwhile: Callable[[subprocess.Popen[bytes]], int] | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> str:
    """Run a place's study to its end, and return what to say of it.

    Args:
        place: of the study.
        arguments: beside the study's name.
        meanwhile: kills what it likes, and returns how much that was.
        environment: of the command.

    Raises:
        InputError: where the command's status is not 0, or a process of it is left.
    """
    began = time.monotonic()
    process = start(place, arguments, environment)
    killed = meanwhile(process) if meanwhile else 0
    children: set[int] = set()
    while process.poll() is None:
        children |= set(workers_of(process))
        time.sleep(0.2)
    if process.returncode != 0:
        said = (place.folder / "log.txt").read_text(encoding="utf-8").strip().rpartition("\n")[2]
        raise InputError(f"the study must end with status 0, but it was {process.returncode}; it said: {said}")
    deadline = time.monotonic() + ENDS_WITHIN
    while (left := [child for child in children if is_alive(child)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    if left:
        raise InputError(f"no process may be left of the command, but there are {left}; see {place.folder}/log.txt.")
    return f"{len(place.weights())} runs in {time.monotonic() - began:.0f} s" + (
        f", {killed} workers killed" if killed else ""
    )


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes below a command that execute runs; Dask's own helpers are not among them."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        return [one.pid for one in below if one.memory_info().rss > 2**27]  # they have torch imported
    except psutil.NoSuchProcess:
        return []


def killer(place: Place, number: int, moments: random.Random) -> Callable[[subprocess.Popen[bytes]], int]:
    """Return what kills a random worker so many times, each time after another run was trained since the last.

    A run that is met four times is recorded as one that kills its workers, which is not what this looks for.
    """

    def kill(process: subprocess.Popen[bytes]) -> int:
        killed = 0
        while killed < number and process.poll() is None:
            while process.poll() is None and sum(1 for _ in place.folder.glob("store/runs/*/model.safetensors")) <= killed:
                time.sleep(0.05)
            time.sleep(moments.uniform(0, 1.0))
            training = [one for one in workers_of(process) if _is_busy(one)]
            if training:
                os.kill(moments.choice(training), signal.SIGKILL)
                killed += 1
        return killed

    return kill


def _is_busy(process: int) -> bool:
    """Whether a process computes now: a fork server and an idle worker do not."""
    try:
        return psutil.Process(process).cpu_percent(interval=0.1) > 10
    except psutil.NoSuchProcess:
        return False


def certified(folder: Path) -> dict[str, str]:
    """Make one certificate for all, and return the environment that has Dask use it, as `docs/scale-dask.md` says."""
    key, certificate = folder / "host.key", folder / "host.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:4096", "-nodes", "-days", "365", "-subj", "/CN=study"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    variables = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    variables["DASK_DISTRIBUTED__COMM__TLS__CA_FILE"] = str(certificate)
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        variables[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(certificate)
        variables[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(key)
    return {**ENVIRONMENT, **variables}


@contextmanager
def cluster(
    folder: Path, workers: int, *, protocol: str = "tcp", environment: Mapping[str, str] = ENVIRONMENT
) -> Iterator[str]:
    """Start a scheduler and workers on loopback by Dask's own commands, and yield its address.

    Args:
        folder: for their files.
        workers: how many.
        protocol: `tcp`, or `tls` with an environment that has certificates.
        environment: of all of them.

    Raises:
        InputError: where it does not come up in two minutes.
    """
    file = folder / "scheduler.json"
    options = ["--no-dashboard", "--host", "127.0.0.1"]
    commands = [["scheduler", "--port", "0", "--protocol", protocol, "--scheduler-file", str(file), *options]]
    worker = ["worker", "--scheduler-file", str(file), "--nthreads", "1", "--memory-limit", "0", *options]
    commands += [[*worker, "--local-directory", str(folder)]] * workers
    with ExitStack() as stack, open(folder / "cluster.txt", "wb") as log:
        for command in commands:
            process = subprocess.Popen([sys.executable, "-m", "dask", *command], env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        deadline = time.monotonic() + 120
        while not file.exists() or not file.read_text(encoding="utf-8").endswith("}"):
            if time.monotonic() > deadline:
                raise InputError(f"the scheduler did not start; see {folder}/cluster.txt.")
            time.sleep(0.1)
        yield str(json.loads(file.read_text(encoding="utf-8"))["address"])


def check(folder: Path, study: str, kills: int, settings: Mapping[str, Any], say: Say) -> list[str]:
    """Do what the module says in a folder, and return what came out wrong."""

    def at(name: str, workers: int) -> Place:
        return make_place(folder / name, study, workers, settings)

    first = at("one", 1)
    wrong: list[str] = []
    say(f"one worker: {run(first, ['--workers', '1'])}")

    def hold(name: str, place: Place, said: str) -> None:
        found = compare(first, place)
        say(f"{name}: {said}; {'the same bytes' if not found else 'not the same'}")
        wrong.extend(f"{name}: {one}" for one in found)

    two = at("two", 2)
    hold("two workers", two, run(two, ["--workers", "2"]))
    killed = at("killed", 2)
    said = run(killed, ["--workers", "2"], meanwhile=killer(killed, kills, random.Random(0)))
    hold("killed workers", killed, said)
    if f"{kills} workers killed" not in said:
        wrong.append(f"the study ended before {kills} workers were killed")
    given = at("given", 2)
    with cluster(given.folder, 2) as address:
        hold("two workers given by address", given, run(given, ["--executor", address]))
    over_tls = at("tls", 2)
    secured = certified(over_tls.folder)
    with cluster(over_tls.folder, 2, protocol="tls", environment=secured) as address:
        assert address.startswith("tls://")
        said = run(over_tls, ["--executor", address], environment=secured)
        hold("two workers given by address, over TLS", over_tls, said)
        refused = start(at("refused", 1), ["--executor", address], ENVIRONMENT)
        if refused.wait() != 2:
            wrong.append(f"a command without a certificate must be refused with status 2, but it was {refused.returncode}")
    queued = at("queued", 2)
    hold("jobs of submitit", queued, run(queued, ["--executor", "submitit-local", "--workers", "2"]))
    return wrong


def main() -> int:
    parser = Parser("benchmarks.executors", __doc__.partition("\n")[0])
    parser.add_argument("--study", default="lambda-mu-nu")
    parser.add_argument("--seeds", type=positive, default=1)
    parser.add_argument("--kills", type=positive, default=10, help="workers that are killed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="executors-") as folder:
        over = {"pretrain": {"epochs": 2, "warmup_epochs": 1}, "ablate": {"seeds": arguments.seeds}}  # the profile `digits`
        wrong = check(Path(folder), arguments.study, arguments.kills, over, lambda line: print(line, flush=True))
    return conclude(wrong, "all came to the same results, weights and trials")


if __name__ == "__main__":
    run_command(main)
