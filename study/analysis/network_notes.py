"""Notes on the network: how much of it can never learn."""

from collections.abc import Sequence

import torch
from torch import Tensor

from study.runs.outcomes import is_out_of_memory
from study.spec.plan import Plan
from vicreg.data.dataset import Dataset
from vicreg.methods.base import Method
from vicreg.models.live_taps import parameters_without_gradient
from vicreg.training.setup import new_model, view_size

_SIGN = "never receive a gradient"  # part of every such note, by which it is found among the notes of earlier results


def recorded_notes(notes: Sequence[str]) -> tuple[str, ...]:
    """Return those of recorded notes that `network_notes` wrote: without the network nobody can write them anew."""
    return tuple(note for note in notes if _SIGN in note)


def network_notes(plan: Plan, dataset: Dataset) -> list[str]:
    """Return how much of the baseline's backbone can never learn, where images are too small for its kernels.

    A method that encodes patches of an image gives the backbone these, which are smaller still.
    """
    settings = next(cell for cell in plan.cells if not cell.is_control).run.config.pretrain
    size = view_size(settings, dataset.train.images)
    image = torch.zeros(1, dataset.train.images.shape[1], size, size)
    try:
        model = new_model(settings, dataset)
        seen = _seen_by_backbone(model, image)
        dead, every = parameters_without_gradient(model.backbone, seen)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return []  # so its runs ended
    if dead == 0:
        return []
    side = seen.shape[-1]
    pixels = f"{side} x {side} pixels" if side == size else f"patches of {side} x {side} pixels"
    return [
        f"At {pixels} with the {settings.stem} stem, {100 * dead / every:.0f} % of the {settings.backbone}'s "
        f"parameters {_SIGN}. The last feature maps are smaller than the kernels, whose outer weights see "
        "only padding."
    ]


def _seen_by_backbone(model: Method, image: Tensor) -> Tensor:
    """Return one input of the kind that a method's backbone gets where it encodes an image (1, C, H, W)."""
    seen: list[Tensor] = []
    hook = model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:1]))
    try:
        with torch.no_grad():
            model.eval()(image)
    finally:
        hook.remove()
    return seen[0]
