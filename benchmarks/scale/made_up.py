"""Runs that differ by their data's digest alone, and folders of a store as such runs leave them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from study.config.load import load_config
from study.runs.execute import execute
from study.runs.prepared_data import obtain_dataset
from study.runs.run import Run, make_run
from study.runs.store import Store, read_log

CPU = torch.device("cpu")


def one_real_run(store: Store, settings: dict[str, Any]) -> tuple[Run, Path]:
    """Train and measure one tiny run, and return it with the folder of its data."""
    config = load_config(profile="digits", settings=settings)
    dataset, folder = obtain_dataset(config, store=store.root)
    run = make_run(config, data=dataset.digest, device=CPU, probes=("knn",))
    execute(run, store=store, dataset=dataset, device=CPU)
    return run, folder


def runs_like(run: Run, number: int) -> list[Run]:
    """Return so many runs of which each has a digest of its own."""
    identities = (dataclasses.replace(run.identity, data=f"sha256:{place:064x}") for place in range(number))
    return [dataclasses.replace(run, identity=identity) for identity in identities]


def write_finished(runs: Sequence[Run], *, like: Run, store: Store) -> None:
    """Give each run the files that a report reads of another, which has finished."""
    kept = {name: (store.folder(like.digest) / name).read_bytes() for name in ("history.json", "status.json")}
    measured = store.evaluation_path(like).read_bytes()
    for run in runs:
        folder = store.folder(run.digest)
        folder.mkdir(parents=True)
        for name, content in kept.items():
            (folder / name).write_bytes(content)
        store.evaluation_path(run).write_bytes(measured)


def write_checkpoints(runs: Sequence[Run], *, like: Run, store: Store, epochs: int) -> None:
    """Give each run a checkpoint after so many epochs, with a log as large as a real one, in place of an older one."""
    record = read_log(store.folder(like.digest))[0]
    log = json.dumps([record] * epochs).encode()
    for run in runs:
        folder = store.folder(run.digest)
        new = folder / f"checkpoint-{epochs:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        old = list(folder.glob("checkpoint-*"))
        new.mkdir()
        (new / "history.json").write_bytes(log)
        for one in old:
            (one / "history.json").unlink()
            one.rmdir()
