"""Networks with the weights that runs have left."""

from pathlib import Path

import torch

from study.runs.run import Run
from study.runs.store import Store
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.methods.base import Method
from vicreg.training.checkpoint import load_weights
from vicreg.training.memory import place_network
from vicreg.training.setup import new_model


def trained_model(run: Run, *, store: Store, dataset: Dataset, device: torch.device) -> Method:
    """Return the model of a run that has finished, with its weights from the store.

    Raises:
        InputError: if the weights are missing, unreadable, or of another architecture.
    """
    return model_from(store.weights_path(run.digest), run, dataset=dataset, device=device)


def model_from(path: Path, run: Run, *, dataset: Dataset, device: torch.device) -> Method:
    """Return the run's architecture with the weights of a safetensors file.

    Raises:
        InputError: if the file is missing, unreadable, or of another architecture.
    """
    model = place_network(new_model(run.config.pretrain, dataset), torch.device("cpu"))
    try:
        model.load_state_dict(load_weights(path))
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} holds weights of another architecture ({detail}); train it again.") from None
    return model.to(device)
