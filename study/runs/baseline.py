"""The baseline run that the stages `pretrain`, `evaluate` and `project` share."""

import dataclasses
import json
from dataclasses import dataclass

import torch

from study.config.config import UNTRAINED
from study.config.device import choose_device
from study.config.load import load_config
from study.config.places import MODEL, STORE
from study.runs.models import model_from
from study.runs.prepared_data import obtain_dataset
from study.runs.run import Run, make_run
from study.runs.store import Store
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.settings import PROBES
from vicreg.methods.base import Method
from vicreg.training.setup import set_deterministic

# Forced: DVC sees no change where another version of torch or another processor makes another run of the same parameters.
_REMEDY = "run `dvc repro --force --single-item pretrain` first"
WEIGHTS, DESCRIPTION = MODEL / "model.safetensors", MODEL / "run.json"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The run of the parameters as they stand, with its store, data and device."""

    run: Run
    store: Store
    dataset: Dataset
    device: torch.device

    def model(self) -> Method:
        """Return the weights that the stage `pretrain` left.

        Raises:
            InputError: if they are missing, or another run's than the parameters now describe.
        """
        run = self.run
        try:
            trained = json.loads(DESCRIPTION.read_bytes())["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{MODEL} holds no trained baseline; {_REMEDY}.") from None
        if trained != run.digest:
            raise InputError(f"{MODEL} holds run {trained}, but the parameters now describe run {run.digest}; {_REMEDY}.")
        set_deterministic(run.config.pretrain)
        try:
            return model_from(WEIGHTS, run, dataset=self.dataset, device=self.device)
        except InputError as error:
            damage = str(error).partition(";")[0]
            raise InputError(f"{MODEL} holds no trained baseline ({damage}); {_REMEDY}.") from None


def open_baseline() -> Baseline:
    """Return the baseline of `params.yaml` as it stands.

    Raises:
        InputError: for parameters no run can have, or data that cannot be had.
    """
    config = load_config()
    store = Store(STORE)
    dataset, _ = obtain_dataset(config, store=store.root)
    device = choose_device(config.ablate.device)
    run = make_run(config, data=dataset.digest, device=device, probes=config.ablate.probes)
    return Baseline(run=run, store=store, dataset=dataset, device=device)


def with_all_probes(run: Run) -> Run:
    """Return the same run, measured with every probe, the source paper's linear protocol among them."""
    return dataclasses.replace(run, probes=PROBES)


def control_run(run: Run, *, device: torch.device) -> Run:
    """Return the random-initialisation control of a run, measured with the same probes."""
    config = run.config.with_settings(UNTRAINED)
    return make_run(config, data=run.identity.data, device=device, probes=run.probes)
