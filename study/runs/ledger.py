"""Which runs each arm of a study has stood for at a seed, in the store's file `ledger/<study>@<profile>.json`.

    {"nu-1/0": ["1a2b3c4d5e6f7081", "9f8e7d6c5b4a3928"]}

The last is what the arm stood for when the study was last run; in a new store that `sync` filled it may be any. The others
are of other settings, code, data or machines. A file that older versions wrote names the last alone.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from study.runs.stored_json import stored_object
from vicreg.files import to_json, write_atomically

Ledger = Mapping[str, tuple[str, ...]]  # arm and seed -> digests of runs, the last one last


def ledger_path(root: Path, study: str, profile: str) -> Path:
    """Return the file of a study on a profile, in the store whose folder is `root`."""
    return root / "ledger" / f"{study}@{profile}.json"


def study_of(name: str) -> str:
    """Return the study whose ledger has this file name."""
    return name.rpartition("@")[0]


def read_ledger(path: Path) -> Ledger:
    """Return what a file says; nothing where it is missing or damaged."""
    return ledger_of(stored_object(path))


def ledger_of(found: Mapping[str, Any]) -> Ledger:
    """Return what the object in such a file says; an entry that is none is passed over."""
    read = {name: (runs,) if isinstance(runs, str) else runs for name, runs in found.items()}
    return {
        name: tuple(runs) for name, runs in read.items()
        if isinstance(runs, list | tuple) and runs and all(isinstance(run, str) for run in runs)
    }  # fmt: skip


def merged(older: Ledger, newer: Ledger) -> Ledger:
    """Return all runs of two ledgers; the last of an arm and seed is that of the newer one."""
    both = {}
    for name in (*older, *(name for name in newer if name not in older)):
        mine = newer.get(name, ())
        both[name] = (*(run for run in older.get(name, ()) if run not in mine), *mine)
    return both


def runs_of(ledgers: Collection[Ledger]) -> set[str]:
    """Return the digests of all runs that ledgers name."""
    return {run for ledger in ledgers for runs in ledger.values() for run in runs}


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Write a ledger in place of what its file says.

    Raises:
        InputError: where it cannot be written.
    """
    write_atomically(path, to_json(ledger))
