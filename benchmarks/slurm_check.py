"""Runs a study on a SLURM of this machine's own, meets its jobs with what befalls jobs, and compares it with a local run.

    python -m benchmarks.slurm_check         # Debian or Ubuntu; packages are unpacked into build/slurm, not installed

SLURM runs on loopback, with one node of two processors, in a temporary folder, as whoever calls this. Of the study's four
arms one job is cancelled (scancel), one is queued again (scontrol requeue) and one is told that it must end (SIGUSR2, which
SLURM sends before a job's time is up). The study must end with status 0, with the local run's results and weights, byte for
byte, and nothing may be left in the queue.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.torture import Place, compare, conclude, make_place
from study.cli.arguments import Parser, path
from study.cli.command import run_command
from vicreg.errors import InputError

ROOT = Path(__file__).parents[1]
STUDY = "weight-decay"  # four arms
PACKAGES = (
    "slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge", "libmunge2", "libhwloc15", "libfreeipmi17",
)  # fmt: skip
SETTINGS = {
    "prepare": {"per_class": 40},
    "pretrain": {
        "width": 4, "stem": "cifar", "expander": [16, 16, 16], "image_size": 8, "epochs": 2, "warmup_epochs": 1,
        "batch_size": 32, "optimizer": "adamw", "base_lr": 0.05, "threads": 1,
    },
    "ablate": {"seeds": 1, "probes": ["knn"], "device": "cpu"},
}  # fmt: skip
CONFIGURATION = """\
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
PluginDir={libraries}/slurm-wlm
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=86400
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=check Nodes={host} Default=YES MaxTime=60 State=UP
"""
Say = Callable[[str], None]


def unpack(folder: Path, say: Say) -> None:
    """Unpack Debian's packages into a folder, unless that was done before.

    Raises:
        InputError: where they cannot be had.
    """
    if (folder / "done").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    say(f"downloading {len(PACKAGES)} packages into {folder}")
    _call(["apt-get", "download", *PACKAGES], folder)
    for package in sorted(folder.glob("*.deb")):
        _call(["dpkg-deb", "-x", package.name, "."], folder)
    (folder / "done").touch()


def _call(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1]
        remedy = "run this on Debian or Ubuntu, after apt-get update"
        raise InputError(f"SLURM's packages could not be had ({said}); {remedy}.") from None


@contextmanager
def cluster(folder: Path, root: Path, say: Say) -> Iterator[Mapping[str, str]]:
    """Run SLURM in a folder, and yield the environment of its users.

    Raises:
        InputError: where it does not come up; the sentence says where its logs are.
    """
    libraries = next((root / "usr" / "lib").glob("*/slurm-wlm")).parent
    environment = {
        **os.environ,
        "SLURM_CONF": f"{folder}/slurm.conf",
        "PATH": f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{libraries}:{libraries}/slurm-wlm:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":"),
        "PYTHONPATH": str(ROOT),
    }
    host, user = socket.gethostname().partition(".")[0], _user()
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o600)
    text = CONFIGURATION.format(folder=folder, libraries=libraries, host=host, user=user, ports=_free_ports(2))
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    daemons = {
        "munged": [
            "munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed",
        ],
        "slurmctld": ["slurmctld-wlm", "-D"],
        "slurmd": ["slurmd-wlm", "-D", "-d", f"{root}/usr/sbin/slurmstepd-wlm"],
    }  # fmt: skip
    with ExitStack() as stack:
        for name, command in daemons.items():
            with open(folder / f"{name}.log", "wb") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(_end, process)
            if name == "munged":
                _wait(lambda: (folder / "munge.socket").exists(), f"munged does not start; see {folder}/munged.log")
        ready = ["sinfo", "--noheader", "--format=%T"]
        _wait(lambda: _said(ready, environment) == "idle", f"SLURM does not start; see {folder}/slurmctld.log")
        say(f"{_said(['sinfo', '--version'], environment)} on loopback, one node of two processors")
        yield environment


def _user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(condition: Callable[[], bool], otherwise: str, *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise InputError(f"{otherwise}.")
        time.sleep(0.1)


def _said(command: list[str], environment: Mapping[str, str]) -> str:
    """Return what a command prints; nothing where it fails."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.strip()


def run_study(place: Place, executor: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the study in a place; what it prints goes to its `log.txt`."""
    command = [sys.executable, "-m", "study.ablate", "--study", STUDY, *executor]
    with open(place.folder / "log.txt", "wb") as log:
        return subprocess.Popen(command, cwd=place.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)


def befall(process: subprocess.Popen[bytes], environment: Mapping[str, str], say: Say) -> list[str]:
    """Cancel the first job of a run that is executed, queue the second again and tell the third to end.

    Returns:
        What could not be done, since the study had ended.
    """
    waiting = {
        "cancelled": ["scancel"],
        "queued again": ["scontrol", "requeue"],
        "told to end": ["scancel", "--signal=USR2"],
    }
    met: set[str] = set()
    while process.poll() is None:
        listed = _said(["squeue", "--noheader", "--format=%i|%j|%T|%r"], environment).splitlines()
        for job, name, state, reason in (line.split("|") for line in listed):
            if reason == "BeginTime":  # SLURM lets what is queued again wait for two minutes
                _said(["scontrol", "update", f"JobId={job}", "StartTime=now"], environment)
            run = name.removeprefix("vicreg-")
            if waiting and run not in ("machinery", *met) and state == "RUNNING" and _is_ready(job, environment):
                what = next(iter(waiting))
                _said([*waiting.pop(what), job], environment)
                met.add(run)
                say(f"job {job} of run {run} is {what}")
        time.sleep(0.1)
    return [f"no job could be {what}" for what in waiting]


def _is_ready(job: str, environment: Mapping[str, str]) -> bool:
    """Return whether a job's run has begun: before, a signal meets a process that does not know what to do."""
    details = dict(part.partition("=")[::2] for part in _said(["scontrol", "show", "job", job], environment).split())
    log = Path(details.get("StdOut", ""))
    return log.is_file() and " begins from " in log.read_text(encoding="utf-8", errors="replace")


def check(folder: Path, packages: Path, say: Say) -> list[str]:
    """Do what the module says in a folder, and return what came out wrong."""
    unpack(packages, say)
    here, there = (make_place(folder / name, STUDY, 2, SETTINGS) for name in ("here", "slurm"))
    (folder / "cluster").mkdir()
    with ExitStack() as stack:
        local = run_study(here, ["--workers", "1"], {**os.environ, "PYTHONPATH": str(ROOT)})
        stack.callback(_end, local)
        environment = stack.enter_context(cluster(folder / "cluster", packages, say))
        started = time.monotonic()
        process = run_study(there, ["--executor", "slurm"], environment)
        stack.callback(_end, process)
        wrong = befall(process, environment, say)
        say(f"status {process.returncode}, {len(there.weights())} runs on SLURM, {time.monotonic() - started:.0f} s")
        if process.returncode != 0:
            return [*wrong, f"the study ended with status {process.returncode}; see {there.folder}/log.txt"]
        if left := _said(["squeue", "--noheader", "--states=PENDING,RUNNING"], environment):
            wrong.append(f"left in the queue: {left}")
        last = _said(["scontrol", "show", "job"], environment)
        say(f"{last.count('JobId=')} jobs in all, {last.count('JobState=CANCELLED')} of them cancelled, "
            f"{sum('Restarts=0' not in one for one in last.split('JobId=')[1:])} begun more than once")  # fmt: skip
        if local.wait() != 0:
            raise InputError(f"the local run did not end well; see {here.folder}/log.txt.")
        say(f"{len(here.weights())} runs by a worker of this machine")
    return wrong + compare(here, there)


def main() -> int:
    parser = Parser("benchmarks.slurm_check", __doc__.partition("\n")[0])
    parser.add_argument("--packages", type=path, default=ROOT / "build" / "slurm", help="where SLURM is unpacked")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder, with all logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="slurm-check-"))
    try:
        wrong = check(folder, arguments.packages.absolute(), lambda line: print(line, flush=True))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return conclude(wrong, "the same results, weights and trials as here")


if __name__ == "__main__":
    run_command(main)
