"""The baseline run that the stages `pretrain`, `evaluate` and `project` share."""

import dataclasses
import json
from pathlib import Path

import torch

from study.config.config import UNTRAINED
from study.config.device import choose_device
from study.config.load import load_config
from study.runs.prepared_data import obtain
from study.runs.store import Run, Store, make_run, model_from
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.evaluate import PROBES
from vicreg.methods.base import Method
from vicreg.training.loop import exact_arithmetic

STORE = Path("store")
MODEL = Path("models/baseline")


def baseline_run() -> tuple[Run, Store, Dataset, torch.device]:
    """The run of the config as it stands, with all probes; its store, data and device."""
    config = load_config()
    store = Store(STORE)
    dataset, _ = obtain(config, store=store.root)
    device = choose_device(config.ablate.device)
    return make_run(config, data=dataset.digest, device=device, probes=config.ablate.probes), store, dataset, device


def baseline_model(run: Run, *, dataset: Dataset, device: torch.device) -> Method:
    """The weights that the stage `pretrain` left.

    Raises:
        InputError: if they are missing, or another run's than `run`, the one the parameters now describe.
    """
    try:
        trained = json.loads((MODEL / "run.json").read_bytes())["digest"]
    except (OSError, ValueError, KeyError):
        raise InputError(f"{MODEL} holds no trained baseline; run `dvc repro pretrain` first.") from None
    if trained != run.digest:
        raise InputError(
            f"{MODEL} holds run {trained}, but the parameters now describe run {run.digest}; run `dvc repro pretrain` first."
        )
    exact_arithmetic(run.config.pretrain)
    return model_from(MODEL / "model.safetensors", run, dataset=dataset, device=device)


def with_all_probes(run: Run) -> Run:
    """The same run, measured with every probe, the source paper's linear protocol among them."""
    return dataclasses.replace(run, probes=PROBES)


def untrained(run: Run, *, dataset: Dataset, device: torch.device) -> Run:
    """The random-initialisation control of a run, measured with the same probes."""
    config = run.config.with_settings(UNTRAINED)
    return make_run(config, data=dataset.digest, device=device, probes=run.probes)
