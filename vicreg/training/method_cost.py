"""What a method adds to a step: operations of its loss, and memory of its state.

`cost.py` counts the networks alone, by a rule that is the same for every method. Here a whole step is counted, so that
what a method adds is seen: forward passes of a teacher, a predictor, a decoder, products with a queue or with prototypes.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from vicreg.data.dataset import Dataset
from vicreg.errors import InputError
from vicreg.methods.base import Method
from vicreg.training.cost import images_seen, training_operations
from vicreg.training.settings import PretrainSettings
from vicreg.training.setup import new_model, view_size

COUNTED_BY_NETWORKS = "vicreg"  # by the rule of `cost.py`, which its recorded costs follow
_counted: dict[tuple[PretrainSettings, str], int] = {}


def whole_step_operations(settings: PretrainSettings, dataset: Dataset, *, model: Method | None = None) -> int:
    """Return the operations of a method's step on a full batch: its loss, and the backward pass of it.

    Counted are products of matrices and convolutions, each multiplication with its addition as 2, on tensors without
    content, so nothing is computed. Left out are views, element-wise work, decompositions (`eigh`, `svd`, `cholesky`), what
    `after_step` does and the optimiser. It can be less than `step_operations` says: no gradient reaches the images.

    Args:
        settings: of the run.
        dataset: that it is trained on; of its images the shape counts.
        model: of these settings, where there is one already; it loses its weights.
    """
    model = model or new_model(settings, dataset)
    # Fake tensors lie on the `meta` device and say that they lie on the CPU: autocast knows no `meta`.
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        _empty(model, mode)
        views = _views(model, settings, dataset)
        # Under autocast convolutions are not computed by minimal filtering, whose savings no count here holds.
        with FlopCounterMode(display=False) as counter, torch.autocast("cpu", dtype=torch.bfloat16):
            model.train().loss(views, progress=torch.zeros(())).total.backward()
    return counter.get_total_flops()


def run_operations(settings: PretrainSettings, dataset: Dataset) -> int:
    """Return the operations of a whole run by a rule that holds for its method.

    VICReg's are those of `training_operations`. Another method may encode patches, ignore the common expander or encode by a
    teacher too, so its whole step is counted, for each image that is seen its share of a full batch.

    Raises:
        InputError: where the method's step cannot be counted.
    """
    if settings.method == COUNTED_BY_NETWORKS:
        return training_operations(settings, dataset)
    # What decides a step decides its count, whatever the seed and the extent of the run.
    step = dataclasses.replace(settings, seed=0)
    key = (step, dataset.digest)
    if key not in _counted:
        try:
            _counted[key] = whole_step_operations(step, dataset)
        except RuntimeError as error:  # a loss that reads a value, or an operation without a rule of shapes
            raise InputError(
                f"a method's step must be countable from shapes, but {settings.method}'s is not ({error}); leave out cost."
            ) from error
    return _counted[key] * images_seen(settings, dataset) // settings.batch_size


def _empty(model: Method, mode: FakeTensorMode) -> None:
    """Put a tensor without content in the place of every parameter and buffer."""
    made: dict[Tensor, Tensor] = {}
    for module in model.modules():
        held_by: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for held in held_by:
            for name, one in held.items():
                if one is not None:
                    held[name] = made.setdefault(one, _fake(one, mode))


def _fake(one: Tensor, mode: FakeTensorMode) -> Tensor:
    fake = mode.from_tensor(one.detach())
    return nn.Parameter(fake, requires_grad=one.requires_grad) if isinstance(one, nn.Parameter) else fake


def _views(model: Method, settings: PretrainSettings, dataset: Dataset) -> list[Tensor]:
    """Return what a step gives to the method's loss: views, local ones, labels."""
    images = dataset.train.images
    own: Any = model
    sides = [view_size(settings, images)] * model.VIEWS
    if model.LOCAL_VIEWS:
        sides += [own.local_size] * own.local_views
    views = [
        torch.empty(settings.batch_size, images.shape[1], side, side, memory_format=torch.channels_last) for side in sides
    ]
    labels = [torch.zeros(settings.batch_size, dtype=torch.int64)] if model.WANTS_LABELS else []
    return [*views, *labels]


def state_bytes(model: Method) -> int:
    """Return the bytes that a method keeps beyond its backbone and expander: buffers, and parameters that are not trained.

    A teacher, a queue, prototypes that are frozen and running statistics are among them. Parameters that are trained, as a
    predictor's, are not: they are part of the network.
    """
    shared = {id(one) for part in (model.backbone, model.expander) for one in (*part.parameters(), *part.buffers())}
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    return sum(one.nbytes for one in (*model.buffers(), *frozen) if id(one) not in shared)
