"""Measures a run on another machine than trained it, from the weights that were brought along.

The numbers are those that the run asks for, by the same code, but rounded as this machine rounds. So its results say where
they were measured, and from what.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from study.runs.execute import measure
from study.runs.identity import machinery
from study.runs.models import trained_model
from study.runs.run import Run
from study.runs.store import Store
from study.runs.weights import fitting_weights
from vicreg.data.dataset import Dataset
from vicreg.files import to_json, write_atomically
from vicreg.training.memory import place_network
from vicreg.training.setup import new_model

KEY = "measured_elsewhere"  # of a measurement in the store


def has_weights(run: Run, *, store: Store, encoders: Path) -> bool:
    """Return whether a run can be measured here: from weights in the store, an encoder in `encoders`, or its seed alone."""
    return _is_drawn(run) or store.are_weights_whole(run.digest) or encoder_path(run, encoders).is_file()


def _is_drawn(run: Run) -> bool:
    """Return whether a run's weights are those that its seed draws: it is not trained, and starts from no others."""
    return run.config.pretrain.trained_epochs == 0 and run.config.pretrain.weights is None


def encoder_path(run: Run, encoders: Path) -> Path:
    """Return where in a folder the encoder of a run is looked for."""
    return encoders.absolute() / f"{run.digest}.safetensors"


def measure_elsewhere(run: Run, *, store: Store, dataset: Dataset, device: torch.device, encoders: Path) -> None:
    """Measure what a run asks for on `device`, and keep it in the store with where and from what it was measured.

    Weights in the store come first. An encoder in `encoders` has no head, so nothing of embeddings is measured of it, and
    the network's collapse gets no name.

    Args:
        run: whose training has finished.
        store: that has its log.
        dataset: the data that the run names.
        device: of this machine.
        encoders: a folder of files `<digest of the run>.safetensors`, in any layout that `pretrain.weights` may have.

    Raises:
        InputError: for weights of another architecture, or that cannot be read.
    """
    tensors: Mapping[str, Tensor] = {}
    if _is_drawn(run):
        model = place_network(new_model(run.config.pretrain, dataset), device)
    elif store.are_weights_whole(run.digest):
        model = trained_model(run, store=store, dataset=dataset, device=device)
    else:
        settings = dataclasses.replace(run.config.pretrain, weights=str(encoder_path(run, encoders)))
        encoder = fitting_weights(settings, dataset)
        assert encoder is not None, "the settings name weights"
        tensors = encoder.tensors
        model = place_network(new_model(run.config.pretrain, dataset), torch.device("cpu"))
        model.backbone.load_state_dict(tensors)
        model = model.to(device)
    found = measure(run, model, dataset, device)
    if tensors:
        found["collapse"] = {space: metrics for space, metrics in found["collapse"].items() if space != "embeddings"}
        found["verdict"] = None
    found[KEY] = _where(run, device, tensors)
    write_atomically(store.evaluation_path(run), to_json(found))


def _where(run: Run, device: torch.device, tensors: Mapping[str, Tensor]) -> str:
    """Return where and from what a run is measured, in words; `tensors` are those of an encoder, none of whole weights."""
    below: Mapping[str, Any] = machinery(device, precision=run.config.pretrain.precision)
    said = f"on {below['device']} with torch {below['torch']}"
    if not tensors:
        return said
    floats = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
    rounded = all(torch.equal(tensor, tensor.half().to(tensor.dtype)) for tensor in floats)
    return f"{said}, from the encoder alone" + (", its weights rounded to float16" if rounded else "")
