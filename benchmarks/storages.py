"""Times what Optuna's view costs a study in each kind of storage: to add finished trials, to ask for one and tell it.

    python -m benchmarks.storages [--postgres] [--rounds 5] [--trials 12]

Storages take turns, and a ratio is the median over rounds, so that other work of the machine counts for all alike. `apart`
is SQLite with a transaction for each attribute, as Optuna writes by itself.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from unittest.mock import patch

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution

from benchmarks.postgres import postgres_server
from study.cli.arguments import Parser, positive
from study.cli.command import run_command
from study.execution import trial_database
from study.execution.trial_database import TrialDatabase
from vicreg.errors import InputError

# As many attributes as a run of a study has: its digest, how it ended, accuracies and collapse metrics of two spaces.
ATTRIBUTES = {"status": "finished", "settings": {"pretrain.nu": 1}} | {f"metric_{number}": 0.5 for number in range(9)}


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each kind of storage."""
    parser = Parser("benchmarks.storages", "What Optuna's view costs a study.")
    parser.add_argument("--postgres", action="store_true", help="a server of Debian's package too")
    parser.add_argument("--rounds", type=positive, default=5, help="default: 5")
    parser.add_argument("--trials", type=positive, default=12, help="of each study; default: 12")
    arguments = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    times: dict[str, list[tuple[float, float, float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        addresses: dict[str, str | None] = {"sqlite": None, "apart": None, "journal": f"journal:{folder}/trials.log"}
        if arguments.postgres:
            addresses["postgres"] = stack.enter_context(postgres_server()).address()
        for number in range(arguments.rounds):
            for name, address in addresses.items():
                path = folder / f"{name}-{number}" / "optuna.db"
                with patch.object(trial_database, "_one_transaction", nullcontext) if name == "apart" else nullcontext():
                    times.setdefault(name, []).append(time_storage(path, address, trials=arguments.trials))
    for name, rounds in times.items():
        opened, added, told = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
        pairs = list(zip(times["sqlite"], rounds, strict=True))
        ratios = [statistics.median(one[column] / own[column] for own, one in pairs) for column in (1, 2)]
        print(
            f"{name:9s} open {opened:6.0f} ms; add {added:6.1f} ms a trial ({ratios[0]:.2f} of sqlite); "
            f"ask and tell {told:6.1f} ms a trial ({ratios[1]:.2f})"
        )
    return 0


def time_storage(path: Path, address: str | None, *, trials: int) -> tuple[float, float, float]:
    """Return seconds to open a storage with an empty study, to add a trial, and to ask for and tell another."""
    said: list[str] = []
    database = TrialDatabase(path, address=address, say=said.append)
    arms = [f"arm-{number}" for number in range(trials)]
    space: dict[str, BaseDistribution] = {"arm": CategoricalDistribution(arms), "seed": CategoricalDistribution([0, 1])}
    study = optuna.create_study(study_name="timed@digits-00000000", directions=["maximize"])
    started = time.perf_counter()
    database.show(study)
    opened = time.perf_counter() - started
    for arm in arms:
        study.add_trial(
            optuna.trial.create_trial(
                values=[0.5], params={"arm": arm, "seed": 0}, distributions=space, user_attrs={"run": arm} | ATTRIBUTES
            )
        )
    started = time.perf_counter()
    database.show(study)
    added = (time.perf_counter() - started) / trials
    for arm in arms:
        study.enqueue_trial({"arm": arm, "seed": 1}, user_attrs={"run": arm})
    database.show(study)
    started = time.perf_counter()
    for _ in arms:
        trial = study.ask(space)
        database.show(study)
        for key, value in ATTRIBUTES.items():
            trial.set_user_attr(key, value)
        study.tell(trial, 0.5)
        database.show(study)
    told = (time.perf_counter() - started) / trials
    database.close()
    if said:
        raise InputError(f"every trial must be shown, but {said[0]}")
    return opened, added, told


if __name__ == "__main__":
    run_command(main)
