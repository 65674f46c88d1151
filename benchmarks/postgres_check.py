"""Runs one study from two stores side by side on one PostgreSQL server, and looks at what a dashboard shows.

    make postgres-check          python -m benchmarks.postgres_check [--dashboard FOLDER]

The server is Debian's, on loopback, in a temporary folder. Both stores run the same arms of the same study at the same time,
so without a store's number their studies would have one name. One of them is then run once more. It is checked that each
store's study is there whole, that each trial's value is that of its run, that the server's password is nowhere in the stores
or in what was printed, and that optuna-dashboard lists both studies over HTTP. Takes a minute on two idle cores.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from benchmarks.postgres import Database, free_port, postgres_server
from study.cli.arguments import Parser, path
from study.cli.command import run_command
from study.runs.store_id import store_id
from vicreg.errors import InputError

ROOT = Path(__file__).parents[1]
ARMS = ("25-25-1", "1-0-0")
TINY = (
    "prepare.per_class=20", "pretrain.width=4", "pretrain.expander=[16, 16, 16]", "pretrain.epochs=2",
    "pretrain.warmup_epochs=1", "pretrain.batch_size=64", "ablate.probes=[knn]", "ablate.workers=1", "ablate.device=cpu",
)  # fmt: skip
_LIMIT = 900.0  # seconds for anything that is waited for


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the module says and print a line for each thing that was checked."""
    parser = Parser("benchmarks.postgres_check", "Two stores on one PostgreSQL server.")
    parser.add_argument("--dashboard", type=path, help="folder that optuna-dashboard was installed into")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, postgres_server() as database:
        stores = {Path(folder) / name: secret for name, secret in (("one", True), ("two", False))}
        started = [_start(store, database, with_password=secret) for store, secret in stores.items()]
        said = [_ended(one) for one in started]
        print(f"ran {len(ARMS)} arms from each of 2 stores side by side on port {database.port} of 127.0.0.1")
        said.append(_ended(_start(next(iter(stores)), database, with_password=True)))
        print("ran the first once more: its study was made anew")
        names = _check_trials(list(stores), database)
        _check_password(list(stores), database, said)
        _check_dashboard(names, database, arguments.dashboard)
    return 0


def _start(store: Path, database: Database, *, with_password: bool) -> subprocess.Popen:
    """Start the study in a store: the password in the address, or in the environment, where drivers look for it."""
    settings = [*TINY, f"ablate.storage={database.address(password=with_password)}"]
    command = [sys.executable, "-m", "study.ablate", "--study", "lambda-mu-nu", "--seeds", "1", "--store", str(store)]
    command += [word for arm in ARMS for word in ("--arm", arm)] + [word for one in settings for word in ("--set", one)]
    environment = os.environ | ({} if with_password else {"PGPASSWORD": database.password})
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


def _ended(command: subprocess.Popen) -> str:
    said = command.communicate(timeout=_LIMIT)[0]
    if command.returncode != 0 or "note: " in said:
        raise InputError(f"a study must end with status 0 and no note, but got {command.returncode} and said:\n{said}")
    return said


def _check_trials(stores: list[Path], database: Database) -> list[str]:
    """Check that each store has its study there, each trial with the value of its run; return the studies' names."""
    storage = optuna.storages.RDBStorage(database.address())
    names = sorted(optuna.get_all_study_names(storage))
    for store in stores:
        mine = [name for name in names if name.endswith(f"@store-{store_id(store)}")]
        _require(len(mine) == 1, f"{store.name} must have one study there, but there are {names}")
        study = optuna.load_study(study_name=mine[0], storage=storage)
        shown = {trial.user_attrs["run"]: trial.values for trial in study.trials if trial.state.name == "COMPLETE"}
        measured = {}
        for found in (store / "runs").glob("*/evaluation-*.json"):
            validation = json.loads(found.read_bytes())["validation"]
            measured[found.parent.name] = [next(iter(validation.values()))["top1"]]
        _require(shown == measured and len(shown) == len(ARMS), f"{mine[0]} must show {measured}, but shows {shown}")
        print(f"{mine[0]}: {len(shown)} trials, each with the accuracy of its run in store {store.name!r}")
    _require(len(names) == len(stores), f"there must be {len(stores)} studies, but there are {names}")
    return names


def _check_password(stores: list[Path], database: Database, said: list[str]) -> None:
    files = [file for store in stores for file in store.rglob("*") if file.is_file()]
    found = [str(file) for file in files if database.password.encode() in file.read_bytes()]
    _require(not found, f"no file may hold the password, but these do: {found}")
    _require(not any(database.password in one for one in said), "the password must not be printed, but was")
    print(f"the password is in none of {len(files)} files and was not printed")


def _check_dashboard(names: list[str], database: Database, folder: Path | None) -> None:
    """Check that optuna-dashboard lists the studies over HTTP, and each one's trials."""
    port, where = free_port(), [str(folder)] if folder else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*where, str(ROOT)])}
    code = "from optuna_dashboard._cli import main; main()"
    command = [sys.executable, "-c", code, database.address(), "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        dashboard = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            listed = {one["study_name"]: one["study_id"] for one in _ask(port, "studies", dashboard)["study_summaries"]}
            _require(sorted(listed) == names, f"the dashboard must list {names}, but lists {sorted(listed)}")
            for name, number in listed.items():
                trials = _ask(port, f"studies/{number}?after=0", dashboard)["trials"]
                _require(
                    len(trials) == len(ARMS), f"the dashboard must show {len(ARMS)} trials of {name}, not {len(trials)}"
                )
                print(f"optuna-dashboard lists {name}: {len(trials)} trials, {[trial['state'] for trial in trials]}")
        finally:
            dashboard.terminate()
            dashboard.wait()


def _ask(port: int, what: str, dashboard: subprocess.Popen) -> dict[str, Any]:
    """Return what the dashboard answers, which takes some seconds to start."""
    deadline = time.monotonic() + _LIMIT
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{what}", timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            _require(dashboard.poll() is None and time.monotonic() < deadline, "optuna-dashboard must answer, but does not")
            time.sleep(0.5)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise InputError(f"{sentence}.")


if __name__ == "__main__":
    run_command(main)
