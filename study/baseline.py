"""The baseline run that the stages `pretrain`, `evaluate` and `project` share."""

import dataclasses
from pathlib import Path

import torch

from study.command import choose_device
from study.config import load_config
from study.prepare import obtain
from study.runs import Run, Store, make_run
from vicreg.datasets import Dataset
from vicreg.evaluation import PROBES

STORE = Path("store")
MODEL = Path("models/baseline")


def baseline_run() -> tuple[Run, Store, Dataset, torch.device]:
    """The run of the config as it stands, with all probes; its store, data and device."""
    config = load_config()
    store = Store(STORE)
    dataset, _ = obtain(config, store=store.root)
    device = choose_device(config.ablate.device)
    return make_run(config, data=dataset.digest, device=device, probes=config.ablate.probes), store, dataset, device


def with_all_probes(run: Run) -> Run:
    """The same run, measured with every probe, the source paper's linear protocol among them."""
    return dataclasses.replace(run, probes=PROBES)


def untrained(run: Run, *, dataset: Dataset, device: torch.device) -> Run:
    """The random-initialisation control of a run, measured with the same probes."""
    config = run.config.with_settings({"pretrain.epochs": 0, "pretrain.warmup_epochs": 0})
    return make_run(config, data=dataset.digest, device=device, probes=run.probes)
