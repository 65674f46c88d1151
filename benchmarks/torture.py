"""Kills a study at random moments with SIGKILL, then runs it to its end and compares it with one that was left alone.

    python -m benchmarks.torture --kills 10

Both must end with the same results and the same weights, byte for byte; no process may outlive a kill for more than some
seconds, and nothing may be left over or done twice. Takes about three minutes on two cores; Linux.
"""

import contextlib
import copy
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import psutil
import yaml

from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from study.config.load import load_params

ROOT = Path(__file__).parents[1]
PROFILE = "torture"
# Over the profile `digits`: runs of a second or two, so that a kill hits one in the middle as often as between two.
TINY = {
    "prepare": {"per_class": 20},
    "pretrain": {
        "width": 4, "stem": "cifar", "expander": [16, 16, 16], "image_size": 8, "epochs": 12, "warmup_epochs": 1,
        "batch_size": 64, "optimizer": "adamw", "base_lr": 0.05,
    },
    "ablate": {"seeds": 1, "probes": ["knn"]},
}  # fmt: skip
ORPHANS_MAY_LIVE = 15.0  # seconds: a worker that is still importing notices its parent's death only after that


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder to run a study in."""

    folder: Path
    study: str
    workers: int

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "study.ablate", "--study", self.study, "--workers", str(self.workers)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with open(self.folder / "log.txt", "ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def results(self) -> bytes:
        return (self.folder / "results" / "ablate" / self.study / "study.json").read_bytes()

    def weights(self) -> dict[str, bytes]:
        """Run -> the bytes of its weights."""
        return {path.parent.name: path.read_bytes() for path in self._runs().glob("*/model.safetensors")}

    def trained_since(self, moment: float) -> bool:
        """Whether an epoch has been saved after `moment`, in seconds since 1970."""
        saved = [*self._runs().glob("*/checkpoint-*"), *self._runs().glob("*/model.safetensors")]
        with contextlib.suppress(FileNotFoundError):  # the next one has replaced it
            return any(path.stat().st_mtime > moment for path in saved)
        return True

    def leftovers(self) -> list[str]:
        """What a finished store should not hold: checkpoints, files half written, a run measured twice."""
        found = [*self._runs().glob("*/checkpoint-*"), *self._runs().glob("*/.checkpoint-*")]
        for _, group in itertools.groupby(sorted(self._runs().glob("*/evaluation-*.json")), key=lambda path: path.parent):
            found += list(group)[1:]
        return [str(path.relative_to(self.folder)) for path in found]

    def trials(self) -> list[tuple[str, str]]:
        """The run and the state of every trial of the study's one Optuna study."""
        storage = f"sqlite:///{self.folder / 'store' / 'optuna.db'}"
        names = optuna.get_all_study_names(storage)
        found = [trial for name in names for trial in optuna.load_study(study_name=name, storage=storage).trials]
        return sorted((trial.user_attrs["run"], trial.state.name) for trial in found)

    def _runs(self) -> Path:
        return self.folder / "store" / "runs"


def torture(
    *, kills: int, study: str, workers: int, seed: int, folder: Path, settings: Mapping[str, Any], say: Callable[[str], None]
) -> list[str]:
    """Runs `study` twice under `folder`, once in peace and once killed `kills` times, and returns what came out wrong."""
    peaceful, tortured = (make_place(folder / name, study, workers, settings) for name in ("peaceful", "tortured"))
    startup, work = time_undisturbed(peaceful)
    say(f"undisturbed: {startup:.1f} s to its first epoch, {work:.1f} s from there to its end")
    moments, wrong = random.Random(seed), []
    for number in range(1, kills + 1):
        if number % 4 == 0:
            begin, wait = False, moments.uniform(0, startup)
        else:  # at most 1.4 times its share of the work each, so that the last kill still finds some
            begin, wait = True, moments.uniform(0, 1.4 * work / (kills + 1))
        what, orphans = start_and_kill(tortured, begin=begin, wait=wait)
        since = "its first epoch" if begin else "its start"
        say(f"kill {number}, {wait:.2f} s after {since}: {what}; {len(tortured.weights())} runs trained so far")
        wrong += [f"process {orphan} outlived kill {number}" for orphan in orphans]
    process = tortured.start()
    if process.wait() != 0:
        wrong.append(f"the run after the kills ended with status {process.returncode}; see {tortured.folder / 'log.txt'}")
    return wrong + compare(peaceful, tortured)


def compare(peaceful: Place, tortured: Place) -> list[str]:
    """In what two finished studies differ, and what the second has left lying about."""
    wrong = [f"left over: {name}" for name in tortured.leftovers()]
    if tortured.results() != peaceful.results():
        wrong.append("the results are not the same bytes")
    before, after = peaceful.weights(), tortured.weights()
    if before.keys() != after.keys():
        wrong.append(f"other runs were trained: {sorted(before.keys() ^ after.keys())}")
    wrong += [
        f"run {digest} has other weights" for digest in before.keys() & after.keys() if before[digest] != after[digest]
    ]
    if tortured.trials() != peaceful.trials():
        wrong.append("Optuna has other trials")
    return wrong


def make_place(folder: Path, study: str, workers: int, settings: Mapping[str, Any]) -> Place:
    """A folder with a `params.yaml` whose profile is the digits one with `settings` (by section) over it."""
    params = load_params(ROOT / "params.yaml")
    profile = copy.deepcopy(params["profiles"]["digits"])
    for section, values in settings.items():
        profile[section].update(values)
    params["profile"], params["profiles"][PROFILE] = PROFILE, profile
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return Place(folder=folder, study=study, workers=workers)


def time_undisturbed(place: Place) -> tuple[float, float]:
    """Runs the study and returns the seconds until its first checkpoint and from there to its end."""
    started = time.time()
    process = place.start()
    wait_for_training(place, process, since=started)
    begun = time.time()
    if process.wait() != 0:
        raise SystemExit(f"the undisturbed study ended with status {process.returncode}; see {place.folder / 'log.txt'}")
    return begun - started, time.time() - begun


def wait_for_training(place: Place, process: subprocess.Popen, *, since: float) -> None:
    """Waits until a command has saved an epoch, or has ended."""
    while process.poll() is None and not place.trained_since(since):
        time.sleep(0.01)


def start_and_kill(place: Place, *, begin: bool, wait: float) -> tuple[str, list[int]]:
    """Starts the study and, `wait` seconds later (or after its first epoch, with `begin`), kills the command, though not
    its workers. Returns what was killed, and which of the workers are still there some seconds on."""
    started = time.time()
    process = place.start()
    if begin:
        wait_for_training(place, process, since=started)
    try:
        process.wait(timeout=wait)
        return "it had ended", []
    except subprocess.TimeoutExpired:
        workers = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + ORPHANS_MAY_LIVE
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return f"it had {len(workers)} workers", [worker for worker in workers if is_alive(worker)]


def children_of(parent: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    return [child.pid for child in psutil.Process(parent).children(recursive=True)]


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def conclude(wrong: list[str], otherwise: str) -> int:
    """Print what came out wrong, or what is so otherwise, and return the exit status."""
    for line in wrong:
        print(f"WRONG: {line}")
    print(f"{len(wrong)} things are wrong" if wrong else otherwise)
    return 1 if wrong else 0


def main() -> int:
    parser = Parser("benchmarks.torture", __doc__.partition("\n")[0])
    parser.add_argument("--kills", type=positive, default=10)
    parser.add_argument("--study", default="lambda-mu-nu")
    parser.add_argument("--workers", type=positive, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        wrong = torture(
            kills=arguments.kills, study=arguments.study, workers=arguments.workers, seed=arguments.seed,
            folder=Path(folder), settings=TINY, say=lambda line: print(line, flush=True),
        )  # fmt: skip
    return conclude(wrong, "the same results, weights and trials as undisturbed")


if __name__ == "__main__":
    run_command(main)
