"""Measures a run on a machine that did not train it, from weights that were brought along.

The numbers are those that the run asks for, by the same code, but rounded as this machine rounds. So they have a file of
their own in the store, results say where they were measured, and the machine that trained the run still measures it whole.
"""

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
from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.evaluation.collapse_diagnosis import UNDETERMINED
from vicreg.files import to_json, write_atomically
from vicreg.methods.base import Method
from vicreg.models.pretrained import Encoder, load_encoder
from vicreg.training.memory import place_network
from vicreg.training.setup import new_model

KEY = "measured_elsewhere"  # of a measurement in the store; a field of `RunResults`


def has_weights(run: Run, *, store: Store, encoders: Path) -> bool:
    """Return whether a run can be measured here: from weights in the store, an encoder in `encoders`, or its seed alone."""
    return store.are_weights_whole(run.digest) or _is_drawn(run) or encoder_path(run, encoders).is_file()


def encoder_path(run: Run, encoders: Path) -> Path:
    """Return where in a folder the encoder of a run is looked for."""
    return encoders.absolute() / f"{run.digest}.safetensors"


def measure_elsewhere(run: Run, *, store: Store, dataset: Dataset, device: torch.device, encoders: Path) -> None:
    """Measure what a run asks for on `device`, and keep it in the store with where and from what it was measured.

    Weights in the store come first, then the network as an untrained run's seed draws it. An encoder in `encoders` has no
    head, so nothing of embeddings is measured of it, and whether the network collapsed is undetermined.

    Args:
        run: whose training has finished.
        store: that has its log.
        dataset: the data that the run names.
        device: of this machine.
        encoders: a folder of files `<digest of the run>.safetensors`, in any layout that `pretrain.weights` may have.

    Raises:
        InputError: for weights of another architecture, or that cannot be read.
    """
    source, is_headless = "", False
    if store.are_weights_whole(run.digest):
        model = trained_model(run, store=store, dataset=dataset, device=device)
    elif _is_drawn(run):
        model, source = place_network(new_model(run.config.pretrain, dataset), device), ", as its seed draws it"
    else:
        encoder, is_headless = load_encoder(str(encoder_path(run, encoders))), True
        model = _with_encoder(run, encoder, dataset).to(device)
        source = f", from the encoder alone{_rounded(encoder.tensors)}"
    found = measure(run, model, dataset, device)
    if is_headless:
        found["collapse"] = {space: metrics for space, metrics in found["collapse"].items() if space != "embeddings"}
        found["verdict"] = {"name": UNDETERMINED, "reason": "an encoder alone has no embeddings to judge"}
    below: Mapping[str, Any] = machinery(device, precision=run.config.pretrain.precision)
    found[KEY] = f"on {below['device']} with torch {below['torch']}{source}"
    write_atomically(store.elsewhere_path(run), to_json(found))


def _is_drawn(run: Run) -> bool:
    """Return whether a run's weights are those that its seed draws: it is not trained, and starts from no others."""
    return run.config.pretrain.trained_epochs == 0 and run.config.pretrain.weights is None


def _with_encoder(run: Run, encoder: Encoder, dataset: Dataset) -> Method:
    """Return the run's network with the weights of an encoder, and a head as it was drawn.

    Raises:
        InputError: where the encoder is of another architecture.
    """
    settings, channels = run.config.pretrain, dataset.train.images.shape[1]
    stem = settings.stem.removesuffix("-padded")  # pixels around an image are in no file of weights
    wanted = {"backbone": settings.backbone, "stem": stem, "width": settings.width, "channels": channels}
    found = {"backbone": encoder.backbone, "stem": encoder.stem, "width": encoder.width, "channels": encoder.in_channels}
    for name, value in wanted.items():
        if found[name] != value:
            raise InputError(
                f"the encoder of run {run.digest} must have {name} {value}, as the run has, but has {found[name]}; "
                "bring the run's own."
            )
    model = place_network(new_model(settings, dataset), torch.device("cpu"))
    model.backbone.load_state_dict(encoder.tensors)
    return model


def _rounded(tensors: Mapping[str, Tensor]) -> str:
    """Return that weights are rounded to float16, if they are."""
    floats = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
    rounded = all(torch.equal(tensor, tensor.half().to(tensor.dtype)) for tensor in floats)
    return ", its weights rounded to float16" if rounded else ""
