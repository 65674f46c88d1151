"""Sums and gathers over the processes of a run.

Every process calls the same ones in the same order. A step's loss is the mean over processes of what each computes, and a
parameter's gradient is the sum over processes of what each finds. Where every process computes the loss of the whole batch,
a row's gradient is therefore found whole by the process that made the row: the others' shares equal its own.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def has_joined() -> bool:
    """Return whether this process is one of a group that trains one run."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Return the number of this process in its group, counted from 0; number 0 alone logs and writes."""
    return dist.get_rank()


def is_first() -> bool:
    """Return whether this process is number 0."""
    return rank() == 0


def group_size() -> int:
    """Return the number of processes in the group of this one."""
    return dist.get_world_size()


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the sum over processes of a tensor, the same bits in each; without a gradient."""
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows (n, ...) of all processes in order, from this one's (n / N, ...); without a gradient."""
    own = rows.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(group_size())]
    dist.all_gather(parts, own)
    return torch.cat(parts)


def own_rows(rows: Tensor) -> Tensor:
    """Return this process's equal part (n / N, ...) of rows (n, ...)."""
    count = len(rows) // group_size()
    return rows[rank() * count : (rank() + 1) * count]


class _GatherWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return gather_rows(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return own_rows(gradient) * group_size()


def gather_with_gradient(rows: Tensor) -> Tensor:
    """Return the rows (n, d) of all processes in order, from this one's (n / N, d).

    For a loss that every process computes from all rows, with the same numbers: the gradients of a row that the processes
    find are then the same, and their sum is N times this one's. No gradient is sent.
    """
    return _GatherWithGradient.apply(rows)


@torch.no_grad()
def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients of parameters by their sums over processes, which are sent as one tensor."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(total)
    for gradient, part in zip(gradients, total.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view(gradient.shape))
