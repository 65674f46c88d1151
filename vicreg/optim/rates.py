"""Learning rates of their own for some of a method's parameters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vicreg.errors import InputError


@dataclass(frozen=True)
class RateGroup:
    """Parameters whose learning rate at each step is `scale` times the run's, or times its peak where `is_constant`.

    The predictor of SimSiam is constant (arXiv 2011.10566, Table 1, "fix-pred-lr" in the authors' code). The biases of
    Barlow Twins have a rate of 0.0048 / 0.2 of the weights' (arXiv 2103.03230, Section 2.2).

    Raises:
        InputError: for a scale that is not 0 or a positive, finite number.
    """

    parameters: Sequence[torch.nn.Parameter]
    scale: float = 1.0
    is_constant: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.scale < float("inf"):
            raise InputError(
                f"the scale of a learning rate must be at least 0 and finite, but got {self.scale}; 1 is the run's."
            )


def split_by_rate(optimizer: torch.optim.Optimizer, groups: Iterable[RateGroup]) -> None:
    """Split each parameter group of an optimiser, in place, so that every part has one rule for its learning rate.

    Each part keeps the other options of the group that it is from, such as its weight decay. Parameters that no `RateGroup`
    lists keep the run's rate; they come first. Every part gets a learning rate tensor of its own (`own_tensors`). The order
    of parameters changes, so a saved state is to be loaded after this call.

    Args:
        optimizer: that has not taken a step.
        groups: what differs from the run's rate.

    Raises:
        InputError: for a parameter that two groups list, or that the optimiser does not have.
    """
    rules = list(groups)
    rule_of: dict[torch.Tensor, int] = {}
    for index, rule in enumerate(rules):
        for parameter in rule.parameters:
            if rule_of.setdefault(parameter, index) != index:
                raise InputError(
                    f"each parameter has one rate, but one of shape {tuple(parameter.shape)} is in two rate groups; "
                    "list it in one."
                )
    known = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    if unknown := [tuple(parameter.shape) for parameter in rule_of if parameter not in known]:
        raise InputError(
            f"a rate group lists parameters that the optimiser has, but one of shape {unknown[0]} is not its; leave it out."
        )
    parts: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        for index, rule in ((-1, RateGroup([])), *enumerate(rules)):
            held = [parameter for parameter in group["params"] if rule_of.get(parameter, -1) == index]
            if held:
                parts.append({**group, "params": held, "rate_scale": rule.scale, "rate_is_constant": rule.is_constant})
    optimizer.param_groups[:] = parts
    own_tensors(optimizer)


def own_tensors(optimizer: torch.optim.Optimizer) -> None:
    """Give each parameter group a 0-d learning rate tensor of its own, of value 0, on the device of its parameters.

    A CUDA graph holds these very tensors, so this comes before the capture.
    """
    for group in optimizer.param_groups:
        group["lr"] = torch.zeros((), device=group["params"][0].device)


def set_rates(optimizer: torch.optim.Optimizer, learning_rate: float, peak: float) -> None:
    """Set the learning rate of each part that `split_by_rate` made, in the tensor that it has; the host does not wait.

    Args:
        optimizer: split.
        learning_rate: the run's, at this step.
        peak: the run's at the end of its warm-up, which parts of constant rate have from the first step.
    """
    for group in optimizer.param_groups:
        group["lr"].fill_(group["rate_scale"] * (peak if group["rate_is_constant"] else learning_rate))
